using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Decart.Inference.Grammars;
using Decart.Inference.Kernels;
using Decart.Inference.Models;
using Decart.Inference.Sampling;

namespace Decart.Inference.Engine;

/// <summary>A request for a completion: samples its tokens, turns them into text and passes both on to the caller as they come.</summary>
internal sealed class GenerationSequence : Sequence
{
    /// <summary>Updates that a caller may lag behind before its sequence waits for it.</summary>
    public const int MaxUnreadUpdates = 64;

    /// <summary>A sequence that waits for its reader goes on when fewer updates are left, so that it does not run for every single one.</summary>
    private const int UnreadUpdatesToGoOn = MaxUnreadUpdates / 2;

    private readonly SamplingParameters _parameters;
    private readonly Sampler _sampler;
    private TokenCounts? _counts; // of the host's sampler
    private readonly CompletionText _text;
    private readonly GrammarMatcher? _grammar;
    private readonly int _maxLength;
    private readonly long _arrival = Stopwatch.GetTimestamp();
    private long _firstToken;
    private long _lastToken;
    private volatile GenerationUpdate? _accepted;
    private volatile Exception? _failure;

    // One place more than the loop fills, for the update that ends a request whose reader lags behind.
    private readonly Channel<GenerationUpdate> _updates =
        Channel.CreateBounded<GenerationUpdate>(new BoundedChannelOptions(MaxUnreadUpdates + 1) { SingleReader = true, SingleWriter = true });
    private int _unread;

    /// <param name="prompt">At least one token, fewer than <paramref name="contextLength"/>.</param>
    /// <param name="parameters">How tokens are chosen.</param>
    /// <param name="sampler">The loop's sampler.</param>
    /// <param name="text">Turns tokens into text and says which of them end it.</param>
    /// <param name="contextLength">The most tokens of prompt and completion together.</param>
    /// <param name="kept">See <see cref="Sequence"/>.</param>
    /// <param name="grammar">What the completion must look like; null for anything. For masked parameters.</param>
    public GenerationSequence(
        ReadOnlySpan<int> prompt,
        SamplingParameters parameters,
        Sampler sampler,
        CompletionText text,
        int contextLength,
        KeptKv? kept = null,
        GrammarMatcher? grammar = null)
        : base(prompt, prompt.Length + Math.Min(parameters.MaxTokens, contextLength - prompt.Length) - 1, parameters.Priority, kept)
    {
        _parameters = parameters;
        _sampler = sampler;
        _text = text;
        _grammar = grammar;
        _maxLength = Math.Min(parameters.MaxTokens, contextLength - prompt.Length);
    }

    /// <summary>The latest update, which its reader may not have read yet; null before the first token. Any thread.</summary>
    public GenerationUpdate? Latest => _accepted;

    /// <summary>Why it failed; null unless it did. Any thread.</summary>
    public Exception? Failure => _failure;

    public override bool WantsLogits => _parameters.TopLogprobs is not null;

    public override bool IsMasked => _grammar is not null;

    public override bool HasRoom => Volatile.Read(ref _unread) + PendingTokens < (IsPaused ? UnreadUpdatesToGoOn : MaxUnreadUpdates);

    /// <summary>Waits for the next update. For the one reader.</summary>
    /// <returns>False once the request has ended.</returns>
    public ValueTask<bool> WaitToReadAsync(CancellationToken cancellationToken) => _updates.Reader.WaitToReadAsync(cancellationToken);

    /// <summary>Takes an update if one is there.</summary>
    /// <param name="update">The update.</param>
    /// <param name="madeRoom">Whether the sequence may have been waiting for this.</param>
    public bool TryRead([NotNullWhen(true)] out GenerationUpdate? update, out bool madeRoom)
    {
        bool read = _updates.Reader.TryRead(out update);
        madeRoom = read && Interlocked.Decrement(ref _unread) == UnreadUpdatesToGoOn - 1;
        return read;
    }

    public override bool Accept(Span<float> logits)
    {
        if (_parameters.HasPenalties) _counts ??= new TokenCounts(Tokens);
        TokenMask? mask = IsMasked ? NextMask() : null;
        int token = _sampler.Sample(logits, _parameters, _counts, CompletionLength, out TokenLogprobs? logprobs, mask);
        _counts?.Add(token);
        return Accept(token, logprobs);
    }

    public override bool Accept(int token) => token >= 0 ? Accept(token, logprobs: null) : throw NoToken.Error(token);

    public override bool Accept(int token, ReadOnlySpan<float> logits) =>
        token >= 0 ? Accept(token, _sampler.Logprobs(token, logits, _parameters.TopLogprobs!.Value)) : throw NoToken.Error(token);

    public override TokenMask NextMask() => _grammar!.Next(_maxLength - CompletionLength);

    public override void Publish()
    {
        Interlocked.Increment(ref _unread);
        _updates.Writer.TryWrite(_accepted!);
        if (_accepted!.FinishReason is not null) _updates.Writer.TryComplete();
    }

    public override void Fail(Exception error)
    {
        _failure = error;
        _updates.Writer.TryComplete(error);
    }

    public override void Abandon()
    {
        string text = _text.Flush();
        _accepted = new GenerationUpdate { Text = text, FinishReason = FinishReason.Cancelled, Usage = Usage() };
        _updates.Writer.TryWrite(_accepted);
        _updates.Writer.TryComplete();
    }

    protected override SequenceSampler? CreateSampler(IDecoder decoder) => decoder.CreateSampler(_parameters, Tokens);

    private bool Accept(int token, TokenLogprobs? logprobs)
    {
        Append(token);
        _lastToken = Stopwatch.GetTimestamp();
        if (CompletionLength == 1) _firstToken = _lastToken;

        string text = _text.Append(token);
        if (!_text.Stopped) _grammar?.Accept(token);
        bool isAtEnd = _grammar is { IsAtEnd: true };
        bool isCut = !isAtEnd && (CompletionLength == _maxLength || (!_text.Stopped && _grammar?.IsCut(_maxLength - CompletionLength) is true));
        bool stops = _text.Stopped || _grammar is { EndsByItself: true } || (CompletionLength == _maxLength && isAtEnd);
        bool last = stops || isCut;
        if (last) text += _text.Flush();
        FinishReason? reason = !last ? null : stops ? FinishReason.Stop : FinishReason.Length;
        _accepted = new GenerationUpdate
        {
            Text = text,
            TokenIds = [token],
            Logprobs = logprobs is null ? null : [logprobs],
            FinishReason = reason,
            StopSequence = _text.StopSequence,
            StopTokenId = _text.StopTokenId,
            Usage = last ? Usage() : null,
        };
        return last;
    }

    private Usage Usage() => new(
        PromptLength,
        CachedPromptTokens ?? 0,
        CompletionLength,
        CompletionLength < 1 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(_arrival, _firstToken),
        CompletionLength < 2 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(_firstToken, _lastToken) / (CompletionLength - 1));
}
