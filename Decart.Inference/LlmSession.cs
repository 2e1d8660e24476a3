using System.Runtime.CompilerServices;
using Decart.Inference.Diagnostics;
using Decart.Inference.Engine;
using Decart.Inference.Grammars;
using Decart.Inference.Loading;
using Decart.Inference.Sampling;
using Decart.Inference.Values;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference;

/// <summary>
/// A language model in memory, ready to generate. Any number of threads may use one session at once: their requests are computed
/// together, step by step, and none depends on the others.
/// </summary>
/// <remarks>
/// Dispose the session to free the model; requests still running then end with <see cref="FinishReason.Cancelled"/>. A session that is
/// never disposed keeps its thread and its memory until the process ends.
/// </remarks>
public sealed class LlmSession : ILlmSession, IDisposable
{
    private readonly LoadedModel _model;
    private readonly Scheduler _scheduler; // of the engine's thread, but for its counts
    private readonly EngineLoop _engine;
    private readonly PromptEncoder _prompts;
    private readonly Sampler _sampler;
    private readonly SessionTelemetry _telemetry;
    private readonly ILogger _logger;
    private readonly GrammarCache? _grammars; // null without a tokenizer
    private readonly Lazy<Task> _disposal;

    internal LlmSession(LoadedModel model, LlmSessionOptions options)
    {
        _model = model;
        _logger = options.LoggerFactory?.CreateLogger<LlmSession>() ?? NullLogger<LlmSession>.Instance;
        _logger.ModelLoaded(Model.Architecture, Model.Source, Model.Device, Model.VocabularySize, Model.ContextLength);
        _prompts = new PromptEncoder(model.Tokenizer, Model, model.Kv, _logger);
        _sampler = new Sampler(model.Decoder.VocabularySize);
        _grammars = model.Tokenizer is { } tokenizer ? new GrammarCache(tokenizer, Model.VocabularySize, model.EndOfTextTokens) : null;
        _disposal = new Lazy<Task>(StopAsync);
        _scheduler = new Scheduler(model.Kv, options.TokensPerStep, options.MaxConcurrentSequences, model.Decoder.RotaryLength);
        _engine = new EngineLoop(model.Decoder, model.Kv, _scheduler, _logger, Model.Source);
        _engine.Start();
        _telemetry = new SessionTelemetry(ModelName.Of(Model.Source), _engine.GetStatistics, options.MeterFactory);
    }

