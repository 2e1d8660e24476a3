using System.Collections.Frozen;
using System.Runtime.CompilerServices;
using System.Text;
using Decart.Inference.Engine;
using Decart.Inference.Sampling;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference;

/// <summary>
/// A language model in memory, ready to generate. Any number of threads may use one session at once: their requests are computed
/// together, step by step, and none depends on the others.
/// </summary>
/// <remarks>
/// Dispose the session to free the model; requests still running then end with <see cref="FinishReason.Cancelled"/>. A session that is
/// forgotten keeps its thread and its memory until the process ends.
/// </remarks>
public sealed class LlmSession : IAsyncDisposable, IDisposable
{
    private readonly LoadedModel _model;
    private readonly EngineLoop _engine;
    private readonly Sampler _sampler;
    private readonly ILogger _logger;
    private readonly Lazy<Task> _disposal;

    internal LlmSession(LoadedModel model, LlmSessionOptions options)
    {
        _model = model;
        _logger = options.LoggerFactory?.CreateLogger<LlmSession>() ?? NullLogger<LlmSession>.Instance;
        _logger.ModelLoaded(Model.Architecture, Model.Source, Model.Device, Model.VocabularySize, Model.ContextLength);
        _sampler = new Sampler(model.Decoder.VocabularySize);
        _disposal = new Lazy<Task>(StopAsync);
        _engine = new EngineLoop(model.Decoder, new Scheduler(options.MaxBatchTokens, options.MaxConcurrentSequences), _logger);
    }

