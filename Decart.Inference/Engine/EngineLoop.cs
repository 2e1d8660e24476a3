using Decart.Inference.Memory;
using Decart.Inference.Models;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Engine;

/// <summary>
/// The one thread that owns the model. Callers submit sequences from any thread; the loop takes them in, computes step after step
/// (<see cref="StepPipeline"/>) while there is work and sleeps otherwise. Sequences pass their results on without blocking, so that no caller can hold it up.
/// </summary>
internal sealed class EngineLoop
{
    private readonly KvMemory _memory;
    private readonly Scheduler _scheduler;
    private readonly StepPipeline _steps;
    private readonly object _gate = new(); // guards _arrivals, _waitingArrivals, _woken, _draining, _stopping and _failure
    private readonly Queue<Action> _arrivals = [];
    private int _waitingArrivals;
    private bool _woken;
    private bool _draining;
    private bool _stopping;
    private Exception? _failure;
    private volatile bool _someCancelled;
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="decoder">The model.</param>
    /// <param name="memory">The memory of its keys and values.</param>
    /// <param name="scheduler">Chooses the steps.</param>
    /// <param name="logger">Told of requests that fail.</param>
    /// <param name="source">Where the model's weights come from, for messages.</param>
    public EngineLoop(IDecoder decoder, KvMemory memory, Scheduler scheduler, ILogger logger, string source)
    {
        _memory = memory;
        _scheduler = scheduler;
        _steps = new StepPipeline(decoder, memory, scheduler, logger, source);
        memory.Map.Ranges.Wake = Wake;
    }

    /// <summary>Starts the thread.</summary>
    public void Start() => new Thread(Run) { IsBackground = true, Name = "Decart.Inference engine" }.Start();

    /// <summary>Completes when the loop has ended and every sequence with it; with the error, if one could neither be freed nor logged.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Completes when every sequence has ended after <see cref="Drain"/>, or the loop has.</summary>
    public Task Drained => _drained.Task;

    /// <summary>Why the loop has ended by itself; null unless it has. Any thread.</summary>
    public Exception? Failure
    {
        get
        {
            lock (_gate) return _failure;
        }
    }

