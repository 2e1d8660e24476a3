using System.Runtime.InteropServices;

namespace Decart.Inference.Engine;

/// <summary>
/// The sequences that have not ended, by their states, which nobody else changes. Used by the engine loop's thread; the counts may be read by any.
/// </summary>
internal sealed class SequenceLists
{
    private readonly SortedSet<Sequence> _waiting = [];
    private readonly List<Sequence> _running = []; // sorted
    private readonly List<Sequence> _paused = []; // those that are evicted too, in the order in which they paused
    private readonly List<Sequence> _ending = [];
    private int _waitingCount, _runningCount;

    /// <summary>Sequences that wait for their turn or for their reader. Any thread.</summary>
    public int WaitingCount => Volatile.Read(ref _waitingCount);

    /// <summary>Sequences that run. Any thread.</summary>
    public int RunningCount => Volatile.Read(ref _runningCount);

    /// <summary>The sequences that run, in the order of their turns; valid until one is moved.</summary>
    public ReadOnlySpan<Sequence> Running => CollectionsMarshal.AsSpan(_running);

    /// <summary>The sequences that wait for their readers, in the order in which they paused; valid until one is moved.</summary>
    public ReadOnlySpan<Sequence> Paused => CollectionsMarshal.AsSpan(_paused);

    /// <summary>The first in the order of turns that waits for its own.</summary>
    public Sequence? FirstWaiting => _waiting.Min;

    /// <summary>A copy of all.</summary>
    public IReadOnlyList<Sequence> All => [.. _running, .. _ending, .. _paused, .. _waiting];

    /// <summary>Changes a sequence's state.</summary>
    public void Move(Sequence sequence, SequenceState state)
    {
        SequenceState before = sequence.State;
        bool staysPaused = before == SequenceState.Paused && state == SequenceState.Evicted;
        if (!staysPaused)
        {
            Add(sequence, state);
            Remove(sequence, before);
        }
        sequence.Enter(state);
        Volatile.Write(ref _waitingCount, _waiting.Count + _paused.Count);
        Volatile.Write(ref _runningCount, _running.Count);
    }

    private void Add(Sequence sequence, SequenceState state)
    {
        switch (state)
        {
            case SequenceState.Waiting:
                _waiting.Add(sequence);
                break;
            case SequenceState.Running:
                _running.Insert(~_running.BinarySearch(sequence), sequence);
                break;
            case SequenceState.Paused:
                _paused.Add(sequence);
                break;
            case SequenceState.Ending:
                _ending.Add(sequence);
                break;
        }
    }

    private void Remove(Sequence sequence, SequenceState state)
    {
        switch (state)
        {
            case SequenceState.Waiting:
                _waiting.Remove(sequence);
                break;
            case SequenceState.Running:
                _running.RemoveAt(_running.BinarySearch(sequence));
                break;
            case SequenceState.Paused or SequenceState.Evicted:
                _paused.Remove(sequence);
                break;
            case SequenceState.Ending:
                _ending.Remove(sequence);
                break;
        }
    }
}
