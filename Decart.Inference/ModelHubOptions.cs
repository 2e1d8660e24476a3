using System.Text.Json.Serialization;
using Decart.Inference.Checkpoints;
using Decart.Inference.Hub;
using Microsoft.Extensions.Logging;

namespace Decart.Inference;

/// <summary>
/// Which files of a model are downloaded, from where and to where. Immutable. What is not set is taken from the environment variables of the Hub's own libraries,
/// which docs/models.md lists.
/// </summary>
public sealed record ModelHubOptions
{
    private const int MostConnections = 64, MostRetries = 100;

    /// <summary>A branch, a tag or a commit; <c>main</c> unless set.</summary>
    public string Revision { get; init; } = "main";

    /// <summary>
    /// Of a repository with GGUF files, the one to use: its name, or a quantisation that its name ends with (<c>Q4_K_M</c>, in any case). Of a split model any part, or
    /// its quantisation. <see langword="null"/> (the default) for the safetensors files, else for the only GGUF model. May also follow the model's name after a colon.
    /// </summary>
    public string? File { get; init; }

    /// <summary>
    /// The access token, needed for private and gated models; empty for none. <see langword="null"/> (the default) for that of <c>HF_TOKEN</c> or, without it, of the
    /// file where <c>hf auth login</c> keeps it. It is sent to <see cref="Endpoint"/> only, never to where that redirects.
    /// </summary>
    [JsonIgnore]
    public string? Token { get; init; }

    /// <summary>The Hub or a mirror of it; <see langword="null"/> (the default) for <c>HF_ENDPOINT</c>, else <c>https://huggingface.co</c>.</summary>
    public Uri? Endpoint { get; init; }

    /// <summary>
    /// The folder of the cache, which may be shared with other processes and with Python; <see langword="null"/> (the default) for <c>HF_HUB_CACHE</c>, else <c>hub</c>
    /// in <c>HF_HOME</c>, else <c>~/.cache/huggingface/hub</c>.
    /// </summary>
    public string? CacheFolder { get; init; }

    /// <summary>Whether only the cache is used, without any request; <see langword="null"/> (the default) for what <c>HF_HUB_OFFLINE</c> says.</summary>
    public bool? Offline { get; init; }

    /// <summary>The most files that are downloaded at once, 1 to 64. Default 8.</summary>
    public int MaxConnections { get; init; } = 8;

    /// <summary>
    /// How often in a row a request is repeated that fails for a reason that may pass (status 408, 429 or 5xx, a broken connection), 0 to 100; each time after a longer
    /// pause, or after the one that the Hub asks for. Default 5.
    /// </summary>
    public int MaxRetries { get; init; } = 5;

    /// <summary>How long nothing may be received before a connection counts as broken. Default 30 seconds.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// What sends the requests, the caller's; <see langword="null"/> (the default) for a common one, which honours the proxies of the environment. Its handler should not
    /// follow redirects (<c>AllowAutoRedirect = false</c>): they are followed here, where it is known which hosts may see the token.
    /// </summary>
    [JsonIgnore]
    public HttpClient? HttpClient { get; init; }

    /// <summary>Where log messages go; <see langword="null"/> (the default) for nowhere.</summary>
    [JsonIgnore]
    public ILoggerFactory? LoggerFactory { get; init; }

    /// <summary>The pause before a request is repeated for the first time; doubled each time.</summary>
    internal TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(0.5);

    /// <summary>All but the token.</summary>
    public override string ToString() =>
        $"{nameof(ModelHubOptions)} {{ Revision = {Revision}, File = {File}, Endpoint = {Endpoint}, CacheFolder = {CacheFolder}, Offline = {Offline}, "
        + $"MaxConnections = {MaxConnections}, MaxRetries = {MaxRetries}, Timeout = {Timeout} }}";

    internal void Validate()
    {
        foreach ((string name, object? value, string problem) in Problems()) throw new ArgumentOutOfRangeException(name, value, problem);
    }

    /// <summary>What is wrong: which option, what it is (not of secrets) and what it should be.</summary>
    internal IEnumerable<(string Name, object? Value, string Problem)> Problems()
    {
        if (!HubListing.IsSafe(Revision ?? "")) yield return (nameof(Revision), Quote(Revision), "A branch, a tag or a commit has a name without spaces at its end, control characters or any of \\:<>|\"?*.");
        if (File is not null && !HubName.IsFile(File)) yield return (nameof(File), Quote(File), "A GGUF file of the repository, or the quantisation that its name ends with, must be named.");
        if (Token is not null && !HubSettings.IsToken(Token)) yield return (nameof(Token), "others", "A token has letters, digits and signs of ASCII, without spaces or line breaks between them.");
        if (Endpoint is not null && !HubSettings.IsEndpoint(Endpoint.OriginalString)) yield return (nameof(Endpoint), Quote(Endpoint.OriginalString), "The address of the Hub must be one of http or https, without a query.");
        if (CacheFolder is not null && (string.IsNullOrWhiteSpace(CacheFolder) || CacheFolder.Contains('\0', StringComparison.Ordinal))) yield return (nameof(CacheFolder), Quote(CacheFolder), "The cache must be a folder.");
        if (MaxConnections is < 1 or > MostConnections) yield return (nameof(MaxConnections), MaxConnections, $"MaxConnections must be 1 to {MostConnections}.");
        if (MaxRetries is < 0 or > MostRetries) yield return (nameof(MaxRetries), MaxRetries, $"MaxRetries must be 0 to {MostRetries}.");
        if (Timeout <= TimeSpan.Zero || Timeout.TotalMilliseconds > int.MaxValue) yield return (nameof(Timeout), Timeout, "Timeout must be positive, and at most 24 days.");
        if (HttpClient?.DefaultRequestHeaders.Authorization is not null) yield return (nameof(HttpClient), "one", "The HttpClient must not send an Authorization header of its own to every host: set Token instead.");
    }

    private static string? Quote(string? value) => value is null ? null : $"\"{Quoted.Value(value)}\"";
}
