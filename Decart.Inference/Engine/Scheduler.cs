using System.Runtime.InteropServices;

namespace Decart.Inference.Engine;

/// <summary>The next tokens of one sequence that a step computes.</summary>
internal readonly record struct ScheduledChunk(Sequence Sequence, int Length);

/// <summary>
/// Decides what a step computes: one token of every decoding sequence, then chunks of prompts in the order of their arrival while the
/// token budget lasts. A sequence that has begun runs to its end. Used by the engine loop's thread; the counts may be read by any.
/// </summary>
internal sealed class Scheduler(int maxBatchTokens, int maxConcurrentSequences)
{
    private readonly List<Sequence> _waiting = [];
    private readonly List<Sequence> _running = [];
    private readonly List<ScheduledChunk> _step = [];
    private volatile int _waitingCount;
    private volatile int _runningCount;

    public int WaitingCount => _waitingCount;

    public int RunningCount => _runningCount;

    public bool HasWork => _running.Count + _waiting.Count > 0;

    public void Add(Sequence sequence)
    {
        _waiting.Add(sequence);
        PublishCounts();
    }

    /// <summary>Chooses the next step's chunks, valid until the next call. Not empty while there is work.</summary>
    public ReadOnlySpan<ScheduledChunk> Schedule()
    {
        int admitted = Math.Min(maxConcurrentSequences - _running.Count, _waiting.Count);
        _running.AddRange(CollectionsMarshal.AsSpan(_waiting)[..admitted]);
        _waiting.RemoveRange(0, admitted);

        _step.Clear();
        int budget = maxBatchTokens;
        foreach (Sequence sequence in _running)
        {
            if (sequence.Remaining == 1) Take(sequence, ref budget);
        }
        foreach (Sequence sequence in _running)
        {
            if (sequence.Remaining > 1) Take(sequence, ref budget);
        }
        PublishCounts();
        return CollectionsMarshal.AsSpan(_step);
    }

    /// <summary>Forgets a sequence that has ended.</summary>
    public void Remove(Sequence sequence)
    {
        if (!_running.Remove(sequence)) _waiting.Remove(sequence);
        PublishCounts();
    }

    /// <summary>Forgets the sequences that meet the condition and returns them.</summary>
    public IReadOnlyList<Sequence> RemoveAll(Predicate<Sequence> condition)
    {
        if (!_running.Exists(condition) && !_waiting.Exists(condition)) return [];
        List<Sequence> removed = [.. _running.FindAll(condition), .. _waiting.FindAll(condition)];
        _running.RemoveAll(condition);
        _waiting.RemoveAll(condition);
        PublishCounts();
        return removed;
    }

    private void Take(Sequence sequence, ref int budget)
    {
        int length = Math.Min(sequence.Remaining, budget);
        if (length == 0) return;
        _step.Add(new ScheduledChunk(sequence, length));
        budget -= length;
    }

    private void PublishCounts()
    {
        _waitingCount = _waiting.Count;
        _runningCount = _running.Count;
    }
}
