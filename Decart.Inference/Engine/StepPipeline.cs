using Decart.Inference.Memory;
using Decart.Inference.Models;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Engine;

/// <summary>
/// Computes steps. Where the device chooses the tokens of a whole step, the next one is launched before they are looked at, so that the device need not wait
/// for the host: one step may be in flight. Used by the engine loop's thread; the counts may be read by any.
/// </summary>
/// <param name="decoder">The model.</param>
/// <param name="memory">The memory of keys and values.</param>
/// <param name="scheduler">Chooses the steps.</param>
/// <param name="logger">Told of requests that fail.</param>
/// <param name="source">Where the model's weights come from, for messages.</param>
internal sealed class StepPipeline(IDecoder decoder, KvMemory memory, Scheduler scheduler, ILogger logger, string source)
{
    private readonly StepResults _results = new(decoder, scheduler, logger, source);
    private EngineStep _next = new(), _last = new();
    private EngineStep? _inFlight; // the last one, unless it is finished
    private long _promptTokens;

    /// <summary>Whether no step is in flight.</summary>
    public bool IsSettled => _inFlight is null;

    /// <summary>Tokens of prompts that have been computed, or will be by what is launched.</summary>
    public long PromptTokens => Volatile.Read(ref _promptTokens);

    /// <inheritdoc cref="StepResults.GeneratedTokens"/>
    public long GeneratedTokens => _results.GeneratedTokens;

    /// <summary>Launches the step that the scheduler chooses and finishes the one before it, or both. If there is nothing to launch it only finishes.</summary>
    public void Step()
    {
        Schedule();
        Exception? error = _next.Chunks.IsEmpty ? null : Launch();
        Settle(); // while the next step is computed
        if (error is not null)
        {
            LaunchOneByOne(error);
        }
        else if (!_next.Chunks.IsEmpty)
        {
            (_next, _last) = (_last, _next);
            if (_last.CanStayInFlight) _inFlight = _last;
            else _results.Give(_last);
        }
    }

    /// <summary>Finishes the step in flight, if there is one: waits for it and gives its sequences what it has computed.</summary>
    public void Settle()
    {
        if (_inFlight is not { } step) return;
        _inFlight = null;
        _results.Give(step);
    }

    private void Schedule()
    {
        if (TrySchedule() == Scheduling.MustSettle)
        {
            Settle();
            TrySchedule();
        }
        Fill();
    }

    /// <summary>Sequences that cannot be set up for the step are freed whether it is scheduled or not.</summary>
    private Scheduling TrySchedule()
    {
        Scheduling scheduling = scheduler.Schedule(_next, IsSettled);
        foreach (Sequence sequence in _next.Failed) _results.FreeUnlessInFlight(sequence);
        return scheduling;
    }

    /// <summary>Makes the next step of those scheduled chunks whose memory is there; the others' sequences fail.</summary>
    private void Fill()
    {
        ReadOnlySpan<StepChunk> chunks = _next.Scheduled;
        int promptTokens = 0;
        for (int i = 0; i < chunks.Length; i++)
        {
            StepPrefetch.Ahead(chunks, i);
            Sequence sequence = chunks[i].Sequence;
            if (sequence.HasEnded) continue;
            ref KvExtent kv = ref memory.Extent(sequence.KvSlot);
            int tokens = kv.Tokens + chunks[i].Length;
            bool isPrepared = tokens <= kv.Ready && sequence.HasAskedForSampler;
            if (isPrepared || TryPrepare(sequence, tokens)) promptTokens += _next.Add(i, memory.View(sequence.KvSlot), ref kv);
        }
        CountPromptTokens(promptTokens);
        memory.Map.Start(); // what later steps need is laid there while this one is computed
    }

    /// <summary>Waits for a sequence's memory and has the device choose its tokens if it can; the sequence fails where there is no memory for that.</summary>
    private bool TryPrepare(Sequence sequence, int tokens)
    {
        try
        {
            sequence.Kv!.Wait(tokens);
            sequence.AskForSampler(decoder);
            return true;
        }
        catch (Exception error)
        {
            _results.Fail(sequence, error);
            return false;
        }
    }

    /// <summary>Launches the next step. If it cannot be, its sequences are as before.</summary>
    /// <returns>Why it could not be launched; null if it was.</returns>
    private Exception? Launch()
    {
        try
        {
            decoder.Forward(_next.Batch);
            if (_next.IsMasked) AddMasks();
            if (!_next.SampledRows.IsEmpty) _next.Sampled = decoder.Sample(_next.SampledRows);
            return null;
        }
        catch (Exception error)
        {
            WaitForWhatWasLaunched();
            foreach (StepChunk chunk in _next.Chunks) TakeBack(chunk);
            return error;
        }
    }

    /// <summary>Part of a step that failed may still be under way, and must not write to pages that are given up.</summary>
    private void WaitForWhatWasLaunched()
    {
        try
        {
            decoder.Wait();
        }
        catch (Exception)
        {
            // The device is of no more use; the error that led here is the one to tell.
        }
    }

    /// <summary>A sequence that the step before has ended waited for this one only.</summary>
    private void TakeBack(in StepChunk chunk)
    {
        CountPromptTokens(-chunk.Sequence.TakeBack(ref memory.Extent(chunk.Sequence.KvSlot), chunk.Length, chunk.OnDevice));
        if (chunk.Sequence.HasEnded) _results.FreeUnlessInFlight(chunk.Sequence);
    }

    /// <summary>
    /// Masks depend on the tokens of the step before, which are there by now or nearly: this one's layers are computed while they are looked at, and only its
    /// tokens are chosen after that.
    /// </summary>
    private void AddMasks()
    {
        Settle();
        _next.AddMasks((sequence, error) => scheduler.End(sequence, error));
    }

    /// <summary>Each chunk of a step that failed by itself, so that the error concerns only those that cause it: what has been written is written again.</summary>
    private void LaunchOneByOne(Exception error)
    {
        StepChunk[] chunks = [.. _next.Chunks];
        foreach (StepChunk chunk in chunks)
        {
            if (chunk.Sequence.HasEnded) continue;
            if (chunks.Length > 1)
            {
                _next.Clear(chunk.Length);
                _next.Schedule(chunk.Sequence, chunk.Length);
                Fill();
                if (_next.Chunks.IsEmpty) continue;
                if (Launch() is not { } its)
                {
                    _results.Give(_next);
                    continue;
                }
                error = its;
            }
            _results.Fail(chunk.Sequence, error);
        }
    }

    private void CountPromptTokens(int count) => Volatile.Write(ref _promptTokens, _promptTokens + count);
}
