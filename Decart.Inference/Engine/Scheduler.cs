using Decart.Inference.Memory;

namespace Decart.Inference.Engine;

/// <summary>Whether a step could be scheduled.</summary>
internal enum Scheduling
{
    /// <summary>It could.</summary>
    Scheduled,

    /// <summary>A sequence has to give up pages that the step in flight may write to, or tokens that it has yet to deliver: that step must be finished first.</summary>
    MustSettle,
}

/// <summary>
/// Decides what a step computes: one token of every decoding sequence, then chunks of prompts while the token budget lasts. Sequences get
/// their turn by priority, then in the order of their arrival. When pages run out, the last in that order gives its pages up and waits: its
/// tokens are computed again later. Used by the engine loop's thread; the counts may be read by any.
/// </summary>
/// <param name="memory">The memory of keys and values.</param>
/// <param name="maxBatchTokens">The most tokens of a step.</param>
/// <param name="maxConcurrentSequences">The most sequences that run.</param>
/// <param name="rotaryLength">See <see cref="Models.IDecoder.RotaryLength"/>.</param>
internal sealed class Scheduler(KvMemory memory, int maxBatchTokens, int maxConcurrentSequences, Func<int, int, int>? rotaryLength = null)
{
    /// <summary>Tokens ahead of the last for which pages are mapped, so that no step waits for them.</summary>
    public const int TokensAhead = 4;

    private readonly SequenceLists _sequences = new();
    private readonly List<Sequence> _prompts = [];
    private long _arrivals;
    private (Sequence? First, KvNeed Room) _refused; // what could not begin, and what was available
    private long _preemptions, _prefixHitTokens;

    /// <summary>The outcome of an attempt.</summary>
    private enum Answer
    {
        Yes,
        No,
        MustSettle,
    }

    /// <inheritdoc cref="SequenceLists.WaitingCount"/>
    public int WaitingCount => _sequences.WaitingCount;

    /// <inheritdoc cref="SequenceLists.RunningCount"/>
    public int RunningCount => _sequences.RunningCount;

    /// <summary>How often a running sequence gave its pages up.</summary>
    public long Preemptions => Volatile.Read(ref _preemptions);

    /// <summary>Tokens that needed no computation because an earlier sequence began with them.</summary>
    public long PrefixHitTokens => Volatile.Read(ref _prefixHitTokens);

    /// <summary>Whether a step would compute anything; paused sequences count once their readers have caught up.</summary>
    public bool HasWork =>
        !_sequences.Running.IsEmpty || (_sequences.FirstWaiting is not null && !memory.Map.Ranges.IsWaiting) || FirstToResume() is not null;

    /// <summary>A copy of all sequences that have not ended.</summary>
    public IReadOnlyList<Sequence> Sequences => _sequences.All;

    /// <summary>What conversations between turns have kept.</summary>
    public KeptCaches Kept { get; } = new();

    public void Add(Sequence sequence)
    {
        sequence.Arrival = _arrivals++;
        _sequences.Move(sequence, SequenceState.Waiting);
        memory.Map.Ranges.StopWaiting();
    }

    /// <summary>Gives up what other sessions of the process ask for, as far as it is not needed here at the moment. Only when all is settled.</summary>
    public void ReleaseForOthers()
    {
        while (memory.Map.Ranges.IsAsked && (memory.TryFreeRanges() || ReleaseIdle(settled: true) == Answer.Yes))
        {
        }
        memory.Map.Ranges.EndAsked();
    }

    /// <summary>
    /// Chooses the next step's chunks; their pages are reserved. Not empty while there is work, unless all that it waits for is in flight.
    /// </summary>
    /// <param name="step">Where the chunks go; cleared first.</param>
    /// <param name="settled">Whether no step is in flight. If so, the step is always scheduled.</param>
    public Scheduling Schedule(EngineStep step, bool settled)
    {
        step.Clear(maxBatchTokens);
        while (FirstToResume() is { } sequence) _sequences.Move(sequence, sequence.State == SequenceState.Paused ? SequenceState.Running : SequenceState.Waiting);
        long preemptions = _preemptions;
        Answer scheduled = ScheduleRunning(step, settled);
        if (scheduled == Answer.Yes && _preemptions == preemptions) scheduled = Admit(step, settled);
        return scheduled == Answer.MustSettle ? Scheduling.MustSettle : Scheduling.Scheduled;
    }

    /// <summary>Ends a sequence that is complete or has failed: it takes part in no further step. <see cref="Free"/> must follow.</summary>
    public void End(Sequence sequence, Exception? error)
    {
        sequence.Error = error;
        Leave(sequence, SequenceState.Ending);
    }

