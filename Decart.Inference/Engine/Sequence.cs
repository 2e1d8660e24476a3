using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Sampling;

namespace Decart.Inference.Engine;

/// <summary>
/// All state of one request. The engine loop's thread owns it from its submission to its end; other threads may only call
/// <see cref="Cancel"/> and read what it passes on to its caller.
/// </summary>
internal abstract class Sequence : IComparable<Sequence>
{
    /// <summary>Tokens of a completion for which there is room from the start, so that steps allocate nothing.</summary>
    private const int RoomForCompletion = 1024;

    private int[] _tokens; // an array, not a list: at thousands of sequences a step costs what it touches
    private int _promptTokensDone;
    private volatile SequenceState _state;
    private volatile bool _cancelled;

    /// <param name="prompt">At least one token.</param>
    /// <param name="maxTokens">The most tokens, prompt included, whose keys and values will be stored.</param>
    /// <param name="priority">The greater, the earlier its turn.</param>
    /// <param name="kept">Where its keys and values come from and go to, for a turn of a conversation.</param>
    protected Sequence(ReadOnlySpan<int> prompt, int maxTokens, int priority = 0, KeptKv? kept = null)
    {
        _tokens = new int[prompt.Length + Math.Clamp(maxTokens - prompt.Length + 1, 0, RoomForCompletion)];
        prompt.CopyTo(_tokens);
        Length = prompt.Length;
        LastToken = prompt[^1];
        PromptLength = prompt.Length;
        MaxTokens = maxTokens;
        Priority = priority;
        Kept = kept;
    }