    /// <summary>Queues a sequence. Any thread.</summary>
    /// <param name="sequence">New.</param>
    /// <param name="cancellationToken">Cancels the sequence at any time from now on, also while its caller is busy elsewhere.</param>
    /// <returns>To be disposed of when the caller is done: the token refers to the sequence until then.</returns>
    /// <exception cref="SessionDrainingException">The loop takes no more sequences.</exception>
    /// <exception cref="ObjectDisposedException">The loop is stopping.</exception>
    /// <exception cref="InvalidOperationException">The loop has failed.</exception>
    public CancellationTokenRegistration Submit(Sequence sequence, CancellationToken cancellationToken = default)
    {
        // Before the loop has the sequence: it may compute many steps before this thread goes on.
        CancellationTokenRegistration cancellation = cancellationToken.UnsafeRegister(
            static state => (((EngineLoop, Sequence))state!).Item1.Cancel((((EngineLoop, Sequence))state!).Item2), (this, sequence));
        try
        {
            lock (_gate)
            {
                if (_draining) throw new SessionDrainingException();
                Post(() => Take(sequence));
                _waitingArrivals++;
            }
            return cancellation;
        }
        catch
        {
            cancellation.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Has the loop's thread do something between two steps, after what was submitted and posted before. Any thread. What fails in it must be told to whoever
    /// waits for it: the loop ends with what it throws.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The loop is stopping.</exception>
    /// <exception cref="InvalidOperationException">The loop has failed.</exception>
    public void Post(Action action)
    {
        lock (_gate)
        {
            if (_failure is not null) throw LoopFailed(_failure);
            ObjectDisposedException.ThrowIf(_stopping, typeof(LlmSession));
            _arrivals.Enqueue(action);
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Cancels a sequence: it is freed before the next step. Any thread, at any time.</summary>
    public void Cancel(Sequence sequence)
    {
        sequence.Cancel();
        if (sequence.State == SequenceState.Ended) return;
        _someCancelled = true;
        Wake();
    }

    /// <summary>Has the loop look whether paused sequences can go on. Any thread.</summary>
    public void Wake()
    {
        lock (_gate)
        {
            _woken = true;
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Takes no more sequences; those that are there go on. Any thread, any number of times.</summary>
    public void Drain()
    {
        lock (_gate) _draining = true;
        Wake();
    }

    /// <summary>Lets the loop end after the step that it is in. Any thread, any number of times.</summary>
    public void Stop()
    {
        lock (_gate)
        {
            _stopping = true;
            Monitor.Pulse(_gate);
        }
    }

    public SessionStatistics GetStatistics()
    {
        lock (_gate)
        {
            return new SessionStatistics
            {
                RunningSequences = _scheduler.RunningCount,
                WaitingSequences = _scheduler.WaitingCount + _waitingArrivals,
                KvPagesTotal = _memory.Pool.Total,
                KvPagesInUse = _memory.Pool.InUse,
                KvPagesCached = _memory.Pool.Cached,
                Preemptions = _scheduler.Preemptions,
                PrefixHitTokens = _scheduler.PrefixHitTokens,
                PromptTokens = _steps.PromptTokens,
                GeneratedTokens = _steps.GeneratedTokens,
            };
        }
    }

    /// <summary>
    /// Does what has arrived and computes a step if there is anything to compute: one turn of the loop, for callers that have not started its thread.
    /// </summary>
    public void RunOnce()
    {
        while (true)
        {
            Action? action;
            lock (_gate)
            {
                if (!_arrivals.TryDequeue(out action)) break;
            }
            RemoveCancelled();
            action();
        }
        RemoveCancelled();
        ReleaseForOthers();
        if (_scheduler.HasWork) _steps.Step();
        else _steps.Settle();
        _memory.Map.Start();
    }

    private void Run()
    {
        try
        {
            while (WaitForWork()) RunOnce();
        }
        catch (Exception error)
        {
            lock (_gate) _failure = error;
        }
        try
        {
            EndAll();
            _ended.SetResult();
        }
        catch (Exception error)
        {
            _ended.SetException(error);
        }
        _drained.TrySetResult();
    }

    /// <summary>Sleeps while there is nothing to do.</summary>
    /// <returns>Whether to go on: false once the loop is to stop.</returns>
    private bool WaitForWork()
    {
        lock (_gate)
        {
            bool isEmpty = _scheduler.RunningCount + _scheduler.WaitingCount + _arrivals.Count == 0 && _steps.IsSettled;
            if (_draining && isEmpty) _drained.TrySetResult();
            while (!_scheduler.HasWork && _steps.IsSettled && _arrivals.Count == 0 && !_woken && !_stopping) Monitor.Wait(_gate);
            _woken = false;
            return !_stopping;
        }
    }

    private void Take(Sequence sequence)
    {
        lock (_gate)
        {
            _waitingArrivals--;
            if (sequence.IsCancelled) return;
            try
            {
                _scheduler.Add(sequence);
            }
            catch (Exception error)
            {
                sequence.Fail(StepResults.Failure(error));
            }
        }
    }

    /// <summary>Sequences whose callers have gone leave before anything that was posted after they went.</summary>
    private void RemoveCancelled()
    {
        if (!_someCancelled) return;
        _someCancelled = false;
        _steps.Settle();
        foreach (Sequence sequence in _scheduler.Sequences)
        {
            if (sequence.IsCancelled) _scheduler.Free(sequence);
        }
    }

    /// <summary>Sessions of one process share its address ranges.</summary>
    private void ReleaseForOthers()
    {
        if (!_memory.Map.Ranges.IsAsked) return;
        _steps.Settle();
        _scheduler.ReleaseForOthers();
    }

    /// <summary>Ends all sequences because the loop ends.</summary>
    private void EndAll()
    {
        Stop();
        _steps.Settle();
        List<Exception> errors = [];
        while (_arrivals.TryDequeue(out Action? action)) Try(action, errors); // nothing more is posted
        IReadOnlyList<Sequence> sequences = _scheduler.Sequences;
        foreach (Sequence sequence in sequences)
        {
            if (_failure is not null) sequence.Fail(LoopFailed(_failure));
            else if (!sequence.IsCancelled) Abandon(sequence);
        }
        foreach (Sequence sequence in sequences) Try(() => _scheduler.Free(sequence, keep: false), errors);
        if (errors.Count > 0) throw new AggregateException("What the session held could not all be given back.", errors);
    }

    private static void Abandon(Sequence sequence)
    {
        try
        {
            sequence.Abandon();
        }
        catch (Exception error)
        {
            sequence.Fail(StepResults.Failure(error));
        }
    }

    private static void Try(Action action, List<Exception> errors)
    {
        try
        {
            action();
        }
        catch (Exception error)
        {
            errors.Add(error);
        }
    }

    private static InvalidOperationException LoopFailed(Exception error) => new($"The session has failed and takes no more requests: {error.Message}", error);
}
