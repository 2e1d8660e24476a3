using Decart.Inference;
using Microsoft.Extensions.AI;
using Server.Http;

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

    /// <summary>A prompt as token ids, so that they can be counted.</summary>
    public Prompt Encode(Prompt prompt) => prompt.Text is { } text ? Prompt.FromTokenIds(Session.Tokenizer.Encode(text).ToArray()) : prompt;

    /// <exception cref="ApiException">It has no chat template.</exception>
    public IChatClient RequireChat() =>
        Chat ?? throw new ApiException($"{Id} has no chat template: it continues texts and is asked at /v1/completions.", "model", "no_chat_template");
}
