using Decart.Inference;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Options;
using Server.Http;

namespace Server;

/// <summary>The model that the server answers with, once it is loaded.</summary>
internal sealed class ServedModel
{
    private readonly ChatTemplateException? _templateError;

    public ServedModel(LlmSession session, ServerOptions options, int mostRunning)
    {
        Session = session;
        Id = options.ModelId ?? NameOf(session.Model.Source);
        MostTokens = Math.Min(options.MaxTokens ?? int.MaxValue, session.Model.ContextLength);
        MostRunning = mostRunning;
        try
        {
            if (session.ChatTemplate is not { } template) return;
            SupportsTools = template.SupportsTools;
            Chat = session.AsChatClient();
        }
        catch (ChatTemplateException error)
        {
            _templateError = error; // the model still continues texts
        }
    }

    public LlmSession Session { get; }

    /// <summary>The last part of a path, the whole of a name on the Hub.</summary>
    private static string NameOf(string source) =>
        Path.Exists(source) ? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(source))) : source;

    /// <summary>What requests call it.</summary>
    public string Id { get; }

    /// <summary>Null where it has no chat template, or one that cannot be read.</summary>
    public IChatClient? Chat { get; }

    /// <summary>Whether its chat template offers functions.</summary>
    public bool SupportsTools { get; }

    /// <summary>The most tokens that a request may ask for.</summary>
    public int MostTokens { get; }

    /// <summary>The most sequences computed together.</summary>
    public int MostRunning { get; }

    public DateTimeOffset Loaded { get; } = DateTimeOffset.UtcNow;

    /// <summary>A prompt as token ids, so that they can be counted.</summary>
    public Prompt Encode(Prompt prompt) => prompt.Text is { } text ? Prompt.FromTokenIds(Session.Tokenizer.Encode(text).ToArray()) : prompt;

    /// <exception cref="ApiException">A request names another model, or none.</exception>
    public void RequireName(string? name)
    {
        if (string.IsNullOrEmpty(name)) throw new ApiException($"The request names no model; this server has \"{Id}\".", "model");
        if (name != Id) throw new ApiException(StatusCodes.Status404NotFound, $"There is no model \"{name}\"; this server has \"{Id}\".", "model", "model_not_found");
    }

    /// <summary>Checks how completions are asked to be sampled, where none may come to be generated.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    public void Require(GenerationOptions options) => _ = Session.StreamAsync(Prompt.FromTokenIds(new[] { 0 }), options); // checks now, and computes nothing unless it is read

    /// <exception cref="ApiException">It has no chat template.</exception>
    /// <exception cref="ChatTemplateException">Its chat template cannot be read.</exception>
    public IChatClient RequireChat() =>
        Chat ?? throw (Exception?)_templateError ?? new ApiException($"{Id} has no chat template: it continues texts and is asked at /v1/completions.", "model", "no_chat_template");
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
