using Decart.Inference;
using Microsoft.Extensions.AI;

namespace Server;

/// <summary>The model that the server answers with.</summary>
internal sealed class ServedModel
{
    public ServedModel(LlmSession session, ServerOptions options)
    {
        Session = session;
        Id = options.ModelId ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(session.Model.Source)));
        MostTokens = Math.Min(options.MaxTokens ?? int.MaxValue, session.Model.ContextLength);
        MostRunning = options.MaxConcurrentSequences;
        if (session.ChatTemplate is not null) Chat = session.AsChatClient();
    }

    public LlmSession Session { get; }

    /// <summary>What requests call it.</summary>
    public string Id { get; }

    /// <summary>Null where it has no chat template.</summary>
    public IChatClient? Chat { get; }

    /// <summary>The most tokens that a request may ask for.</summary>
    public int MostTokens { get; }

    /// <summary>The most sequences computed together.</summary>
    public int MostRunning { get; }

    public DateTimeOffset Loaded { get; } = DateTimeOffset.UtcNow;
}