    /// <summary>Prompt and completion.</summary>
    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, Length);

    /// <summary>Number of <see cref="Tokens"/>.</summary>
    public int Length { get; private set; }

    /// <summary>Tokens that steps in flight choose on the device: it knows them before the host does.</summary>
    public int PendingTokens { get; private set; }

    /// <summary>The row of its step's logits that the latest pending token is chosen from.</summary>
    public int PendingRow { get; private set; }

    /// <summary>Number of tokens, the pending ones included.</summary>
    public int ExpectedLength => Length + PendingTokens;

    /// <summary>How many of its tokens are in steps that have been started and not been looked at.</summary>
    public int TokensInFlight { get; private set; }

    /// <summary>How far it has come. Any thread may read it.</summary>
    public SequenceState State => _state;

    /// <summary>Whether it is complete or has failed. Steps in flight may still write to its keys and values.</summary>
    public bool HasEnded => State >= SequenceState.Ending;

    /// <summary>Whether it waits for its reader to catch up.</summary>
    public bool IsPaused => State is SequenceState.Paused or SequenceState.Evicted;

    /// <summary>Why it has ended; null unless it has failed.</summary>
    public Exception? Error { get; set; }

    /// <summary>Samples its tokens where the logits are; null where the host does, and before <see cref="AskForSampler"/>.</summary>
    public SequenceSampler? DeviceSampler { get; private set; }

    public bool HasAskedForSampler { get; private set; }

    /// <summary>Whether it needs the model's logits even where the device samples its tokens: who samples must not depend on what a caller asks to see.</summary>
    public virtual bool WantsLogits => false;

    /// <summary>Whether its next token is chosen under a mask that depends on the token before it.</summary>
    public virtual bool IsMasked => false;

    /// <summary>What it reads of each of its tokens, in place of the logits after the last.</summary>
    public virtual RowOutput Rows => RowOutput.None;

    /// <summary>How many of its first tokens need not be computed if others have computed them; at least one token is left.</summary>
    public virtual int ReusableTokens => Length - 1;

    /// <summary>The last of <see cref="Tokens"/>: all that a step of decoding needs of them.</summary>
    public int LastToken { get; private set; }

    public int PromptLength { get; }

    public int CompletionLength => Length - PromptLength;

    /// <summary>The most tokens whose keys and values will be stored.</summary>
    public int MaxTokens { get; }

    public int Priority { get; }

    /// <summary>What a conversation keeps between its turns; null for a request that stands alone.</summary>
    public KeptKv? Kept { get; }

    /// <summary>Its place in the order of arrivals, given by the scheduler.</summary>
    public long Arrival { get; set; }

    /// <summary>Its keys and values; null while it waits.</summary>
    public KvCache? Kv { get; private set; }

    /// <summary>The slot of <see cref="Kv"/>, whose extent is found by it without touching more; -1 while there is none.</summary>
    public int KvSlot { get; private set; } = -1;

    /// <summary>How many tokens have their keys and values stored, or will have by steps that have been started.</summary>
    public int Computed => Kv is null ? 0 : Kv.Tokens;

    /// <summary>Tokens to compute before the next one can be chosen: 1 while decoding, more while the prompt is computed.</summary>
    public int Remaining => ExpectedLength - Computed;

    /// <summary>How many of the prompt's tokens were there when it first ran; null before.</summary>
    public int? CachedPromptTokens { get; private set; }

    /// <summary>Whether the caller has gone: the sequence is freed before the next step.</summary>
    public bool IsCancelled => _cancelled;

    /// <summary>Whether the caller still has room for what the next step gives.</summary>
    public virtual bool HasRoom => true;

    /// <summary>Changes the state; for <see cref="SequenceLists"/>.</summary>
    public void Enter(SequenceState state) => _state = state;

    /// <summary>It gets what it needs to run: room for its keys and values, and those that are there already.</summary>
    public void Begin(KvCache kv)
    {
        (Kv, KvSlot) = (kv, kv.Slot);
        CachedPromptTokens ??= Math.Min(kv.Tokens, PromptLength);
    }

    /// <summary>Takes its keys and values away, if it has any.</summary>
    public KvCache? TakeKv()
    {
        KvCache? kv = Kv;
        (Kv, KvSlot) = (null, -1);
        return kv;
    }

    /// <summary>Has the device sample its tokens if it can. Before the first is sampled.</summary>
    /// <exception cref="OutOfMemoryException">The device has no room for what it needs.</exception>
    public void AskForSampler(IDecoder decoder)
    {
        if (!HasAskedForSampler) DeviceSampler = CreateSampler(decoder);
        HasAskedForSampler = true;
    }

    /// <summary>Gives back what the device holds to sample its tokens.</summary>
    public void DisposeSampler()
    {
        DeviceSampler?.Dispose();
        DeviceSampler = null;
    }

    /// <summary>A step with its next tokens is started.</summary>
    /// <param name="kv">How far its keys and values reach.</param>
    /// <param name="length">How many tokens.</param>
    /// <returns>How many of them are tokens of the prompt that have never been computed before.</returns>
    public int Start(ref KvExtent kv, int length)
    {
        int before = kv.Tokens;
        kv.Append(length);
        TokensInFlight += length;
        if (_promptTokensDone == PromptLength) return 0;
        before = Math.Max(before, _promptTokensDone);
        _promptTokensDone = Math.Max(before, Math.Min(kv.Tokens, PromptLength));
        return _promptTokensDone - before;
    }

    /// <summary>The step that is being started lets the device choose the next token, from a row of the logits.</summary>
    public void ExpectToken(int row)
    {
        PendingTokens++;
        PendingRow = row;
    }

    /// <summary>The step could not be started after all.</summary>
    /// <param name="kv">How far its keys and values reach.</param>
    /// <param name="length">How many tokens.</param>
    /// <param name="chosen">Whether the device was to choose its next token.</param>
    /// <returns>How many tokens of the prompt are to be computed again.</returns>
    public int TakeBack(ref KvExtent kv, int length, bool chosen)
    {
        kv.TakeBack(length);
        TokensInFlight -= length;
        if (chosen) PendingTokens--;
        int before = _promptTokensDone;
        _promptTokensDone = Math.Min(before, kv.Tokens);
        return before - _promptTokensDone;
    }

    /// <summary>A step that was started is done; what it has given is accepted after this.</summary>
    /// <param name="length">How many tokens.</param>
    /// <param name="chosen">Whether the device has chosen its next token.</param>
    public void Finish(int length, bool chosen)
    {
        TokensInFlight -= length;
        if (chosen) PendingTokens--;
    }

    /// <summary>Prefetches the tokens that a step needs.</summary>
    public void PrefetchTokens()
    {
        Prefetch.Start(_tokens);
        Prefetch.Element(_tokens, Length);
    }

    /// <summary>Takes the logits that follow the last token; they may be overwritten.</summary>
    /// <returns>Whether the request is complete.</returns>
    public virtual bool Accept(Span<float> logits) => throw new NotSupportedException("It wants no logits that follow its last token.");

    /// <summary>Takes what a step has computed of its next tokens, where <see cref="Rows"/> says so; perhaps not for the first time.</summary>
    /// <returns>Whether the request is complete.</returns>
    public virtual bool Accept(ComputedRows rows) => throw new NotSupportedException("It reads no rows.");

    /// <summary>Takes the token that the device has chosen, or a code of <see cref="NoToken"/>.</summary>
    /// <returns>Whether the request is complete.</returns>
    public virtual bool Accept(int token) => throw new NotSupportedException("The device chooses none of its tokens.");

    /// <summary>Takes such a token along with the model's logits, where <see cref="WantsLogits"/> says so.</summary>
    /// <returns>Whether the request is complete.</returns>
    public virtual bool Accept(int token, ReadOnlySpan<float> logits) => Accept(token);

    /// <summary>The mask of its next token, where <see cref="IsMasked"/> says so; only while no token is pending but that one.</summary>
    public virtual TokenMask NextMask() => throw new NotSupportedException("Its tokens have no masks.");

    /// <summary>Passes on to the caller what the last logits gave, and ends the request if it is complete.</summary>
    public abstract void Publish();

    /// <summary>Ends the request with an error.</summary>
    public abstract void Fail(Exception error);

    /// <summary>Ends the request because the session is disposed.</summary>
    public abstract void Abandon();

    /// <summary>Marks the sequence as cancelled; <see cref="EngineLoop.Cancel"/> tells the loop too. Harmless after the end.</summary>
    public void Cancel() => _cancelled = true;

    /// <summary>The order of turns: by priority, then first come, first served.</summary>
    public int CompareTo(Sequence? other)
    {
        if (other is null) return 1;
        int byPriority = other.Priority.CompareTo(Priority);
        return byPriority != 0 ? byPriority : Arrival.CompareTo(other.Arrival);
    }

    /// <summary>See <see cref="IDecoder.CreateSampler"/>; null when the logits are wanted.</summary>
    protected virtual SequenceSampler? CreateSampler(IDecoder decoder) => null;

    protected void Append(int token)
    {
        if (Length == _tokens.Length) Array.Resize(ref _tokens, 2 * Length);
        _tokens[Length++] = token;
        LastToken = token;
    }
}