    /// <summary>Frees what a sequence holds once it is in no step; the pages of a conversation's turn are kept.</summary>
    public void Free(Sequence sequence, bool keep = true)
    {
        Leave(sequence, SequenceState.Ended);
        sequence.DisposeSampler();
        if (sequence.TakeKv() is not { } kv) return;
        if (keep && sequence.Kept is { IsClosed: false } kept) Kept.Keep(kept, kv);
        else kv.Release();
    }

    /// <summary>The sequence that paused first of those whose readers have caught up and for which there is room.</summary>
    private Sequence? FirstToResume()
    {
        bool isFull = _sequences.Running.Length == maxConcurrentSequences;
        foreach (Sequence sequence in _sequences.Paused)
        {
            if (sequence.HasRoom && !(isFull && sequence.State == SequenceState.Paused)) return sequence;
        }
        return null;
    }

    private Answer ScheduleRunning(EngineStep step, bool settled)
    {
        _prompts.Clear();
        for (int i = 0; i < _sequences.Running.Length; i++)
        {
            Sequence sequence = _sequences.Running[i];
            StepPrefetch.Ahead(_sequences.Running, i);
            if (sequence.ExpectedLength > sequence.MaxTokens) continue; // its last token is on its way
            ref KvExtent kv = ref memory.Extent(sequence.KvSlot);
            bool stays = rotaryLength is null && sequence.HasRoom && IsReserved(sequence, kv);
            if (!stays)
            {
                Answer answer = Prepare(sequence, step, settled);
                if (answer == Answer.MustSettle) return answer;
                stays = answer == Answer.Yes;
            }
            if (!stays) i--;
            else if (sequence.ExpectedLength - kv.Tokens == 1) step.Schedule(sequence, 1);
            else _prompts.Add(sequence);
        }
        foreach (Sequence sequence in _prompts) step.Schedule(sequence, sequence.Remaining);
        return Answer.Yes;
    }

    /// <summary>Gives a running sequence what it needs for the step.</summary>
    /// <returns>No when it no longer runs.</returns>
    private Answer Prepare(Sequence sequence, EngineStep step, bool settled)
    {
        if (sequence.Kv!.RotaryLength != RotaryLength(sequence))
        {
            if (!settled) return Answer.MustSettle;
            GiveUp(sequence, SequenceState.Waiting); // its keys are computed anew, rotated for a sequence as long as it has become
            return Answer.No;
        }
        if (!sequence.HasRoom)
        {
            _sequences.Move(sequence, SequenceState.Paused);
            return Answer.No;
        }
        try
        {
            return Reserve(sequence, settled);
        }
        catch (Exception error)
        {
            Fail(sequence, error, step);
            return Answer.No;
        }
    }

    private int RotaryLength(Sequence sequence) => rotaryLength?.Invoke(sequence.PromptLength, sequence.ExpectedLength) ?? 0;

    /// <summary>Whether a running sequence has the pages that <see cref="Reserve"/> would give it: in most steps most have.</summary>
    private static bool IsReserved(Sequence sequence, in KvExtent kv) => WantedTokens(sequence) <= kv.Reserved;

    /// <summary>Reserves pages for all tokens of a running sequence, at the expense of others or, if it is the last in order, its own.</summary>
    /// <returns>No when it no longer runs.</returns>
    private Answer Reserve(Sequence sequence, bool settled)
    {
        while (!sequence.Kv!.TryReserve(sequence.ExpectedLength))
        {
            if (ReleaseIdle(settled) == Answer.Yes) continue;
            if (!settled) return Answer.MustSettle;
            Sequence last = _sequences.Running[^1];
            GiveUp(last, SequenceState.Waiting);
            _preemptions++;
            if (last == sequence) return Answer.No;
        }
        ReserveAhead(sequence);
        return Answer.Yes;
    }

    /// <summary>Has the pages of a running sequence's next tokens mapped while the model computes, if any are available.</summary>
    private void ReserveAhead(Sequence sequence)
    {
        if (memory.AvailablePages > 0) sequence.Kv!.TryReserve(WantedTokens(sequence));
    }

    /// <summary>The tokens that a running sequence should have pages for.</summary>
    private static int WantedTokens(Sequence sequence) => Math.Min(sequence.ExpectedLength + TokensAhead, sequence.MaxTokens);

    /// <summary>Takes pages from one that does not compute: a conversation between turns, else a sequence whose reader lags behind.</summary>
    private Answer ReleaseIdle(bool settled, KeptKv? except = null)
    {
        if (Kept.TryReleaseOldest(except)) return Answer.Yes;
        Sequence? last = null;
        foreach (Sequence sequence in _sequences.Paused)
        {
            if (sequence.State == SequenceState.Paused && sequence.CompareTo(last) > 0) last = sequence;
        }
        if (last is null) return Answer.No;
        if (!settled) return Answer.MustSettle;
        GiveUp(last, SequenceState.Evicted);
        _preemptions++;
        return Answer.Yes;
    }