    /// <summary>
    /// Loads a model: a folder with <c>config.json</c> and safetensors files (as on the Hugging Face Hub), a GGUF file, or a model of the Hub by its name, which is
    /// downloaded unless it is in the cache.
    /// </summary>
    /// <remarks>
    /// Nothing is requested from the network unless <paramref name="model"/> is a name such as <c>org/name</c> or <c>org/name:Q4_K_M</c> (see <see cref="ModelHub"/>) and no path that
    /// exists. Programs that are trimmed download only if their project sets <c>DecartInferenceHub</c> to true, or through <see cref="ModelHub.DownloadAsync"/>.
    /// <para/>
    /// Without a tokenizer in the checkpoint (<c>tokenizer.json</c> or <c>tokenizer.model</c>; a GGUF file's metadata) the session takes prompts of
    /// token ids only, and the texts of its results are empty.
    /// </remarks>
    /// <param name="model">
    /// The folder or file, or the name of a model on the Hub; of a split GGUF model, its first part. The files are mapped into memory and must not change while the session lives.
    /// </param>
    /// <param name="options">How to compute; <see langword="null"/> for the defaults.</param>
    /// <param name="progress">Receives progress reports, on the loading thread.</param>
    /// <param name="cancellationToken">Cancels loading and frees what has been loaded.</param>
    /// <returns>The session, which the caller disposes. Loading runs on a thread of the pool.</returns>
    /// <exception cref="ArgumentException"><paramref name="model"/> is empty, or an option is out of range.</exception>
    /// <exception cref="ModelLoadException">The model is missing, damaged or not supported; the message names the file and the field.</exception>
    /// <exception cref="ModelHubException"><paramref name="model"/> is the name of a model, which could not be downloaded.</exception>
    /// <exception cref="NotSupportedException"><see cref="LlmSessionOptions.Device"/> or <see cref="LlmSessionOptions.Paging"/> cannot be used.</exception>
    /// <exception cref="OutOfMemoryException">
    /// There is not enough memory for the weights on a GPU, for steps of <see cref="LlmSessionOptions.MaxBatchTokens"/> or for <see cref="LlmSessionOptions.KvCacheBytes"/>
    /// (<see cref="InsufficientMemoryException"/>).
    /// </exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public static Task<LlmSession> LoadAsync(
        string model, LlmSessionOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        options ??= new LlmSessionOptions();
        options.Validate();
        return Task.Run(
            async () =>
            {
                string path = await ModelSource.FindAsync(model, options, progress, cancellationToken).ConfigureAwait(false);
                return Load(model, path, options, progress, cancellationToken);
            },
            cancellationToken);
    }

    /// <summary>What the loaded model is.</summary>
    public ModelInfo Model => _model.Info;

    /// <summary>The model's tokenizer.</summary>
    /// <exception cref="NotSupportedException">The checkpoint has no tokenizer: only prompts of token ids can be used.</exception>
    public ITokenizer Tokenizer => _model.Tokenizer ?? throw _prompts.NoTokenizer("There is no tokenizer to give");

    /// <summary>
    /// The template that writes conversations as prompts: <c>session.GenerateAsync(session.ChatTemplate.Encode(messages))</c>. <see langword="null"/> if the checkpoint
    /// brings none and belongs to no family with a known one: such a model was not trained for chats.
    /// </summary>
    /// <exception cref="ChatTemplateException">The checkpoint's template cannot be read; the message says where.</exception>
    public ChatTemplate? ChatTemplate => _model.ChatTemplate.Value;

    /// <summary>Generates a completion. The calling thread encodes the prompt; the session computes on its own threads.</summary>
    /// <param name="prompt">What to continue.</param>
    /// <param name="options">How to sample and when to stop; <see langword="null"/> for the defaults.</param>
    /// <param name="cancellationToken">Cancels the request and frees its resources.</param>
    /// <returns>The completion; if the session is disposed meanwhile, what has been generated so far, with <see cref="FinishReason.Cancelled"/>.</returns>
    /// <exception cref="ArgumentException">The prompt is empty, or has token ids that the model does not.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="ContextLengthExceededException">
    /// The prompt leaves no room for a completion in the model's context, or in the memory for keys and values.
    /// </exception>
    /// <exception cref="GrammarException">The grammar has no text that fits into the completion, or none that the vocabulary's tokens can make.</exception>
    /// <exception cref="NotSupportedException">
    /// The prompt or a stop sequence is text, or there is a grammar, and the checkpoint has no tokenizer; or it has no output matrix.
    /// </exception>
    /// <exception cref="InvalidOperationException">The model failed while it computed this request; the message says how.</exception>
    /// <exception cref="SessionDrainingException">The session takes no more requests (<see cref="LlmSession.DrainAsync"/>).</exception>
    /// <exception cref="ObjectDisposedException">The session has been disposed.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public async Task<GenerationResult> GenerateAsync(Prompt prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        await GenerationResult.CollectAsync(StreamAsync(prompt, options, cancellationToken)).ConfigureAwait(false);

    /// <summary>Streams a completion token by token. The calling thread encodes and checks the prompt before this returns.</summary>
    /// <param name="prompt">What to continue.</param>
    /// <param name="options">How to sample and when to stop; <see langword="null"/> for the defaults.</param>
    /// <param name="cancellationToken">Cancels the request and frees its resources; so does leaving the enumeration early.</param>
    /// <returns>
    /// The updates; each enumeration is a request of its own. Their texts, concatenated, are exactly the text that
    /// <see cref="GenerateAsync"/> returns. A reader that falls 64 updates behind pauses only its own request.
    /// </returns>
    /// <inheritdoc cref="GenerateAsync" path="/exception"/>
    public IAsyncEnumerable<GenerationUpdate> StreamAsync(Prompt prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        new SequentialStream<GenerationUpdate>(RunAsync(Prepare([], prompt, Validate(options), cancellationToken), kept: null, forgotten: null, cancellationToken));

    /// <summary>Computes the logits of the token that would follow a prompt, as the model gives them: before penalties, bias and temperature.</summary>
    /// <param name="prompt">What would be continued.</param>
    /// <param name="cancellationToken">Cancels the request.</param>
    /// <returns>A new array, with one logit for each token of the vocabulary.</returns>
    /// <exception cref="ArgumentException">The prompt is empty, or has token ids that the model does not.</exception>
    /// <exception cref="ContextLengthExceededException">The prompt is longer than the model's context or than the memory for keys and values holds.</exception>
    /// <exception cref="NotSupportedException">The prompt is text and the checkpoint has no tokenizer; or it has no output matrix.</exception>
    /// <exception cref="InvalidOperationException">
    /// The model failed while it computed this request, or its largest logit is not a finite number: its weights are probably damaged.
    /// </exception>
    /// <exception cref="SessionDrainingException">The session takes no more requests (<see cref="LlmSession.DrainAsync"/>).</exception>
    /// <exception cref="ObjectDisposedException">The session has been disposed.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public async Task<float[]> NextTokenLogitsAsync(Prompt prompt, CancellationToken cancellationToken = default)
    {
        return (await ComputeAsync(TelemetryNames.Operations.Logits, Prepare, cancellationToken).ConfigureAwait(false))!;

        LogitsSequence Prepare()
        {
            RequireOutput();
            return new LogitsSequence(_prompts.EncodeWhole(prompt, cancellationToken));
        }
    }

    /// <summary>Computes how probable each token of a prompt is after those before it: for rerankers and evaluation.</summary>
    /// <remarks>
    /// The log-probabilities are those of <see cref="GenerationResult.Logprobs"/> for the same tokens, bit for bit; only where the rotation of keys depends on a sequence's length (longrope,
    /// dynamic NTK scaling) all tokens are scored as those of one sequence as long as the prompt less its last token. Memory for logits does not grow with the prompt.
    /// </remarks>
    /// <param name="prompt">What to score. Of a text, the special tokens that the model expects around it (usually BOS in front) are part of it.</param>
    /// <param name="topLogprobs">How many of the most probable tokens are told at each position, 0 to 20.</param>
    /// <param name="cancellationToken">Cancels the request and frees its resources.</param>
    /// <returns>
    /// For every token of the prompt but the first, in order, its log-probability: entry i belongs to token i + 1. Nothing stands before the first token, so it has none; the scores of a
    /// prompt of one token are empty.
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="topLogprobs"/> is out of range.</exception>
    /// <inheritdoc cref="NextTokenLogitsAsync" path="/exception"/>
    public async Task<IReadOnlyList<TokenLogprobs>> ScoreAsync(Prompt prompt, int topLogprobs = 0, CancellationToken cancellationToken = default)
    {
        return await ComputeAsync(TelemetryNames.Operations.Score, Prepare, cancellationToken).ConfigureAwait(false) ?? [];

        ScoringSequence? Prepare()
        {
            RequireOutput();
            GenerationOptions.ValidateTopLogprobs(topLogprobs, nameof(topLogprobs));
            int[] tokens = _prompts.EncodeWhole(prompt, cancellationToken);
            ObjectDisposedException.ThrowIf(_disposal.IsValueCreated, this);
            return tokens.Length == 1 ? null : new ScoringSequence(tokens, topLogprobs, _sampler);
        }
    }

    /// <summary>Computes the embedding of a text: the model's hidden states after its final norm, pooled to one vector.</summary>
    /// <remarks>The same prompt has the same embedding, bit for bit, whatever else is computed at the same time.</remarks>
    /// <param name="prompt">What to embed. Of a text, the special tokens that the model expects around it are part of it.</param>
    /// <param name="options">How to pool, and what becomes of the result; <see langword="null"/> for the defaults.</param>
    /// <param name="cancellationToken">Cancels the request and frees its resources.</param>
    /// <returns>A new array of <see cref="ModelInfo.HiddenSize"/> elements, or of as many as <see cref="EmbeddingOptions.Dimensions"/> asks for.</returns>
    /// <exception cref="ArgumentException">The prompt is empty, or has token ids that the model does not.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="ContextLengthExceededException">The prompt is longer than the model's context or than the memory for keys and values holds.</exception>
    /// <exception cref="NotSupportedException">
    /// The prompt is text and the checkpoint has no tokenizer; or the options leave the pooling to the checkpoint, and it asks for what is not there (another kind of pooling, further
    /// layers, attention in both directions).
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The model failed while it computed this request, or its hidden states are not finite numbers: its weights are probably damaged.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The session has been disposed.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public Task<float[]> EmbedAsync(Prompt prompt, EmbeddingOptions? options = null, CancellationToken cancellationToken = default) =>
        PoolAsync(prompt, options ?? EmbeddingOptions.Default, TelemetryNames.Operations.Embeddings, cancellationToken);

    private async Task<float[]> PoolAsync(Prompt prompt, EmbeddingOptions options, string? operation, CancellationToken cancellationToken)
    {
        return options.Finish((await ComputeAsync(operation, Prepare, cancellationToken).ConfigureAwait(false))!);

        EmbeddingSequence Prepare()
        {
            options.Validate(Model.HiddenSize);
            EmbeddingPooling pooling = options.Pooling ?? _model.Pooling.Value;
            int[] tokens = _prompts.EncodeWhole(prompt, cancellationToken);
            if (pooling == EmbeddingPooling.Cls) tokens = tokens[..1]; // it sees no other
            return new EmbeddingSequence(tokens, pooling == EmbeddingPooling.Mean, Model.HiddenSize);
        }
    }

    /// <summary>Starts an empty conversation, whose turns reuse the keys and values of the turns before.</summary>
    /// <exception cref="ObjectDisposedException">The session has been disposed.</exception>
    public Conversation StartConversation()
    {
        ObjectDisposedException.ThrowIf(_disposal.IsValueCreated, this);
        return new Conversation(this, []);
    }

    /// <summary>Takes a snapshot of which sequences hold which pages, between two steps.</summary>
    /// <param name="cancellationToken">Stops waiting for the current step.</param>
    /// <exception cref="ObjectDisposedException">The session has been disposed.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public Task<KvMap> GetKvMapAsync(CancellationToken cancellationToken = default)
    {
        var map = new TaskCompletionSource<KvMap>(TaskCreationOptions.RunContinuationsAsynchronously);
        _engine.Post(() =>
        {
            try
            {
                map.TrySetResult(KvMap.Take(_model.Kv, _scheduler));
            }
            catch (Exception error)
            {
                map.TrySetException(error);
            }
        });
        return map.Task.WaitAsync(cancellationToken);
    }

    /// <summary>A snapshot of the session's counters.</summary>
    public SessionStatistics GetStatistics() => _engine.GetStatistics();

    /// <summary>
    /// Lets the session run out: new requests are refused with a <see cref="SessionDrainingException"/> from now on, completions also after disposal, which is still to follow; those that run or wait go on to
    /// their ends. Any thread, any number of times.
    /// </summary>
    /// <param name="cancellationToken">
    /// Ends the patience: completions that are not finished by then end with <see cref="FinishReason.Cancelled"/> and keep what they have; requests of other kinds end with an
    /// <see cref="ObjectDisposedException"/>.
    /// </param>
    /// <returns>Completes, in either case without an exception, when all requests have ended. What streams have not yet read of them can still be read.</returns>
    public async Task DrainAsync(CancellationToken cancellationToken = default)
    {
        _engine.Drain();
        CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(static engine => ((EngineLoop)engine!).Stop(), _engine);
        await using (registration.ConfigureAwait(false)) await _engine.Drained.ConfigureAwait(false);
    }

    /// <summary>Why the session has failed as a whole, so that it takes no more requests; null while it has not.</summary>
    internal Exception? Failure => _engine.Failure;

    /// <summary>Ends all requests and frees the model, after waiting for the current step.</summary>
    public void Dispose() => _disposal.Value.GetAwaiter().GetResult();

    /// <summary>Ends all requests and frees the model; completes once the current step has ended.</summary>
    public ValueTask DisposeAsync() => new(_disposal.Value);

    /// <summary>Generates a few tokens, or embeds some where the model does no more, so that no request pays for what happens once.</summary>
    internal async Task WarmUpAsync(CancellationToken cancellationToken)
    {
        int[] prompt = new int[Math.Min(16, _prompts.MaxTokens / 2)];
        if (prompt.Length == 0) return;
        if (_model.HasOutput) await GenerateAsync(prompt, new() { MaxTokens = 4, Temperature = 0, IgnoreEndOfText = true, Operation = null }, cancellationToken).ConfigureAwait(false);
        else await PoolAsync(prompt, new EmbeddingOptions { Pooling = EmbeddingPooling.Mean }, operation: null, cancellationToken).ConfigureAwait(false);
    }

    private static LlmSession Load(string name, string path, LlmSessionOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        LoadedModel model = SessionLoader.Load(name, path, options, progress, cancellationToken);
        try
        {
            return new LlmSession(model, options);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private async Task StopAsync()
    {
        _telemetry.Dispose();
        _engine.Stop();
        try
        {
            await _engine.Ended.ConfigureAwait(false);
        }
        finally
        {
            _model.Dispose();
        }
    }

    /// <summary>Has the engine compute a request for one result.</summary>
    /// <param name="operation">What it is for, as listeners are told; null for what they are not told of.</param>
    /// <param name="prepare">Checks what is asked for and makes the request; null if there is nothing to compute.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    private async Task<T?> ComputeAsync<T>(string? operation, Func<ResultSequence<T>?> prepare, CancellationToken cancellationToken)
    {
        using RequestTelemetry? telemetry = _telemetry.Begin(operation);
        try
        {
            if (prepare() is not { } sequence) return default;
            telemetry?.Follow(sequence);
            cancellationToken.ThrowIfCancellationRequested();
            return await ComputeAsync(sequence, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            telemetry?.Fail(error);
            throw;
        }
    }

    private async Task<T> ComputeAsync<T>(ResultSequence<T> sequence, CancellationToken cancellationToken)
    {
        using CancellationTokenRegistration cancellation = _engine.Submit(sequence, cancellationToken);
        try
        {
            return await sequence.Result.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _engine.Cancel(sequence);
        }
    }

    /// <summary>A request for a completion, checked.</summary>
    /// <param name="earlier">The tokens before the prompt.</param>
    /// <param name="prompt">What comes next.</param>
    /// <param name="options">As <see cref="Validate"/> gave them.</param>
    /// <param name="cancellationToken">Cancels the encoding of a long text.</param>
    internal Request Prepare(IReadOnlyCollection<int> earlier, Prompt prompt, GenerationOptions options, CancellationToken cancellationToken)
    {
        long start = _telemetry.Now();
        try
        {
            return new Request(_prompts.EncodeToContinue(earlier, prompt, cancellationToken), options);
        }
        catch (Exception error)
        {
            _telemetry.Begin(options.Operation, start)?.Fail(error);
            throw;
        }
    }

    /// <summary>The options, checked.</summary>
    internal GenerationOptions Validate(GenerationOptions? options)
    {
        options ??= GenerationOptions.Default;
        try
        {
            RequireOutput();
            options.Validate(Model.VocabularySize);
            if (options.StopSequences.Count > 0 && _model.Tokenizer is null) throw _prompts.NoTokenizer("Stop sequences cannot be found");
            if (options.Grammar is not null && _model.Tokenizer is null) throw _prompts.NoTokenizer("A grammar cannot be followed");
            return options;
        }
        catch (Exception error)
        {
            _telemetry.Begin(options.Operation)?.Fail(error);
            throw;
        }
    }

    private void RequireOutput()
    {
        if (!_model.HasOutput) throw new NotSupportedException($"{Model.Source} was saved without its output matrix: it embeds texts, but cannot generate or score them.");
    }

    /// <summary>Has the engine compute a request and passes its updates on.</summary>
    /// <param name="request">What to compute.</param>
    /// <param name="kept">What a conversation keeps of its previous turns; null for a request that stands alone.</param>
    /// <param name="forgotten">Called when the garbage collector finds that the enumeration was abandoned without being disposed.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    internal async IAsyncEnumerable<GenerationUpdate> RunAsync(
        Request request, KeptKv? kept, Action? forgotten, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using SequenceReader reader = Submit(request, kept, forgotten, cancellationToken);
        while (await reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            while (reader.TryRead(out GenerationUpdate? update))
            {
                cancellationToken.ThrowIfCancellationRequested();
                LogUpdate(update, request.Prompt.Length);
                yield return update;
            }
        }
    }

    private SequenceReader Submit(Request request, KeptKv? kept, Action? forgotten, CancellationToken cancellationToken)
    {
        RequestTelemetry? telemetry = _telemetry.Begin(request.Options.Operation);
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            // Resolved for each enumeration: without a seed, each draws its own.
            SamplingParameters parameters = SamplingParameters.Resolve(request.Options, _model.Defaults);
            int contextLength = Math.Min(Model.ContextLength, _model.Kv.CapacityTokens + 1);
            GrammarMatcher? grammar = _grammars?.Match(request.Options, Math.Min(parameters.MaxTokens, contextLength - request.Prompt.Length));
            var sequence = new GenerationSequence(
                request.Prompt,
                parameters,
                _sampler,
                new CompletionText(_model.Tokenizer, EndConditions.Create(request.Options, _model.Tokenizer, _model.EndOfTextTokens), request.Options.WrittenTokens),
                contextLength,
                kept,
                grammar);
            telemetry?.Follow(sequence, parameters, request.Options);
            _logger.RequestReceived(request.Prompt.Length, parameters.MaxTokens);
            CancellationTokenRegistration cancellation = _engine.Submit(sequence, cancellationToken);
            return new SequenceReader(_engine, sequence, cancellation, telemetry, forgotten);
        }
        catch (Exception error)
        {
            telemetry?.Fail(error);
            throw;
        }
    }

    /// <summary>Has the engine's thread change what a conversation keeps; after the session's end there is nothing to change.</summary>
    internal void PostToEngine(Action<KeptCaches> action)
    {
        try
        {
            _engine.Post(() => action(_scheduler.Kept));
        }
        catch (Exception error) when (error is ObjectDisposedException or InvalidOperationException)
        {
            // The engine has ended, and with it all that was kept.
        }
    }

    private void LogUpdate(GenerationUpdate update, int promptTokens)
    {
        _logger.TextGenerated(update.Text);
        if (update is { FinishReason: { } reason, Usage: { } usage })
            _logger.RequestEnded(reason, promptTokens, usage.CompletionTokens, usage.TimeToFirstToken, usage.TimePerOutputToken);
    }

    /// <param name="Prompt">The tokens, checked.</param>
    /// <param name="Options">Checked.</param>
    internal sealed record Request(int[] Prompt, GenerationOptions Options);
}
