using System.ComponentModel.DataAnnotations;

namespace Server;

/// <summary>Who is answered and how much: the section <c>Server</c> of the configuration. The model is in the section <c>Llm</c>.</summary>
internal sealed class ServerOptions
{
    public const string Section = "Server";

    /// <summary>What requests call the model; the last part of its path unless set.</summary>
    public string? ModelId { get; set; }

    /// <summary>The keys that callers must show one of; without any, everybody is answered.</summary>
    public IList<string> ApiKeys { get; } = [];

    /// <summary>The most bytes of a request's body.</summary>
    [Range(1, int.MaxValue)]
    public int MaxBodyBytes { get; set; } = 4 * 1024 * 1024;

    /// <summary>The most memory for bodies of one key that are still arriving; without keys, of all callers together. 16 times <see cref="MaxBodyBytes"/> unless set.</summary>
    [Range(1, long.MaxValue)]
    public long? MaxBufferedBytes { get; set; }

    /// <summary>How long a request's body may take to arrive.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "1.00:00:00")]
    public TimeSpan ReceiveTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The most messages of a conversation.</summary>
    [Range(1, int.MaxValue)]
    public int MaxMessages { get; set; } = 1024;

    /// <summary>The most tools that a request offers.</summary>
    [Range(1, int.MaxValue)]
    public int MaxTools { get; set; } = 128;

    /// <summary>The most tokens of one answer; as many as the model's context unless set.</summary>
    [Range(1, int.MaxValue)]
    public int? MaxTokens { get; set; }

    /// <summary>The most answers of one request, for all its prompts together.</summary>
    [Range(1, 1024)]
    public int MaxChoices { get; set; } = 16;

    /// <summary>The most texts of one request for embeddings.</summary>
    [Range(1, 65_536)]
    public int MaxInputs { get; set; } = 256;

    /// <summary>The most requests of one key at a time; without keys, of all callers together.</summary>
    [Range(1, int.MaxValue)]
    public int MaxConcurrentRequests { get; set; } = 64;

    /// <summary>The most open connections.</summary>
    [Range(1, int.MaxValue)]
    public int MaxConnections { get; set; } = 1024;

    /// <summary>How long an answer that is streamed waits for a client that does not read; then the client is cut off.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "1.00:00:00")]
    public TimeSpan SendTimeout { get; set; } = TimeSpan.FromSeconds(30);
}
