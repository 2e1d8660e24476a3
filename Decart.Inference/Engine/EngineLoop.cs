using System.Diagnostics.CodeAnalysis;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Engine;

/// <summary>
/// The one thread that owns the model. Callers submit sequences from any thread; the loop takes them in, computes step after step while
/// there is work and sleeps otherwise. Sequences pass their results on without blocking, so that no caller can hold it up.
/// Where the device chooses the tokens, a step is started before the tokens of the one before it are looked at, so that the device need not wait for the host.
/// </summary>
internal sealed class EngineLoop
{
    private readonly IDecoder _decoder;
    private readonly KvMemory _memory;
    private readonly Scheduler _scheduler;
    private readonly ILogger _logger;
    private EngineStep _next = new(), _last = new();
    private EngineStep? _inFlight; // the last one, unless it has been looked at
    private readonly float[] _logits;
    private readonly object _gate = new(); // guards _arrivals, _waitingArrivals, _woken, _stopping and _failure
    private readonly Queue<Action> _arrivals = [];
    private int _waitingArrivals;
    private bool _woken;
    private bool _stopping;
    private Exception? _failure;
    private volatile bool _someCancelled;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _promptTokens; // both written by the loop's thread alone
    private long _generatedTokens;

    public EngineLoop(IDecoder decoder, KvMemory memory, Scheduler scheduler, ILogger logger)
    {
        _decoder = decoder;
        _memory = memory;
        _scheduler = scheduler;
        _logger = logger;
        _logits = new float[decoder.VocabularySize];
    }

    /// <summary>Starts the thread.</summary>
    public void Start() => new Thread(Run) { IsBackground = true, Name = "Decart.Inference engine" }.Start();

    /// <summary>Completes when the loop has ended and every sequence with it; with the error, if one could neither be freed nor logged.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Queues a sequence. Any thread.</summary>
    /// <exception cref="ObjectDisposedException">The loop is stopping.</exception>
    /// <exception cref="InvalidOperationException">The loop has failed.</exception>
    public void Submit(Sequence sequence)
    {
        lock (_gate)
        {
            Post(() => Take(sequence));
            _waitingArrivals++;
        }
    }

    /// <summary>Has the loop's thread do something between two steps, after what was submitted and posted before. Any thread.</summary>
    /// <inheritdoc cref="Submit" path="/exception"/>
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

