using System.Text.Json.Serialization;
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
        ArgumentException.ThrowIfNullOrWhiteSpace(Revision);
        if (File is not null) ArgumentException.ThrowIfNullOrWhiteSpace(File);
        if (MaxConnections is < 1 or > MostConnections) throw new ArgumentOutOfRangeException(nameof(MaxConnections), MaxConnections, $"MaxConnections must be 1 to {MostConnections}.");
        if (MaxRetries is < 0 or > MostRetries) throw new ArgumentOutOfRangeException(nameof(MaxRetries), MaxRetries, $"MaxRetries must be 0 to {MostRetries}.");
        if (Timeout <= TimeSpan.Zero || Timeout.TotalMilliseconds > int.MaxValue) throw new ArgumentOutOfRangeException(nameof(Timeout), Timeout, "Timeout must be positive, and at most 24 days.");
        if (HttpClient?.DefaultRequestHeaders.Authorization is not null)
            throw new ArgumentException("The HttpClient sends an Authorization header of its own to every host: set Token instead.", nameof(HttpClient));
    }
}
