namespace Decart.Inference.Kernels.TensorParallel;

/// <summary>
/// The threads of the ranks, one each as long as the team lives: the caller is that of rank 0. Called by one thread at a time, which waits for all ranks. Idle threads
/// keep their cores for a moment, then sleep.
/// </summary>
internal sealed class RankTeam : IDisposable
{
    /// <summary>Turns of <see cref="SpinWait"/> before a thread sleeps; some tens of microseconds.</summary>
    private const int Spins = 30;

    [ThreadStatic]
    private static int _currentRank;

    private readonly object _gate = new(); // guards what follows
    private readonly Thread[] _threads;
    private Action<int>? _work;
    private int _round, _unfinished;
    private RankFailure? _failure;
    private bool _disposed;

    /// <param name="ranks">How many.</param>
    public RankTeam(int ranks)
    {
        _threads = new Thread[ranks - 1];
        for (int i = 0; i < _threads.Length; i++)
        {
            int rank = i + 1;
            _threads[i] = new Thread(() => Work(rank)) { IsBackground = true, Name = $"Decart.Inference rank {rank}" };
            _threads[i].Start();
        }
    }

    /// <summary>Number of ranks.</summary>
    public int Ranks => _threads.Length + 1;

    /// <summary>The rank whose work the calling thread does; of a thread of no team 0.</summary>
    public static int Current => _currentRank;

    /// <summary>Called, by the rank's thread, when a rank has failed, so that the others do not wait for it.</summary>
    public Action<RankFailure>? Failed { get; init; }

    /// <summary>Has every rank do its part and returns when all have ended.</summary>
    /// <param name="work">Given the rank.</param>
    /// <exception cref="Exception">What the first rank that failed has thrown; that of others is passed over.</exception>
    public void Run(Action<int> work)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _failure = null;
            _work = work;
            _unfinished = _threads.Length;
            Volatile.Write(ref _round, _round + 1);
            Monitor.PulseAll(_gate);
        }
        Do(work, rank: 0);
        SpinWait spin = default;
        while (Volatile.Read(ref _unfinished) > 0 && spin.Count < Spins) spin.SpinOnce(sleep1Threshold: -1);
        lock (_gate)
        {
            while (_unfinished > 0) Monitor.Wait(_gate);
            _failure?.Throw();
        }
    }

    /// <summary>Ends the threads, which must be idle.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_disposed) return;
            _disposed = true;
            Volatile.Write(ref _round, _round + 1);
            Monitor.PulseAll(_gate);
        }
        foreach (Thread thread in _threads) thread.Join();
    }

    private void Work(int rank)
    {
        _currentRank = rank;
        for (int seen = 0; ;)
        {
            SpinWait spin = default;
            while (Volatile.Read(ref _round) == seen && spin.Count < Spins) spin.SpinOnce(sleep1Threshold: -1);
            Action<int> work;
            lock (_gate)
            {
                while (_round == seen) Monitor.Wait(_gate);
                if (_disposed) return;
                (seen, work) = (_round, _work!);
            }
            Do(work, rank);
            lock (_gate)
            {
                if (--_unfinished == 0) Monitor.PulseAll(_gate);
            }
        }
    }

    private void Do(Action<int> work, int rank)
    {
        try
        {
            work(rank);
        }
        catch (Exception error)
        {
            RankFailure failure = new(rank, error);
            lock (_gate) _failure ??= failure;
            Failed?.Invoke(failure);
        }
    }
}