    /// <summary>Nobody waits for a sequence any longer: it is freed before the next step. Any thread, at any time.</summary>
    public void Cancel(Sequence sequence)
    {
        sequence.Cancel();
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
                PromptTokens = Volatile.Read(ref _promptTokens),
                GeneratedTokens = Volatile.Read(ref _generatedTokens),
            };
        }
    }

    /// <summary>
    /// Does what has arrived and computes a step if there is anything to compute: one turn of the loop, for whoever has not started it.
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
        if (_scheduler.HasWork) Step();
        else Settle();
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
    }

    /// <summary>Sleeps while there is nothing to do.</summary>
    /// <returns>Whether to go on: false once the loop is to stop.</returns>
    private bool WaitForWork()
    {
        lock (_gate)
        {
            while (!_scheduler.HasWork && _inFlight is null && _arrivals.Count == 0 && !_woken && !_stopping) Monitor.Wait(_gate);
            _woken = false;
            return !_stopping;
        }
    }

    private void Take(Sequence sequence)
    {
        lock (_gate)
        {
            if (!sequence.IsCancelled) _scheduler.Add(sequence);
            _waitingArrivals--;
        }
    }

    /// <summary>Sequences whose callers have gone leave before anything that was posted after they went.</summary>
    private void RemoveCancelled()
    {
        if (!_someCancelled) return;
        _someCancelled = false;
        Settle();
        foreach (Sequence cancelled in _scheduler.FindAll(sequence => sequence.IsCancelled)) _scheduler.Remove(cancelled);
    }

    /// <summary>Ends all sequences because the loop ends.</summary>
    private void EndAll()
    {
        Stop();
        Settle();
        while (_arrivals.TryDequeue(out Action? action)) action(); // nobody posts any more
        foreach (Sequence sequence in _scheduler.FindAll(_ => true))
        {
            if (_failure is not null) sequence.Fail(LoopFailed(_failure));
            else if (!sequence.IsCancelled) sequence.Abandon();
        }
        foreach (Sequence sequence in _scheduler.FindAll(_ => true)) _scheduler.Remove(sequence, keep: false);
    }

    private static InvalidOperationException LoopFailed(Exception error) => new($"The session has failed and takes no more requests: {error.Message}", error);

    private void Step()
    {
        if (!_scheduler.TrySchedule(settled: _inFlight is null, out ReadOnlySpan<ScheduledChunk> chunks))
        {
            Settle();
            _scheduler.TrySchedule(settled: true, out chunks);
        }
        Fill(chunks);
        if (_next.Chunks.IsEmpty)
        {
            Settle();
            return;
        }
        if (TryStart(out Exception? error))
        {
            Settle(); // what the step before has given, while this one is computed
            (_next, _last) = (_last, _next);
            if (_last.CanStayInFlight) _inFlight = _last;
            else Finish(_last);
            return;
        }
        Settle();
        if (_next.Chunks.Length > 1) StartOneByOne([.. _next.Chunks]);
        else if (!_next.Chunks[0].Sequence.HasEnded) Fail(_next.Chunks[0].Sequence, error);
    }

    /// <summary>Each chunk of a step that failed by itself, so that the error concerns only those that cause it: what has been written is written again.</summary>
    private void StartOneByOne(StepChunk[] chunks)
    {
        foreach (StepChunk chunk in chunks)
        {
            if (chunk.Sequence.HasEnded) continue;
            Fill([new ScheduledChunk(chunk.Sequence, chunk.Length)]);
            if (_next.Chunks.IsEmpty) continue;
            if (TryStart(out Exception? error)) Finish(_next);
            else Fail(chunk.Sequence, error);
        }
    }

    /// <summary>Makes the next step of those chunks whose memory is there; the others' sequences fail.</summary>
    private void Fill(ReadOnlySpan<ScheduledChunk> chunks)
    {
        _next.Clear();
        for (int i = 0; i < chunks.Length; i++)
        {
            if (i + Scheduler.FarAhead < chunks.Length) Prefetch.Object(chunks[i + Scheduler.FarAhead].Sequence);
            if (i + Scheduler.NearAhead < chunks.Length) chunks[i + Scheduler.NearAhead].Sequence.FetchAhead();
            (Sequence sequence, int length) = chunks[i];
            if (IsPrepared(sequence, length) || TryPrepare(sequence, length)) _promptTokens += _next.Add(sequence, length, length == sequence.Remaining);
        }
        _memory.Map.Start(); // what later steps need is laid there while this one is computed
    }

    private static bool IsPrepared(Sequence sequence, int length) => sequence.HasAskedForChooser && sequence.Kv!.IsReady(sequence.Kv.Tokens + length);

    /// <summary>Waits for a sequence's memory and has the device choose its tokens if it can; the sequence fails where there is no memory for that.</summary>
    private bool TryPrepare(Sequence sequence, int length)
    {
        try
        {
            sequence.Kv!.Wait(sequence.Kv.Tokens + length);
            sequence.AskForChooser(_decoder);
            return true;
        }
        catch (Exception error)
        {
            Fail(sequence, error);
            return false;
        }
    }

    /// <summary>Starts the next step.</summary>
    private bool TryStart([NotNullWhen(false)] out Exception? error)
    {
        error = null;
        try
        {
            _decoder.Forward(_next.Batch);
            if (!_next.Choices.IsEmpty) _next.Chosen = _decoder.Sample(_next.Choices);
        }
        catch (Exception failure)
        {
            error = failure;
            foreach (StepChunk chunk in _next.Chunks) _promptTokens -= chunk.Sequence.TakeBack(chunk.Length, chunk.OnDevice);
            return false;
        }
        return true;
    }

    /// <summary>Looks at the step that is in flight, if there is one.</summary>
    private void Settle()
    {
        if (_inFlight is not { } step) return;
        _inFlight = null;
        Finish(step);
    }

    /// <summary>Waits for a step and gives its sequences what it has computed.</summary>
    private void Finish(EngineStep step)
    {
        ReadOnlySpan<int> tokens = default;
        Exception? failure = null;
        try
        {
            if (step.Chosen is { } chosen) tokens = chosen.Wait();
            else if (step.Batch.LogitRows.IsEmpty) _decoder.Wait();
        }
        catch (Exception error)
        {
            failure = error;
        }
        ReadOnlySpan<StepChunk> chunks = step.Chunks;
        for (int i = 0; i < chunks.Length; i++)
        {
            if (i + Scheduler.FarAhead < chunks.Length) Prefetch.Object(chunks[i + Scheduler.FarAhead].Sequence);
            if (i + Scheduler.NearAhead < chunks.Length) chunks[i + Scheduler.NearAhead].Sequence.FetchAhead();
            Finish(chunks[i], tokens, failure);
        }
    }

    private void Finish(in StepChunk chunk, ReadOnlySpan<int> tokens, Exception? failure)
    {
        chunk.Sequence.Finish(chunk.Length, chunk.OnDevice);
        try
        {
            if (chunk.Sequence.HasEnded) End(chunk);
            else if (failure is not null) Fail(chunk.Sequence, failure);
            else if (chunk.LogitRow >= 0) Continue(chunk, tokens);
        }
        catch (Exception error)
        {
            Fail(chunk.Sequence, error);
        }
    }

    /// <summary>
    /// Gives a sequence the token or the logits that it waits for. The caller is told last: what it then finds in the statistics and in memory is true.
    /// </summary>
    private void Continue(in StepChunk chunk, ReadOnlySpan<int> tokens)
    {
        Sequence sequence = chunk.Sequence;
        int before = sequence.Length;
        if (chunk.OnDevice)
        {
            sequence.IsComplete = sequence.Accept(tokens[chunk.LogitRow]);
        }
        else
        {
            _decoder.ReadLogits(chunk.LogitRow, _logits);
            sequence.IsComplete = sequence.Accept(_logits);
        }
        Volatile.Write(ref _generatedTokens, _generatedTokens + sequence.Length - before); // none where only logits were wanted
        if (!sequence.IsComplete) sequence.Publish();
        else if (sequence.TokensInFlight > 0) _scheduler.Retire(sequence);
        else Complete(sequence);
    }

    /// <summary>The step that was in flight when a sequence ended is done: of what it has given nothing is used.</summary>
    private void End(in StepChunk chunk)
    {
        Sequence sequence = chunk.Sequence;
        if (sequence.TokensInFlight > 0) return;
        if (sequence.Error is not null)
        {
            RemoveFailed(sequence);
            return;
        }
        sequence.Kv!.Truncate(sequence.Kv.Tokens - chunk.Length);
        Complete(sequence);
    }

    private void Complete(Sequence sequence)
    {
        _scheduler.Remove(sequence);
        sequence.Publish();
    }

    private void Fail(Sequence sequence, Exception error)
    {
        sequence.Error = error;
        if (sequence.TokensInFlight > 0) _scheduler.Retire(sequence);
        else RemoveFailed(sequence);
    }

    private void RemoveFailed(Sequence sequence)
    {
        Exception error = sequence.Error!;
        try
        {
            _scheduler.Remove(sequence, keep: false);
            _logger.RequestFailed(error, sequence.PromptLength, sequence.CompletionLength);
        }
        finally
        {
            sequence.Fail(new InvalidOperationException($"The model could not compute the next token: {error.Message}", error));
        }
    }
}
