using System.Collections.Frozen;
using System.Diagnostics;
using System.Threading.Channels;
using Decart.Inference.Sampling;

namespace Decart.Inference.Engine;

/// <summary>A request for a completion: samples its tokens, turns them into text and passes both on to the caller as they come.</summary>
internal sealed class GenerationSequence : Sequence
{
    private readonly SamplingParameters _parameters;
    private readonly Sampler _sampler;
    private readonly TokenCounts? _counts;
    private readonly CompletionText _text;
    private readonly FrozenSet<int> _endOfText;
    private readonly int _maxLength;
    private readonly long _arrival = Stopwatch.GetTimestamp();
    private long _firstToken;
    private long _lastToken;
    private GenerationUpdate? _accepted;

    // Holds at most MaxTokens updates: a slow reader never holds up the loop.
    private readonly Channel<GenerationUpdate> _updates = Channel.CreateUnbounded<GenerationUpdate>(new UnboundedChannelOptions { SingleReader = true });

    /// <param name="prompt">At least one token, fewer than <paramref name="contextLength"/>.</param>
    /// <param name="parameters">How tokens are chosen.</param>
    /// <param name="sampler">The loop's sampler.</param>
    /// <param name="text">Turns tokens into text.</param>
    /// <param name="endOfText">The tokens that end the completion.</param>
    /// <param name="contextLength">The most tokens of prompt and completion together.</param>
    public GenerationSequence(
        ReadOnlySpan<int> prompt, SamplingParameters parameters, Sampler sampler, CompletionText text, FrozenSet<int> endOfText, int contextLength)
        : base(prompt)
    {
        _parameters = parameters;
        _sampler = sampler;
        _counts = parameters.HasPenalties ? new TokenCounts(prompt) : null;
        _text = text;
        _endOfText = endOfText;
        _maxLength = Math.Min(parameters.MaxTokens, contextLength - prompt.Length);
    }

    public ChannelReader<GenerationUpdate> Updates => _updates.Reader;

    public override bool Accept(Span<float> logits)
    {
        int token = _sampler.Sample(logits, _parameters, _counts, CompletionLength, out TokenLogprobs? logprobs);
        Append(token);
        _counts?.Add(token);
        _lastToken = Stopwatch.GetTimestamp();
        if (CompletionLength == 1) _firstToken = _lastToken;

        bool ended = _endOfText.Contains(token);
        string text = ended ? "" : _text.Append(token);
        bool last = ended || _text.Stopped || CompletionLength == _maxLength;
        if (last) text += _text.Flush();
        FinishReason? reason = !last ? null : ended || _text.Stopped ? FinishReason.Stop : FinishReason.Length;
        _accepted = new GenerationUpdate
        {
            Text = text,
            TokenIds = [token],
            Logprobs = logprobs is null ? null : [logprobs],
            FinishReason = reason,
            Usage = last ? Usage() : null,
        };
        return last;
    }

    public override void Publish()
    {
        _updates.Writer.TryWrite(_accepted!);
        if (_accepted!.FinishReason is not null) _updates.Writer.TryComplete();
    }

    public override void Fail(Exception error) => _updates.Writer.TryComplete(error);

    public override void Abandon()
    {
        string text = _text.Flush();
        _updates.Writer.TryWrite(new GenerationUpdate { Text = text, FinishReason = FinishReason.Cancelled, Usage = Usage() });
        _updates.Writer.TryComplete();
    }

    private Usage Usage() => new(
        PromptLength,
        CachedPromptTokens: 0,
        CompletionLength,
        CompletionLength < 1 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(_arrival, _firstToken),
        CompletionLength < 2 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(_firstToken, _lastToken) / (CompletionLength - 1));
}
