using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Engine;

/// <summary>
/// The one thread that owns the model. Callers submit sequences from any thread; the loop takes them in, computes step after step while
/// there is work and sleeps otherwise. Sequences pass their results on without blocking, so that no caller can hold it up.
/// </summary>
internal sealed class EngineLoop
{
    private readonly IDecoder _decoder;
    private readonly KvMemory _memory;
    private readonly Scheduler _scheduler;
    private readonly ILogger _logger;
    private readonly Batch _batch = new();
    private readonly List<ScheduledChunk> _step = [];
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
            while (!_scheduler.HasWork && _arrivals.Count == 0 && !_woken && !_stopping) Monitor.Wait(_gate);
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
        foreach (Sequence cancelled in _scheduler.FindAll(sequence => sequence.IsCancelled)) _scheduler.Remove(cancelled);
    }

    /// <summary>Ends all sequences because the loop ends.</summary>
    private void EndAll()
    {
        Stop();
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
        ReadOnlySpan<ScheduledChunk> chunks = _scheduler.Schedule();
        FillBatch(chunks);
        if (_step.Count == 0 || TryCompute(out Exception? error)) return;
        if (_step.Count == 1)
        {
            Fail(_step[0].Sequence, error);
            return;
        }
        // Each by itself, so that the error concerns only those that cause it: what has been written before is written again.
        ScheduledChunk[] all = [.. _step];
        foreach (ScheduledChunk chunk in all)
        {
            FillBatch([chunk]);
            if (_step.Count > 0 && !TryCompute(out error)) Fail(chunk.Sequence, error);
        }
    }

    /// <summary>Makes a batch of those chunks whose memory is there; the others' sequences fail.</summary>
    private void FillBatch(ReadOnlySpan<ScheduledChunk> chunks)
    {
        _batch.Clear();
        _step.Clear();
        for (int i = 0; i < chunks.Length; i++)
        {
            Scheduler.FetchAhead(chunks, i);
            (Sequence sequence, int length) = chunks[i];
            KvCache kv = sequence.Kv!;
            if (!kv.IsReady(kv.Tokens + length) && !TryWait(sequence, kv, kv.Tokens + length)) continue;
            if (sequence.Remaining == 1) _batch.Add(kv.View, [sequence.LastToken], kv.Tokens, wantsLogits: true);
            else _batch.Add(kv.View, sequence.Tokens.Slice(kv.Tokens, length), kv.Tokens, wantsLogits: length == sequence.Remaining);
            _step.Add(chunks[i]);
        }
        _memory.Map.Start(); // what later steps need is laid there while this one is computed
    }

    /// <summary>Waits for a sequence's memory; it fails where there is none.</summary>
    private bool TryWait(Sequence sequence, KvCache kv, int tokens)
    {
        try
        {
            kv.Wait(tokens);
            return true;
        }
        catch (VirtualMemoryException error)
        {
            Fail(sequence, error);
            return false;
        }
    }

    private bool TryCompute([NotNullWhen(false)] out Exception? error)
    {
        error = null;
        try
        {
            _decoder.Forward(_batch);
        }
        catch (Exception failure)
        {
            error = failure;
            return false;
        }
        int row = 0;
        for (int i = 0; i < _step.Count; i++)
        {
            Scheduler.FetchAhead(CollectionsMarshal.AsSpan(_step), i);
            (Sequence sequence, int length) = _step[i];
            Volatile.Write(ref _promptTokens, _promptTokens + sequence.Advance(length));
            if (sequence.Remaining == 0) Continue(sequence, row++);
        }
        return true;
    }

    /// <summary>
    /// Gives a sequence the logits that it waits for, in the given row. The caller is told last: what it then finds in the statistics and
    /// in memory is true.
    /// </summary>
    private void Continue(Sequence sequence, int row)
    {
        try
        {
            _decoder.ReadLogits(row, _logits);
            bool complete = sequence.Accept(_logits);
            Volatile.Write(ref _generatedTokens, _generatedTokens + sequence.Remaining); // the token just chosen; none where only logits were wanted
            if (complete) _scheduler.Remove(sequence);
            sequence.Publish();
        }
        catch (Exception error)
        {
            Fail(sequence, error);
        }
    }

    private void Fail(Sequence sequence, Exception error)
    {
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
