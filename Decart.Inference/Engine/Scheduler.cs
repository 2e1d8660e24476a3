using System.Diagnostics.CodeAnalysis;
using Decart.Inference.Memory;

namespace Decart.Inference.Engine;

/// <summary>
/// Decides what a step computes: one token of every decoding sequence, then chunks of prompts while the token budget lasts. Sequences get
/// their turn by priority, then in the order of their arrival. When pages run out, the last in that order gives its pages up and waits: its
/// tokens are computed again later. Used by the engine loop's thread; the counts may be read by any.
/// </summary>
internal sealed class Scheduler(
    KvMemory memory, int maxBatchTokens, int maxConcurrentSequences, Func<int, int, int>? rotaryLength = null)
{
    /// <summary>Tokens ahead of the last for which pages are mapped, so that no step waits for them.</summary>
    public const int TokensAhead = 4;

    /// <summary>
    /// How far ahead of its turn a sequence is brought near, and then what it refers to. Thousands do not fit in the caches nearest to a core, and most of
    /// a step would be waiting for them one by one.
    /// </summary>
    public const int FarAhead = 16, NearAhead = 8;

    private readonly SortedSet<Sequence> _waiting = [];
    private readonly List<Sequence> _running = []; // sorted, all with keys and values
    private readonly List<Sequence> _ending = []; // ended, but a step in flight still writes to their keys and values
    private readonly List<Sequence> _paused = []; // with keys and values, but their readers lag behind
    private readonly LinkedList<KeptKv> _kept = []; // of conversations between turns, the one used longest ago first
    private readonly List<Sequence> _prompts = [];
    private long _arrivals;
    private (Sequence? First, KvNeed Room) _refused; // what could not begin, and what was available
    private bool _settled, _hasToSettle;
    private int _waitingCount, _runningCount;
    private long _preemptions, _prefixHitTokens;

    /// <summary>Sequences that wait for their turn or for their reader.</summary>
    public int WaitingCount => Volatile.Read(ref _waitingCount);

    public int RunningCount => Volatile.Read(ref _runningCount);

    /// <summary>How often a running sequence gave its pages up.</summary>
    public long Preemptions => Volatile.Read(ref _preemptions);

    /// <summary>Tokens that needed no computation because others began with the same.</summary>
    public long PrefixHitTokens => Volatile.Read(ref _prefixHitTokens);

    /// <summary>Whether a step would compute anything; paused sequences count once their readers have caught up.</summary>
    public bool HasWork => _running.Count > 0 || (_waiting.Count > 0 && !memory.Map.Ranges.IsWaiting) || _paused.Exists(sequence => sequence.HasRoom);

    public IEnumerable<Sequence> Sequences => [.. _running, .. _ending, .. _paused, .. _waiting];

    public IEnumerable<KeptKv> Kept => _kept;

    public void Add(Sequence sequence)
    {
        sequence.Arrival = _arrivals++;
        _waiting.Add(sequence);
        memory.Map.Ranges.StopWaiting();
        PublishCounts();
    }

    /// <summary>Gives up what other sessions of the process ask for, as far as nothing here needs it at the moment. Once all is settled.</summary>
    public void ReleaseForOthers()
    {
        _settled = true;
        while (memory.Map.Ranges.IsAsked && (memory.TryFreeRanges() || ReleaseIdle()))
        {
        }
        memory.Map.Ranges.EndAsked();
        PublishCounts();
    }

    /// <summary>Chooses the next step's chunks; their pages are reserved. Not empty while there is work, unless all that it waits for is in flight.</summary>
    /// <param name="settled">
    /// Whether no step is in flight. As long as one is, nobody gives up pages that it may write to, nor tokens that are not known.
    /// </param>
    /// <param name="step">Where the chunks go; cleared first.</param>
    /// <returns>False when somebody has to: call again once all is settled.</returns>
    public bool TrySchedule(bool settled, EngineStep step)
    {
        (_settled, _hasToSettle) = (settled, false);
        step.Clear();
        _prompts.Clear();
        Resume();
        long preemptions = _preemptions;
        int budget = maxBatchTokens;
        for (int i = 0; i < _running.Count; i++)
        {
            Sequence sequence = _running[i];
            if (i + FarAhead < _running.Count) Prefetch.Object(_running[i + FarAhead]);
            if (sequence.ExpectedLength > sequence.MaxTokens) continue; // its last token is on its way
            ref KvExtent kv = ref memory.Extent(sequence.KvSlot);
            if (rotaryLength is not null && !HasRightRotation(sequence))
            {
                if (HasToSettle()) break;
                ComputeAgain(i--);
                continue;
            }
            bool stays = sequence.HasRoom ? IsReserved(sequence, kv) || TryReserve(sequence, step) : Pause(sequence);
            if (_hasToSettle) break;
            if (sequence.HasEnded) continue;
            if (!stays) i--;
            else if (sequence.ExpectedLength - kv.Tokens == 1) Take(sequence, 1, ref budget, step);
            else _prompts.Add(sequence);
        }
        foreach (Sequence sequence in _prompts) Take(sequence, sequence.Remaining, ref budget, step);
        if (_preemptions == preemptions && !_hasToSettle) Admit(ref budget, step);
        PublishCounts();
        return !_hasToSettle;
    }

    /// <summary>A sequence has ended and is in no step from now on, but in one that is in flight. <see cref="Remove"/> is to follow.</summary>
    public void Retire(Sequence sequence)
    {
        Forget(sequence);
        _ending.Add(sequence);
        PublishCounts();
    }

    /// <summary>Forgets a sequence that has ended and frees what it has; the pages of a conversation's turn are kept.</summary>
    public void Remove(Sequence sequence, bool keep = true)
    {
        Forget(sequence);
        sequence.DisposeSampler();
        if (sequence.Kv is { } kv)
        {
            sequence.Kv = null;
            if (keep && sequence.Kept is { IsClosed: false } kept) Keep(kept, kv);
            else kv.Release();
        }
        PublishCounts();
    }

    /// <summary>The sequences that meet a condition.</summary>
    public IReadOnlyList<Sequence> FindAll(Predicate<Sequence> condition) => [.. Sequences.Where(sequence => condition(sequence))];

    /// <summary>Keeps a conversation's keys and values for its next turn.</summary>
    public void Keep(KeptKv kept, KvCache? cache)
    {
        kept.Cache = cache;
        if (cache is not null) _kept.AddLast(kept.Node);
    }

    /// <summary>Keeps for one conversation what another has kept.</summary>
    public void Fork(KeptKv kept, KeptKv fork)
    {
        try
        {
            Keep(fork, kept.Cache?.Fork());
        }
        catch (OutOfMemoryException)
        {
            // The fork's next turn computes it again.
        }
    }

    /// <summary>Shortens what a conversation has kept.</summary>
    public void Truncate(KeptKv kept, int tokens)
    {
        try
        {
            kept.Cache?.Truncate(tokens);
        }
        catch (OutOfMemoryException)
        {
            TakeKept(kept)!.Release(); // the next turn computes it again
        }
    }

    /// <summary>Takes back what a conversation has kept, to be used or released.</summary>
    public KvCache? TakeKept(KeptKv kept)
    {
        if (kept.Cache is not { } cache) return null;
        kept.Cache = null;
        _kept.Remove(kept.Node);
        return cache;
    }

    private static void Take(Sequence sequence, int tokens, ref int budget, EngineStep step)
    {
        int length = Math.Min(tokens, budget);
        if (length == 0) return;
        step.Schedule(sequence, length);
        budget -= length;
    }

    /// <summary>Sequences go on whose readers have caught up.</summary>
    private void Resume()
    {
        for (int i = 0; i < _paused.Count; i++)
        {
            Sequence sequence = _paused[i];
            if (!sequence.HasRoom || (sequence.Kv is not null && _running.Count == maxConcurrentSequences)) continue;
            _paused.RemoveAt(i--);
            sequence.IsPaused = false;
            if (sequence.Kv is null) _waiting.Add(sequence);
            else Run(sequence);
        }
    }

    private bool Pause(Sequence sequence)
    {
        Forget(_running, sequence);
        sequence.IsPaused = true;
        _paused.Add(sequence);
        return false;
    }

    private int RotaryLength(Sequence sequence) => rotaryLength?.Invoke(sequence.PromptLength, sequence.ExpectedLength) ?? 0;

    /// <summary>Whether a running sequence's keys are rotated for a sequence as long as it has become.</summary>
    private bool HasRightRotation(Sequence sequence) => sequence.Kv!.RotaryLength == RotaryLength(sequence);

    /// <summary>A running sequence gives up its keys and values and waits for its turn to compute them anew. Only when all is settled.</summary>
    private void ComputeAgain(int index)
    {
        Sequence sequence = _running[index];
        sequence.Kv!.Release();
        sequence.Kv = null;
        _running.RemoveAt(index);
        _waiting.Add(sequence);
    }

    /// <summary>Whether a running sequence has the pages that <see cref="Reserve"/> would give it: in most steps most have.</summary>
    private static bool IsReserved(Sequence sequence, in KvExtent kv) => WantedTokens(sequence) <= kv.Reserved;

    private bool TryReserve(Sequence sequence, EngineStep step)
    {
        try
        {
            return Reserve(sequence);
        }
        catch (Exception error)
        {
            step.Fail(sequence, error);
            return true;
        }
    }

    /// <summary>Reserves pages for all of a running sequence's tokens; others give theirs up for it, or it gives up its own.</summary>
    /// <returns>Whether it still runs.</returns>
    private bool Reserve(Sequence sequence)
    {
        int tokens = sequence.ExpectedLength;
        while (!sequence.Kv!.TryReserve(tokens))
        {
            if (ReleaseIdle()) continue;
            if (HasToSettle()) return true;
            Sequence last = _running[^1];
            GiveUp(last);
            _running.RemoveAt(_running.Count - 1);
            _waiting.Add(last);
            if (last == sequence) return false;
        }
        ReserveAhead(sequence);
        return true;
    }

    /// <summary>Has the pages of a running sequence's next tokens mapped while the model computes those before them, if there are pages to be had.</summary>
    private void ReserveAhead(Sequence sequence)
    {
        if (memory.AvailablePages > 0) sequence.Kv!.TryReserve(WantedTokens(sequence));
    }

    /// <summary>The tokens that a running sequence should have pages for.</summary>
    private static int WantedTokens(Sequence sequence) => Math.Min(sequence.ExpectedLength + TokensAhead, sequence.MaxTokens);

    /// <summary>Takes pages from one that does not compute: a conversation between turns, else a sequence whose reader lags behind.</summary>
    private bool ReleaseIdle(KeptKv? except = null)
    {
        if (ReleaseKept(except)) return true;
        if (_paused.Count == 0 || HasToSettle()) return false;
        Sequence? last = _paused.Where(sequence => sequence.Kv is not null).Max();
        if (last is null) return false;
        GiveUp(last);
        return true;
    }

    private bool HasToSettle() => _hasToSettle |= !_settled;

    private bool ReleaseKept(KeptKv? except)
    {
        LinkedListNode<KeptKv>? oldest = _kept.First;
        if (oldest is not null && oldest.Value == except) oldest = oldest.Next;
        if (oldest is null) return false;
        TakeKept(oldest.Value)!.Release();
        return true;
    }

    /// <summary>Only when all is settled.</summary>
    private void GiveUp(Sequence sequence)
    {
        sequence.Kv!.Release();
        sequence.Kv = null;
        _preemptions++;
    }

    /// <summary>Lets waiting sequences begin, strictly in order, while there are tokens and pages for them.</summary>
    private void Admit(ref int budget, EngineStep step)
    {
        int admitted = step.Scheduled.Length;
        while (budget > 0 && _running.Count < maxConcurrentSequences && !memory.Map.Ranges.AreOwed && _waiting.Min is { } first && TryBegin(first, step))
        {
            _waiting.Remove(first);
            if (first.HasEnded) continue;
            Run(first);
            Take(first, first.Remaining, ref budget, step);
        }
        foreach (StepChunk chunk in step.Scheduled[admitted..]) TryReserve(chunk.Sequence, step);
    }

    /// <returns>Whether the sequence no longer waits: it has its keys and values, or it has failed.</returns>
    private bool TryBegin(Sequence sequence, EngineStep step)
    {
        KvCache? kv = null;
        try
        {
            if (!HasRoomFor(sequence) || !TryRent(sequence, out kv)) return false;
            while (!kv.TryReserve(sequence.Length))
            {
                if (ReleaseIdle()) continue;
                kv.Release();
                return false;
            }
        }
        catch (Exception error)
        {
            step.Fail(sequence, error);
            kv?.Release();
            return true;
        }
        sequence.Kv = kv;
        sequence.CachedPromptTokens ??= Math.Min(kv.Tokens, sequence.PromptLength);
        return true;
    }

    /// <summary>Finds a range for a sequence, with what there is of its tokens: what its conversation has kept, else what others began with.</summary>
    private bool TryRent(Sequence sequence, [NotNullWhen(true)] out KvCache? kv)
    {
        kv = sequence.Kept is { } kept ? TakeKept(kept) : null;
        if (kv is not null && kv.RotaryLength == RotaryLength(sequence))
        {
            kv.Truncate(sequence.Length - 1);
            return true;
        }
        kv?.Release();
        kv = null;
        while ((kv = memory.Rent(RotaryLength(sequence))) is null)
        {
            if (!ReleaseIdle()) return false;
        }
        _prefixHitTokens += kv.TakePrefix(sequence.Tokens);
        return true;
    }

    /// <summary>
    /// Whether a waiting sequence's tokens can be given pages, and address ranges for them, without taking any from running ones. One is left to those, so
    /// that they do not at once take back what it begins with. When none runs and other sessions hold what is needed, this one waits for them.
    /// </summary>
    private bool HasRoomFor(Sequence sequence)
    {
        int spare = _running.Count > 0 ? 1 : 0;
        if (spare > 0 && _refused == (sequence, memory.Room)) return false;
        while (memory.Needs(sequence.Tokens, sequence.Kept?.Cache, RotaryLength(sequence)) is var need && !memory.HasRoomFor(need, spare))
        {
            if (spare > 0 ? ReleaseKept(sequence.Kept) : ReleaseIdle(sequence.Kept)) continue;
            _refused = (sequence, memory.Room);
            return spare == 0 && need.Pages <= memory.AvailablePages && !memory.Map.Ranges.Wait(need.Ranges);
        }
        return true;
    }

    private void Run(Sequence sequence)
    {
        int index = _running.BinarySearch(sequence);
        _running.Insert(~index, sequence);
    }

    private void Forget(Sequence sequence)
    {
        memory.Map.Ranges.StopWaiting();
        if (!Forget(_running, sequence) && !_ending.Remove(sequence) && !_paused.Remove(sequence)) _waiting.Remove(sequence);
    }

    private static bool Forget(List<Sequence> sorted, Sequence sequence)
    {
        int index = sorted.BinarySearch(sequence);
        if (index < 0) return false;
        sorted.RemoveAt(index);
        return true;
    }

    private void PublishCounts()
    {
        Volatile.Write(ref _waitingCount, _waiting.Count + _paused.Count);
        Volatile.Write(ref _runningCount, _running.Count);
    }
}
