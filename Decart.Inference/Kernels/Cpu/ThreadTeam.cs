using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// Work that falls into parts that may run at the same time and in any order. Unmanaged, because the threads of a team read it
/// through a pointer to the caller's stack: it holds pointers, which the caller keeps alive until <see cref="ThreadTeam.Run"/> returns.
/// </summary>
internal interface ITeamJob
{
    /// <summary>Does one part; each part runs exactly once.</summary>
    /// <param name="part">0 up to the number of parts.</param>
    void Run(int part);
}

/// <summary>
/// A fixed number of threads, the caller's among them, that work on one job at a time. Handing out a job allocates nothing and
/// takes about a microsecond while the workers are awake; idle workers spin for a moment, then sleep.
/// </summary>
/// <remarks>Called by one thread at a time. A part must not run another job on the same team.</remarks>
internal sealed unsafe class ThreadTeam : IDisposable
{
    /// <summary>How long a worker without work, or a caller waiting for the last part, keeps its core before giving it up.</summary>
    private static readonly long SpinTicks = Stopwatch.Frequency / 20_000;

    private readonly Thread[] _workers;
    private readonly object _bell = new();
    private Counters _counters;
    private void* _job;
    private delegate*<void*, int, void> _runPart;
    private int _parts;
    private ExceptionDispatchInfo? _failure;
    private volatile bool _disposed;

    /// <summary>Starts the workers.</summary>
    /// <param name="threads">Number of threads including the caller's, at least 1.</param>
    public ThreadTeam(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        _workers = new Thread[threads - 1];
        for (int i = 0; i < _workers.Length; i++)
        {
            _workers[i] = new Thread(Work) { IsBackground = true, Name = $"Decart.Inference worker {i + 1}" };
            _workers[i].Start();
        }
    }

    /// <summary>One thread for each processor the process may use, at most 64: beyond that the memory is the limit.</summary>
    public static int DefaultThreads => Math.Min(Environment.ProcessorCount, 64);

    /// <summary>Number of threads including the caller's.</summary>
    public int Threads => _workers.Length + 1;

    /// <summary>Runs all parts of a job and returns when the last has ended. Threads take the next part as they become free.</summary>
    /// <param name="job">The job; copied to the caller's stack.</param>
    /// <param name="parts">Number of parts; a single one runs on the caller's thread alone, with no other thread woken.</param>
    /// <exception cref="InvalidOperationException">The team is already running a job.</exception>
    /// <remarks>When a part throws, the first exception is thrown here after the parts that have begun have ended; others may not run.</remarks>
    public void Run<TJob>(in TJob job, int parts)
        where TJob : unmanaged, ITeamJob
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        TJob copy = job;
        if (parts <= 1 || _workers.Length == 0)
        {
            for (int part = 0; part < parts; part++) copy.Run(part);
            return;
        }

        if (Interlocked.Exchange(ref _counters.Running, 1) != 0) throw new InvalidOperationException("The team is already running a job.");
        _job = &copy;
        _runPart = &RunPart<TJob>;
        _parts = parts;
        _counters.Unfinished = parts;
        // The exchange publishes the fields above, and orders the look at Sleeping after it: a worker counts itself as
        // sleeping before its last look at Unclaimed, so one of the two sees the other.
        Interlocked.Exchange(ref _counters.Unclaimed, parts);
        if (Volatile.Read(ref _counters.Sleeping) > 0) Ring();
        while (TryRunOnePart())
        {
        }
        AwaitLastPart();

        ExceptionDispatchInfo? failure = _failure;
        _failure = null;
        Volatile.Write(ref _counters.Running, 0);
        failure?.Throw();
    }

    /// <summary>Lets the workers end and joins them. Must not be called while a job runs.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        Ring();
        foreach (Thread worker in _workers) worker.Join();
    }

    private static void RunPart<TJob>(void* job, int part)
        where TJob : unmanaged, ITeamJob => ((TJob*)job)->Run(part);

    /// <remarks>
    /// The job's fields are read after a part is claimed: from then until it is counted as finished the caller cannot go on to
    /// another job. A worker that comes late finds either no part or a part of the next job, both of which are right.
    /// </remarks>
    private bool TryRunOnePart()
    {
        int unclaimed = Volatile.Read(ref _counters.Unclaimed);
        while (unclaimed > 0)
        {
            int seen = Interlocked.CompareExchange(ref _counters.Unclaimed, unclaimed - 1, unclaimed);
            if (seen != unclaimed)
            {
                unclaimed = seen;
                continue;
            }
            try
            {
                _runPart(_job, _parts - unclaimed);
            }
            catch (Exception exception)
            {
                Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(exception), null);
            }
            Interlocked.Decrement(ref _counters.Unfinished);
            return true;
        }
        return false;
    }

    private void AwaitLastPart()
    {
        if (Volatile.Read(ref _counters.Unfinished) == 0) return;
        long start = Stopwatch.GetTimestamp();
        while (Volatile.Read(ref _counters.Unfinished) != 0)
        {
            // Past the spinning time the thread that has the last part was probably taken off its core.
            if (Stopwatch.GetTimestamp() - start < SpinTicks) Thread.SpinWait(1);
            else Thread.Yield();
        }
    }

    private void Work()
    {
        while (!_disposed)
        {
            if (TryRunOnePart()) continue;
            long start = Stopwatch.GetTimestamp();
            while (Volatile.Read(ref _counters.Unclaimed) == 0 && Stopwatch.GetTimestamp() - start < SpinTicks) Thread.SpinWait(1);
            if (Volatile.Read(ref _counters.Unclaimed) == 0) Sleep();
        }
    }

    private void Sleep()
    {
        lock (_bell)
        {
            Interlocked.Increment(ref _counters.Sleeping);
            while (Volatile.Read(ref _counters.Unclaimed) == 0 && !_disposed) Monitor.Wait(_bell);
            Interlocked.Decrement(ref _counters.Sleeping);
        }
    }

    private void Ring()
    {
        lock (_bell) Monitor.PulseAll(_bell);
    }

    /// <summary>What several threads write, each on cache lines of its own (128 bytes: processors fetch lines in pairs).</summary>
    [StructLayout(LayoutKind.Explicit, Size = 640)]
    private struct Counters
    {
        /// <summary>Parts that no thread has taken; part number _parts - Unclaimed is the next.</summary>
        [FieldOffset(128)]
        public int Unclaimed;

        [FieldOffset(256)]
        public int Unfinished;

        [FieldOffset(384)]
        public int Sleeping;

        [FieldOffset(512)]
        public int Running;
    }
}
