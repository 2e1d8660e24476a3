using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Hub;

/// <summary>The options, completed from the environment by the rules of the Hub's own libraries.</summary>
/// <param name="Options">As they were given.</param>
/// <param name="Endpoint">The address of the Hub, without a slash at the end.</param>
/// <param name="CacheFolder">The folder of the cache.</param>
/// <param name="Token">The access token; null for none.</param>
/// <param name="Offline">Whether nothing may be requested.</param>
/// <param name="UsesLinks">Whether the cache may have symbolic links.</param>
internal sealed partial record HubSettings(ModelHubOptions Options, string Endpoint, string CacheFolder, string? Token, bool Offline, bool UsesLinks)
{
    private const string DefaultEndpoint = "https://huggingface.co";
    private const long LongestTokenFile = 64 << 10;

    public ILogger Logger { get; } = Options.LoggerFactory?.CreateLogger(typeof(ModelHub)) ?? NullLogger.Instance;

    /// <exception cref="ArgumentException">An option or a variable is wrong.</exception>
    public static HubSettings From(ModelHubOptions options, Func<string, string?> variable)
    {
        string home = Path(variable, "HF_HOME") ?? System.IO.Path.Combine(Path(variable, "XDG_CACHE_HOME") ?? System.IO.Path.Combine(UserFolder, ".cache"), "huggingface");
        string cache = options.CacheFolder ?? Path(variable, "HF_HUB_CACHE") ?? Path(variable, "HUGGINGFACE_HUB_CACHE") ?? System.IO.Path.Combine(home, "hub");
        return new HubSettings(
            options,
            ReadEndpoint(options, variable),
            System.IO.Path.GetFullPath(cache),
            ReadToken(options, variable, home),
            options.Offline ?? (IsTrue(variable("HF_HUB_OFFLINE")) || IsTrue(variable("TRANSFORMERS_OFFLINE"))),
            !IsTrue(variable("HF_HUB_DISABLE_SYMLINKS")));
    }

    /// <summary>Whether a text is the address of a Hub.</summary>
    public static bool IsEndpoint(string text) => Uri.TryCreate(text, UriKind.Absolute, out Uri? uri) && uri.Scheme is "https" or "http" && uri.Query.Length == 0;

    /// <summary>Whether a text is a token, with spaces or a line break around it perhaps, or empty for none.</summary>
    public static bool IsToken(string text) => text.Trim().All(character => character is > ' ' and <= '~');

    /// <summary>Makes the folder of the cache.</summary>
    /// <returns>Why that cannot be done; null if it is there.</returns>
    public string? CreateCacheFolder()
    {
        try
        {
            Directory.CreateDirectory(CacheFolder);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            return e.Message;
        }
    }

    private static string UserFolder => Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);

    private static string ReadEndpoint(ModelHubOptions options, Func<string, string?> variable)
    {
        string endpoint = (options.Endpoint?.OriginalString ?? Text(variable, "HF_ENDPOINT") ?? DefaultEndpoint).TrimEnd('/');
        return IsEndpoint(endpoint)
            ? endpoint
            : throw new ArgumentException($"The address of the Hub is \"{Checkpoints.Quoted.Value(endpoint)}\": expected one such as {DefaultEndpoint} (Endpoint, HF_ENDPOINT).");
    }

    private static string? ReadToken(ModelHubOptions options, Func<string, string?> variable, string home)
    {
        string? token = options.Token;
        if (token is null && !IsTrue(variable("HF_HUB_DISABLE_IMPLICIT_TOKEN")))
            token = Text(variable, "HF_TOKEN") ?? Text(variable, "HUGGING_FACE_HUB_TOKEN") ?? ReadTokenFile(Path(variable, "HF_TOKEN_PATH") ?? System.IO.Path.Combine(home, "token"));
        if (string.IsNullOrWhiteSpace(token)) return null;
        return IsToken(token)
            ? token.Trim()
            : throw new ArgumentException("The access token has characters that no token has, such as spaces (Token, HF_TOKEN or the token file).");
    }

    private static string? ReadTokenFile(string path)
    {
        try
        {
            FileInfo file = new(path);
            return file.Exists && file.Length <= LongestTokenFile ? File.ReadAllText(path) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ArgumentException($"The file of the access token cannot be read: {e.Message}", e);
        }
    }

    private static string? Text(Func<string, string?> variable, string name) => variable(name)?.Trim() is { Length: > 0 } text ? text : null;

    /// <summary>The path in a variable, with a leading ~ and the names of other variables replaced as Python does.</summary>
    private static string? Path(Func<string, string?> variable, string name)
    {
        if (Text(variable, name) is not { } path) return null;
        if (path == "~" || path.StartsWith("~/", StringComparison.Ordinal)) path = UserFolder + path[1..];
        return Variable().Replace(path, match => variable(match.Groups["name"].Value) ?? match.Value);
    }

    private static bool IsTrue(string? value) => value?.ToUpperInvariant() is "1" or "ON" or "YES" or "TRUE";

    [GeneratedRegex(@"\$\{(?<name>[A-Za-z0-9_]+)\}|\$(?<name>[A-Za-z0-9_]+)", RegexOptions.ExplicitCapture)]
    private static partial Regex Variable();
}
