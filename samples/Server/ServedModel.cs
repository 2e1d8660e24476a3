using Decart.Inference;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Options;
using Server.Http;

namespace Server;

/// <summary>The model that the server answers with, once it is loaded.</summary>
internal sealed class ServedModel
{
    public ServedModel(LlmSession session, ServerOptions options, int mostRunning)
    {
        Session = session;
        Id = options.ModelId ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(session.Model.Source)));
        MostTokens = Math.Min(options.MaxTokens ?? int.MaxValue, session.Model.ContextLength);
        MostRunning = mostRunning;
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

/// <summary>Waits for the model. Any thread.</summary>
internal sealed class ModelSource(ILlmSessionProvider sessions, IOptions<ServerOptions> options, IOptions<DecartInferenceOptions> hosting)
{
    private readonly Lock _gate = new();
    private ServedModel? _model;

    public async Task<ServedModel> GetAsync(CancellationToken cancellationToken)
    {
        LlmSession session = await sessions.GetAsync(cancellationToken);
        lock (_gate) return _model ??= new ServedModel(session, options.Value, hosting.Value.MaxConcurrentSequences);
    }
}
