using System.Runtime.InteropServices;
using Decart.Inference.Kernels;
using Decart.Inference.Memory;

namespace Decart.Inference.Engine;

/// <summary>The next tokens of one sequence, which a step computes.</summary>
internal struct StepChunk
{
    /// <summary>Whose tokens they are.</summary>
    public Sequence Sequence;

    /// <summary>How many.</summary>
    public int Length;

    /// <summary>The row of the logits after the last of them; -1 when they are not wanted.</summary>
    public int LogitRow;

    /// <summary>Whether the device chooses the token that follows.</summary>
    public bool OnDevice;
}

/// <summary>A sequence whose tokens fill at least one page.</summary>
/// <param name="Kv">Its keys and values.</param>
/// <param name="Sequence">The sequence.</param>
/// <param name="Tokens">How many of its tokens are stored then.</param>
internal readonly record struct FilledPage(KvCache Kv, Sequence Sequence, int Tokens)
{
    /// <summary>Those tokens, once the step is done; not of a sequence that has ended before.</summary>
    public ReadOnlySpan<int> Stored => Sequence.Tokens[..Tokens];
}

/// <summary>
/// One step: what the scheduler has chosen for it, of that what it computes and, once it has been started, what it has been asked to sample. Used again and
/// again by the loop's thread.
/// </summary>
internal sealed class EngineStep
{
    private readonly List<SampledRow> _sampledRows = [];
    private readonly List<FilledPage> _filled = [];
    private readonly List<Sequence> _failed = [];
    private StepChunk[] _chunks = []; // those that have been added take the places of the scheduled ones, which are as many or more
    private int _scheduled, _added;
    private bool _wantsLogits, _isMasked, _readsRows;

    public Batch Batch { get; } = new();

    /// <summary>What is to be added, unless its sequences fail before.</summary>
    public ReadOnlySpan<StepChunk> Scheduled => _chunks.AsSpan(0, _scheduled);

    /// <summary>The sequences that could not be set up for it: they have ended, whether they are scheduled or not.</summary>
    public ReadOnlySpan<Sequence> Failed => CollectionsMarshal.AsSpan(_failed);

    /// <summary>What has been added: one chunk for each of the batch.</summary>
    public ReadOnlySpan<StepChunk> Chunks => _chunks.AsSpan(0, _added);

    /// <summary>What the device is to sample from, in the order of the rows.</summary>
    public ReadOnlySpan<SampledRow> SampledRows => CollectionsMarshal.AsSpan(_sampledRows);

    /// <summary>Whether some tokens are sampled under masks that depend on those of the step before.</summary>
    public bool IsMasked => _isMasked;

    /// <summary>Whether some sequences read their <see cref="Sequence.Rows"/>, which the next step overwrites.</summary>
    public bool ReadsRows => _readsRows;

    /// <summary>The sequences whose tokens fill a page.</summary>
    public ReadOnlySpan<FilledPage> Filled => CollectionsMarshal.AsSpan(_filled);

    /// <summary>The tokens; null when that is nothing, and before the step is started.</summary>
    public SampledTokens? Sampled { get; set; }

    /// <summary>How many tokens more may be scheduled.</summary>
    public int TokensLeft { get; private set; }

    /// <summary>
    /// Whether the next step can be started before this one's results are read: the device samples all of its tokens, signals when it has, and nobody needs
    /// the logits or the rows, which the next step overwrites.
    /// </summary>
    public bool CanStayInFlight => Sampled is not null && !_wantsLogits && !_readsRows && _sampledRows.Count == Batch.LogitRows.Length;

    /// <summary>Begins a new step.</summary>
    /// <param name="maxTokens">The most tokens that it may compute.</param>
    public void Clear(int maxTokens)
    {
        TokensLeft = maxTokens;
        Batch.Clear();
        Array.Clear(_chunks, 0, _scheduled);
        (_scheduled, _added) = (0, 0);
        _sampledRows.Clear();
        _filled.Clear();
        _failed.Clear();
        Sampled = null;
        _wantsLogits = _isMasked = _readsRows = false;
    }

    /// <summary>Notes that the step is to compute a sequence's next tokens, or as many of them as it may. Before any is added.</summary>
    public void Schedule(Sequence sequence, int tokens)
    {
        int length = Math.Min(tokens, TokensLeft);
        if (length == 0) return;
        TokensLeft -= length;
        if (_scheduled == _chunks.Length) Array.Resize(ref _chunks, Math.Max(16, 2 * _scheduled));
        ref StepChunk chunk = ref _chunks[_scheduled++];
        chunk.Sequence = sequence;
        chunk.Length = length;
    }

    /// <summary>Notes a sequence that has ended because it could not be set up for the step.</summary>
    public void NoteFailed(Sequence sequence) => _failed.Add(sequence);

    /// <summary>Adds the next of the scheduled chunks, whose memory is mapped. The sequence counts its tokens as started.</summary>
    /// <param name="index">Its index in <see cref="Scheduled"/>, greater than the last one's.</param>
    /// <param name="view">Where the sequence's keys and values lie.</param>
    /// <param name="kv">How far they reach.</param>
    /// <returns>How many of its tokens are tokens of the prompt that have never been computed before.</returns>
    public int Add(int index, in KvView view, ref KvExtent kv)
    {
        ref StepChunk chunk = ref _chunks[_added++];
        if (_added <= index) chunk = _chunks[index];
        Sequence sequence = chunk.Sequence;
        int first = kv.Tokens;
        bool readsRows = sequence.Rows != RowOutput.None, wantsLogits = !readsRows && first + chunk.Length == sequence.ExpectedLength;
        _readsRows |= readsRows;
        chunk.LogitRow = wantsLogits ? Batch.LogitRowCount : -1;
        if (first == sequence.Length - 1) Batch.Add(view, sequence.LastToken, first, wantsLogits);
        else if (first == sequence.Length) Batch.AddSampled(view, sequence.PendingRow, first);
        else Batch.Add(view, sequence.Tokens.Slice(first, chunk.Length), first, wantsLogits);
        if (wantsLogits && sequence.DeviceSampler is { } sampler)
        {
            chunk.OnDevice = true;
            _wantsLogits |= sequence.WantsLogits;
            _isMasked |= sequence.IsMasked;
            _sampledRows.Add(new SampledRow(chunk.LogitRow, sampler, sequence.CompletionLength + sequence.PendingTokens));
            sequence.ExpectToken(chunk.LogitRow);
        }
        int promptTokens = sequence.Start(ref kv, chunk.Length);
        if (kv.Tokens >= kv.NextIndexed) _filled.Add(new FilledPage(sequence.Kv!, sequence, kv.Tokens));
        return promptTokens;
    }

    /// <summary>Gives the rows that are sampled under a mask theirs; of sequences that have ended meanwhile, any token will do.</summary>
    /// <param name="failed">Told of each sequence whose mask cannot be made; the sequence ends.</param>
    public void AddMasks(Action<Sequence, Exception> failed)
    {
        if (!IsMasked) return;
        int next = 0;
        Span<SampledRow> rows = CollectionsMarshal.AsSpan(_sampledRows);
        foreach (ref readonly StepChunk chunk in Chunks)
        {
            if (!chunk.OnDevice) continue;
            ref SampledRow row = ref rows[next++];
            if (!chunk.Sequence.IsMasked || chunk.Sequence.HasEnded) continue;
            try
            {
                row = row with { Mask = chunk.Sequence.NextMask() };
            }
            catch (Exception error)
            {
                failed(chunk.Sequence, error);
            }
        }
    }
}
