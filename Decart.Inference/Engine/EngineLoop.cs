using Decart.Inference.Kernels;
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
    private readonly Scheduler _scheduler;
    private readonly ILogger _logger;
    private readonly Batch _batch = new();
    private readonly List<ScheduledChunk> _step = [];
    private readonly float[] _logits;
    private readonly Queue<Sequence> _arrivals = [];
    private readonly object _gate = new(); // guards _arrivals, _stopping and _failure
    private bool _stopping;
    private Exception? _failure;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Thread _thread;
    private long _promptTokens;
    private long _generatedTokens;

    public EngineLoop(IDecoder decoder, Scheduler scheduler, ILogger logger)
    {
        _decoder = decoder;
        _scheduler = scheduler;
        _logger = logger;
        _logits = new float[decoder.VocabularySize];
        _thread = new Thread(Run) { IsBackground = true, Name = "Decart.Inference engine" };
        _thread.Start();
    }

    /// <summary>Completes when the loop has ended and every sequence with it; with the error, if one could neither be freed nor logged.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Queues a sequence. Any thread.</summary>
    /// <exception cref="ObjectDisposedException">The loop is stopping.</exception>
    /// <exception cref="InvalidOperationException">The loop has failed.</exception>
    public void Submit(Sequence sequence)
    {
        lock (_gate)
        {
            if (_failure is not null) throw LoopFailed(_failure);
            ObjectDisposedException.ThrowIf(_stopping, typeof(LlmSession));
            _arrivals.Enqueue(sequence);
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
                WaitingSequences = _scheduler.WaitingCount + _arrivals.Count,
                PromptTokens = Interlocked.Read(ref _promptTokens),
                GeneratedTokens = Interlocked.Read(ref _generatedTokens),
            };
        }
    }

    private void Run()
    {
        try
        {
            while (TakeArrivals())
            {
                foreach (Sequence cancelled in _scheduler.RemoveAll(sequence => sequence.IsCancelled)) Free(cancelled);
                if (_scheduler.HasWork) Step();
            }
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

    /// <summary>Ends all sequences because the loop ends: their callers are told first, whatever goes wrong in freeing them.</summary>
    private void EndAll()
    {
        Stop();
        TakeArrivals();
        IReadOnlyList<Sequence> sequences = _scheduler.RemoveAll(_ => true);
        foreach (Sequence sequence in sequences)
        {
            if (_failure is not null) sequence.Fail(LoopFailed(_failure));
            else if (!sequence.IsCancelled) sequence.Abandon();
        }
        foreach (Sequence sequence in sequences) Free(sequence);
    }

    private static InvalidOperationException LoopFailed(Exception error) => new($"The session has failed and takes no more requests: {error.Message}", error);

    /// <summary>Takes in what has been submitted; without other work, waits for it.</summary>
    /// <returns>Whether to go on: false once the loop is to stop.</returns>
    private bool TakeArrivals()
    {
        lock (_gate)
        {
            while (!_scheduler.HasWork && _arrivals.Count == 0 && !_stopping) Monitor.Wait(_gate);
            while (_arrivals.TryDequeue(out Sequence? sequence)) _scheduler.Add(sequence);
            return !_stopping;
        }
    }

    private void Step()
    {
        FillBatch();
        if (_batch.TokenCount == 0) return;
        try
        {
            _decoder.Forward(_batch);
        }
        catch (Exception error)
        {
            foreach (ScheduledChunk chunk in _step) Fail(chunk.Sequence, error);
            return;
        }
        int row = 0;
        foreach ((Sequence sequence, int length) in _step)
        {
            Interlocked.Add(ref _promptTokens, Math.Clamp(sequence.PromptLength - sequence.Computed, 0, length));
            sequence.Advance(length);
            if (sequence.Remaining == 0) Continue(sequence, row++);
        }
    }

    private void FillBatch()
    {
        _batch.Clear();
        _step.Clear();
        foreach (ScheduledChunk chunk in _scheduler.Schedule())
        {
            (Sequence sequence, int length) = chunk;
            try
            {
                ReadOnlySpan<int> tokens = sequence.Tokens.Slice(sequence.Computed, length);
                _batch.Add(sequence.PrepareKv(_decoder, length), tokens, sequence.Computed, wantsLogits: length == sequence.Remaining);
                _step.Add(chunk);
            }
            catch (Exception error)
            {
                Fail(sequence, error);
            }
        }
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
            Interlocked.Add(ref _generatedTokens, sequence.Remaining); // the token just chosen; none where only logits were wanted
            if (complete) Retire(sequence);
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
            Retire(sequence);
            _logger.RequestFailed(error, sequence.PromptLength, sequence.CompletionLength);
        }
        finally
        {
            sequence.Fail(new InvalidOperationException($"The model could not compute the next token: {error.Message}", error));
        }
    }

    private void Retire(Sequence sequence)
    {
        _scheduler.Remove(sequence);
        Free(sequence);
    }

    private void Free(Sequence sequence)
    {
        try
        {
            sequence.Dispose();
        }
        catch (Exception error)
        {
            _logger.FreeFailed(error);
        }
    }
}
