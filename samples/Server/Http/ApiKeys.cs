using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;

namespace Server.Http;

/// <summary>Lets callers in who show one of the keys, where there are any. Comparing takes the same time whatever the callers show.</summary>
internal sealed class ApiKeys(IOptions<ServerOptions> options)
{
    private const string Scheme = "Bearer ";

    private readonly byte[][] _hashes = [.. options.Value.ApiKeys.Select(key => Hash(key.Trim()))];

    /// <summary>How many callers are told apart: one for each key, or all together.</summary>
    public int Callers => Math.Max(1, _hashes.Length);

    /// <summary>Which caller a request comes from.</summary>
    /// <exception cref="ApiException">There are keys, and the request has none of them.</exception>
    public int Identify(HttpRequest request)
    {
        if (_hashes.Length == 0) return 0;
        string header = request.Headers.Authorization.ToString();
        bool hasKey = header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase);
        byte[] shown = Hash(hasKey ? header[Scheme.Length..].Trim() : "");
        int caller = -1;
        for (int i = 0; i < _hashes.Length; i++)
        {
            if (CryptographicOperations.FixedTimeEquals(_hashes[i], shown)) caller = i;
        }
        if (hasKey && caller >= 0) return caller;
        throw new ApiException(
            StatusCodes.Status401Unauthorized,
            hasKey ? "The API key is not one of this server's." : "An API key is needed: send it as \"Authorization: Bearer KEY\".",
            code: "invalid_api_key");
    }

    private static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));
}