    /// <summary>Loads a model: a folder with <c>config.json</c> and safetensors files (as on the Hugging Face Hub), or a GGUF file.</summary>
    /// <remarks>
    /// Without a tokenizer in the checkpoint (<c>tokenizer.json</c> or <c>tokenizer.model</c>; a GGUF file's metadata) the session takes prompts of
    /// token ids only, and the texts of its results are empty.
    /// </remarks>
    /// <param name="model">
    /// The folder or file; of a split GGUF model, its first part. The files are mapped into memory and must not change while the session lives.
    /// </param>
    /// <param name="options">How to compute; <see langword="null"/> for the defaults.</param>
    /// <param name="progress">Told how far loading has come, on the loading thread.</param>
    /// <param name="cancellationToken">Stops loading; what has been loaded is freed.</param>
    /// <returns>The session, which the caller disposes. Loading runs on a thread of the pool.</returns>
    /// <exception cref="ArgumentException"><paramref name="model"/> is empty, or an option is out of range.</exception>
    /// <exception cref="ModelLoadException">The model is missing, damaged or not supported; the message names file and field.</exception>
    /// <exception cref="NotSupportedException"><see cref="LlmSessionOptions.Device"/> cannot be used.</exception>
    /// <exception cref="OutOfMemoryException">There is not enough memory for steps of <see cref="LlmSessionOptions.MaxBatchTokens"/>.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public static Task<LlmSession> LoadAsync(
        string model, LlmSessionOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        options ??= new LlmSessionOptions();
        options.Validate();
        return Task.Run(() => Load(model, options, progress, cancellationToken), cancellationToken);
    }

    /// <summary>What the loaded model is.</summary>
    public ModelInfo Model => _model.Info;

    /// <summary>The model's tokenizer.</summary>
    /// <exception cref="NotSupportedException">The checkpoint has no tokenizer: only prompts of token ids can be used.</exception>
    public ITokenizer Tokenizer => _model.Tokenizer ?? throw NoTokenizer("There is no tokenizer to give");

    /// <summary>Generates a completion of a prompt. The calling thread encodes the prompt; the rest happens elsewhere.</summary>
    /// <param name="prompt">What to continue.</param>
    /// <param name="options">How to choose tokens and when to end; <see langword="null"/> for the defaults.</param>
    /// <param name="cancellationToken">Ends the request at any moment and frees what it uses.</param>
    /// <returns>The completion. With a session that is disposed meanwhile, what was generated until then, with <see cref="FinishReason.Cancelled"/>.</returns>
    /// <exception cref="ArgumentException">The prompt is empty or names token ids that the model does not have.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="ContextLengthExceededException">The prompt leaves no room for a completion in the model's context.</exception>
    /// <exception cref="NotSupportedException">The prompt or a stop sequence is text and the checkpoint has no tokenizer.</exception>
    /// <exception cref="InvalidOperationException">The model failed while it computed this request; the message says how.</exception>
    /// <exception cref="ObjectDisposedException">The session has been disposed.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public async Task<GenerationResult> GenerateAsync(Prompt prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        Request request = Prepare(prompt, options);
        var text = new StringBuilder();
        List<int> tokens = [];
        List<TokenLogprobs>? logprobs = request.Options.TopLogprobs is null ? null : [];
        GenerationUpdate? last = null;
        await foreach (GenerationUpdate update in RunAsync(request, cancellationToken).ConfigureAwait(false))
        {
            text.Append(update.Text);
            tokens.AddRange(update.TokenIds);
            if (update.Logprobs is not null) logprobs?.AddRange(update.Logprobs);
            last = update;
        }
        return new GenerationResult
        {
            Text = text.ToString(),
            TokenIds = tokens,
            Logprobs = logprobs,
            FinishReason = last!.FinishReason!.Value,
            Usage = last.Usage!,
        };
    }

    /// <summary>Generates a completion of a prompt and passes it on token by token. The calling thread encodes and checks the prompt at once.</summary>
    /// <param name="prompt">What to continue.</param>
    /// <param name="options">How to choose tokens and when to end; <see langword="null"/> for the defaults.</param>
    /// <param name="cancellationToken">Ends the request at any moment and frees what it uses; so does leaving the enumeration early.</param>
    /// <returns>
    /// The updates; each enumeration is a request of its own. Their texts, one after another, are precisely the text that
    /// <see cref="GenerateAsync"/> returns. The model does not wait for a slow reader.
    /// </returns>
    /// <inheritdoc cref="GenerateAsync" path="/exception"/>
    public IAsyncEnumerable<GenerationUpdate> StreamAsync(Prompt prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        RunAsync(Prepare(prompt, options), cancellationToken);

    /// <summary>Computes the logits of the token that would follow a prompt, as the model gives them: before penalties, bias and temperature.</summary>
    /// <param name="prompt">What would be continued.</param>
    /// <param name="cancellationToken">Ends the request at any moment.</param>
    /// <returns>A new array of one logit for each token of the vocabulary.</returns>
    /// <exception cref="ArgumentException">The prompt is empty or names token ids that the model does not have.</exception>
    /// <exception cref="ContextLengthExceededException">The prompt is longer than the model's context.</exception>
    /// <exception cref="NotSupportedException">The prompt is text and the checkpoint has no tokenizer.</exception>
    /// <exception cref="InvalidOperationException">The model failed while it computed this request; the message says how.</exception>
    /// <exception cref="ObjectDisposedException">The session has been disposed.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public async Task<float[]> NextTokenLogitsAsync(Prompt prompt, CancellationToken cancellationToken = default)
    {
        int[] tokens = Encode(prompt, maxTokens: Model.ContextLength);
        cancellationToken.ThrowIfCancellationRequested();
        var sequence = new LogitsSequence(tokens);
        _engine.Submit(sequence);
        try
        {
            return await sequence.Logits.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            sequence.Cancel();
        }
    }

    /// <summary>The session's counters at this moment.</summary>
    public SessionStatistics GetStatistics() => _engine.GetStatistics();

    /// <summary>Ends all requests and frees the model; waits for the step that is being computed.</summary>
    public void Dispose() => _disposal.Value.GetAwaiter().GetResult();

    /// <summary>Ends all requests and frees the model; completes when the step that is being computed has ended.</summary>
    public ValueTask DisposeAsync() => new(_disposal.Value);

    private static LlmSession Load(string path, LlmSessionOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        LoadedModel model = SessionLoader.Load(path, options, progress, cancellationToken);
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

    private Request Prepare(Prompt prompt, GenerationOptions? options)
    {
        options ??= GenerationOptions.Default;
        options.Validate(Model.VocabularySize);
        if (options.StopSequences.Count > 0 && _model.Tokenizer is null) throw NoTokenizer("Stop sequences cannot be found");
        return new Request(Encode(prompt, maxTokens: Model.ContextLength - 1), options);
    }

    /// <summary>The prompt's tokens, checked; token ids are copied, so that they stay what was checked.</summary>
    private int[] Encode(Prompt prompt, int maxTokens)
    {
        int[] tokens = prompt.Text is null ? prompt.TokenIds.ToArray() : EncodeText(prompt.Text);
        if (tokens.Length == 0) throw new ArgumentException("The prompt is empty: at least one token is needed to continue from.", nameof(prompt));
        if (tokens.Length > maxTokens) throw new ContextLengthExceededException(tokens.Length, maxTokens);
        foreach (int id in tokens)
        {
            if ((uint)id >= (uint)Model.VocabularySize)
                throw new ArgumentException($"The prompt has the token id {id}; the model's go from 0 to {Model.VocabularySize - 1}.", nameof(prompt));
        }
        return tokens;
    }

    private int[] EncodeText(string text)
    {
        if (_model.Tokenizer is null) throw NoTokenizer("A prompt of text cannot be encoded");
        _logger.PromptReceived(text);
        return [.. _model.Tokenizer.Encode(text)];
    }

    private NotSupportedException NoTokenizer(string consequence) =>
        new($"{consequence}: {Model.Source} has no tokenizer. Give prompts as token ids.");

    private async IAsyncEnumerable<GenerationUpdate> RunAsync(Request request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        // Resolved for each enumeration: without a seed, each draws its own.
        SamplingParameters parameters = SamplingParameters.Resolve(request.Options, _model.Defaults);
        var sequence = new GenerationSequence(
            request.Prompt,
            parameters,
            _sampler,
            new CompletionText(_model.Tokenizer, request.Options.StopSequences),
            request.Options.IgnoreEndOfText ? FrozenSet<int>.Empty : _model.EndOfTextTokens,
            Model.ContextLength);
        _logger.RequestReceived(request.Prompt.Length, parameters.MaxTokens);
        // Cancels also while the reader is busy elsewhere with an update, not only while it waits for the next.
        using CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(state => ((GenerationSequence)state!).Cancel(), sequence);
        _engine.Submit(sequence);
        try
        {
            while (await sequence.Updates.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
            {
                while (sequence.Updates.TryRead(out GenerationUpdate? update))
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    LogUpdate(update, request.Prompt.Length);
                    yield return update;
                }
            }
        }
        finally
        {
            sequence.Cancel();
        }
    }

    private void LogUpdate(GenerationUpdate update, int promptTokens)
    {
        _logger.TextGenerated(update.Text);
        if (update is { FinishReason: { } reason, Usage: { } usage })
            _logger.RequestEnded(reason, promptTokens, usage.CompletionTokens, usage.TimeToFirstToken, usage.TimePerOutputToken);
    }

    private sealed record Request(int[] Prompt, GenerationOptions Options);
}