    /// <summary>A sequence gives up its keys and values, which will be computed again. Only when all is settled.</summary>
    private void GiveUp(Sequence sequence, SequenceState state)
    {
        _sequences.Move(sequence, state);
        sequence.TakeKv()!.Release();
    }

    /// <summary>Lets waiting sequences begin, strictly in order, while there are tokens and pages for them.</summary>
    private Answer Admit(EngineStep step, bool settled)
    {
        int admitted = step.Scheduled.Length;
        while (CanAdmit(step) && _sequences.FirstWaiting is { } first)
        {
            Answer answer = Begin(first, step, settled);
            if (answer == Answer.MustSettle) return answer;
            if (answer == Answer.No) break;
            if (!first.HasEnded) step.Schedule(first, first.Remaining);
        }
        foreach (StepChunk chunk in step.Scheduled[admitted..])
        {
            try
            {
                ReserveAhead(chunk.Sequence);
            }
            catch (Exception error)
            {
                Fail(chunk.Sequence, error, step);
            }
        }
        return Answer.Yes;
    }

    private bool CanAdmit(EngineStep step) =>
        step.TokensLeft > 0 && _sequences.Running.Length < maxConcurrentSequences && !memory.Map.Ranges.AreOwed;

    /// <summary>Lets a waiting sequence run if there are pages for it; it ends if there is no memory to set it up.</summary>
    private Answer Begin(Sequence sequence, EngineStep step, bool settled)
    {
        KvCache? kv = null;
        try
        {
            Answer answer = HasRoomFor(sequence, settled);
            if (answer == Answer.Yes) answer = FindRange(sequence, settled, out kv);
            while (answer == Answer.Yes && !kv!.TryReserve(sequence.Length)) answer = ReleaseIdle(settled);
            if (answer != Answer.Yes)
            {
                kv?.Release();
                return answer;
            }
        }
        catch (Exception error)
        {
            Fail(sequence, error, step);
            kv?.Release();
            return Answer.Yes;
        }
        sequence.Begin(kv!);
        _sequences.Move(sequence, SequenceState.Running);
        return Answer.Yes;
    }

    /// <summary>Finds a range for a sequence, with the tokens already stored: its conversation's, or else a prefix shared with others.</summary>
    private Answer FindRange(Sequence sequence, bool settled, out KvCache? kv)
    {
        kv = sequence.Kept is { } kept ? Kept.Take(kept) : null;
        if (kv is not null && kv.RotaryLength == RotaryLength(sequence))
        {
            kv.Truncate(sequence.Length - 1);
            return Answer.Yes;
        }
        kv?.Release();
        kv = null;
        while ((kv = memory.Rent(RotaryLength(sequence))) is null)
        {
            Answer released = ReleaseIdle(settled);
            if (released != Answer.Yes) return released;
        }
        _prefixHitTokens += kv.TakePrefix(sequence.Tokens[..(sequence.ReusableTokens + 1)]);
        return Answer.Yes;
    }

    /// <summary>
    /// Whether a waiting sequence's tokens can be given pages, and address ranges for them, without taking any from running ones. One is left to those, so
    /// that they do not at once take back what it begins with. When none runs and other sessions hold what is needed, this one waits for them.
    /// </summary>
    private Answer HasRoomFor(Sequence sequence, bool settled)
    {
        int spare = _sequences.Running.IsEmpty ? 0 : 1;
        if (spare > 0 && _refused == (sequence, memory.Room)) return Answer.No;
        while (memory.Needs(sequence.Tokens, sequence.Kept?.Cache, RotaryLength(sequence), sequence.ReusableTokens) is var need && !memory.HasRoomFor(need, spare))
        {
            Answer released = spare == 0 ? ReleaseIdle(settled, sequence.Kept) : Kept.TryReleaseOldest(sequence.Kept) ? Answer.Yes : Answer.No;
            if (released == Answer.Yes) continue;
            _refused = (sequence, memory.Room);
            if (released == Answer.MustSettle) return released;
            bool begins = spare == 0 && need.Pages <= memory.AvailablePages && !memory.Map.Ranges.Wait(need.Ranges);
            return begins ? Answer.Yes : Answer.No;
        }
        return Answer.Yes;
    }

    private void Leave(Sequence sequence, SequenceState state)
    {
        _sequences.Move(sequence, state);
        memory.Map.Ranges.StopWaiting();
    }

    private void Fail(Sequence sequence, Exception error, EngineStep step)
    {
        End(sequence, error);
        step.NoteFailed(sequence);
    }
}
