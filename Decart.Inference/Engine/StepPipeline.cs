using System.Diagnostics.CodeAnalysis;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Sampling;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Engine;

/// <summary>
/// Computes steps. Where the device chooses the tokens of a whole step, the next one is started before they are looked at, so that the device need not wait
/// for the host: one step may be in flight. Used by the engine loop's thread; the counts may be read by any.
/// </summary>
/// <param name="decoder">The model.</param>
/// <param name="memory">The memory of keys and values.</param>
/// <param name="scheduler">Chooses the steps.</param>
/// <param name="logger">Told of requests that fail.</param>
/// <param name="source">Where the model's weights come from, for messages.</param>
internal sealed class StepPipeline(IDecoder decoder, KvMemory memory, Scheduler scheduler, ILogger logger, string source)
{
    private readonly float[] _logits = new float[decoder.VocabularySize];
    private EngineStep _next = new(), _last = new();
    private EngineStep? _inFlight; // the last one, unless it has been looked at
    private long _promptTokens, _generatedTokens;

    /// <summary>Whether no step is in flight.</summary>
    public bool IsSettled => _inFlight is null;

    /// <summary>Tokens of prompts that have been computed, or will be by what is started.</summary>
    public long PromptTokens => Volatile.Read(ref _promptTokens);

    /// <summary>Tokens that have been chosen.</summary>
    public long GeneratedTokens => Volatile.Read(ref _generatedTokens);

    /// <summary>
    /// Starts the step that the scheduler chooses and looks at the one before it, or at both. If there is nothing to start it only looks.
    /// </summary>
    public void Step()
    {
        if (!TrySchedule())
        {
            Settle();
            TrySchedule();
        }
        Fill();
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

    /// <summary>Has the scheduler choose the next step; sequences that could not be set up for it fail.</summary>
    private bool TrySchedule()
    {
        bool scheduled = scheduler.TrySchedule(settled: IsSettled, _next);
        foreach (Sequence sequence in _next.Failed) EndFailed(sequence);
        return scheduled;
    }

    /// <summary>Waits for the step that is in flight, if there is one, and looks at what it has given.</summary>
    public void Settle()
    {
        if (_inFlight is not { } step) return;
        _inFlight = null;
        Finish(step);
    }

    /// <summary>Each chunk of a step that failed by itself, so that the error concerns only those that cause it: what has been written is written again.</summary>
    private void StartOneByOne(StepChunk[] chunks)
    {
        foreach (StepChunk chunk in chunks)
        {
            if (chunk.Sequence.HasEnded) continue;
            _next.Clear();
            _next.Schedule(chunk.Sequence, chunk.Length);
            Fill();
            if (_next.Chunks.IsEmpty) continue;
            if (TryStart(out Exception? error)) Finish(_next);
            else Fail(chunk.Sequence, error);
        }
    }

    /// <summary>Makes the next step of those scheduled chunks whose memory is there; the others' sequences fail.</summary>
    private void Fill()
    {
        ReadOnlySpan<StepChunk> chunks = _next.Scheduled;
        int promptTokens = 0;
        for (int i = 0; i < chunks.Length; i++)
        {
            if (i + Scheduler.FarAhead < chunks.Length) Prefetch.Object(chunks[i + Scheduler.FarAhead].Sequence);
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
            decoder.Forward(_next.Batch);
            if (!_next.SampledRows.IsEmpty) _next.Sampled = decoder.Sample(_next.SampledRows);
        }
        catch (Exception failure)
        {
            error = failure;
            WaitForWhatWasStarted();
            foreach (StepChunk chunk in _next.Chunks) CountPromptTokens(-TakeBack(chunk));
            return false;
        }
        return true;
    }

    /// <summary>Part of a step that failed may still be under way, and must not write to pages that are given up.</summary>
    private void WaitForWhatWasStarted()
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

    private int TakeBack(in StepChunk chunk) =>
        chunk.Sequence.TakeBack(ref memory.Extent(chunk.Sequence.KvSlot), chunk.Length, chunk.OnDevice);

    private void CountPromptTokens(int count) => Volatile.Write(ref _promptTokens, _promptTokens + count);

    /// <summary>Waits for a step and gives its sequences what it has computed.</summary>
    private void Finish(EngineStep step)
    {
        ReadOnlySpan<int> tokens = default;
        Exception? failure = null;
        try
        {
            if (step.Sampled is { } sampled) tokens = sampled.Wait();
            else decoder.Wait();
        }
        catch (Exception error)
        {
            failure = error;
        }
        if (failure is null) IndexPages(step.Filled);
        ReadOnlySpan<StepChunk> chunks = step.Chunks;
        for (int i = 0; i < chunks.Length; i++)
        {
            if (i + Scheduler.FarAhead < chunks.Length) Prefetch.Object(chunks[i + Scheduler.FarAhead].Sequence);
            if (i + Scheduler.NearAhead < chunks.Length) chunks[i + Scheduler.NearAhead].Sequence.FetchAhead();
            Finish(chunks[i], tokens, failure);
        }
    }

    /// <summary>From now on others may share the pages that a step has filled.</summary>
    private static void IndexPages(ReadOnlySpan<FilledPage> pages)
    {
        const int Block = 16;
        for (; !pages.IsEmpty; pages = pages[Math.Min(Block, pages.Length)..])
        {
            ReadOnlySpan<FilledPage> block = pages[..Math.Min(Block, pages.Length)];
            foreach (FilledPage page in block) Prefetch.Object(page.Kv);
            foreach (FilledPage page in block) page.Kv.FetchNextPage();
            foreach (FilledPage page in block)
            {
                if (!page.Sequence.HasEnded) page.Kv.FetchIndex(page.Stored);
            }
            foreach (FilledPage page in block)
            {
                if (!page.Sequence.HasEnded) IndexPage(page);
            }
        }
    }

    private static void IndexPage(in FilledPage page)
    {
        try
        {
            page.Kv.IndexPages(page.Stored);
        }
        catch (Exception error)
        {
            page.Sequence.Error = error;
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
        if (!chunk.OnDevice || sequence.WantsLogits) decoder.ReadLogits(chunk.LogitRow, _logits);
        if (!chunk.OnDevice) sequence.IsComplete = sequence.Accept(_logits);
        else if (sequence.WantsLogits) sequence.IsComplete = sequence.Accept(tokens[chunk.LogitRow], _logits);
        else sequence.IsComplete = sequence.Accept(tokens[chunk.LogitRow]);
        Volatile.Write(ref _generatedTokens, _generatedTokens + sequence.Length - before); // none where only logits were wanted
        if (!sequence.IsComplete) sequence.Publish();
        else if (sequence.TokensInFlight > 0) scheduler.Retire(sequence);
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
        scheduler.Remove(sequence);
        sequence.Publish();
    }

    private void Fail(Sequence sequence, Exception error)
    {
        sequence.Error = error;
        EndFailed(sequence);
    }

    private void EndFailed(Sequence sequence)
    {
        if (sequence.TokensInFlight > 0) scheduler.Retire(sequence);
        else RemoveFailed(sequence);
    }

    /// <summary>Frees a sequence and tells its caller why, and what else went wrong on the way: nobody else has to do with it.</summary>
    private void RemoveFailed(Sequence sequence)
    {
        Exception error = sequence.Error!, cause = error;
        try
        {
            scheduler.Remove(sequence, keep: false);
            logger.RequestFailed(error, sequence.PromptLength, sequence.CompletionLength);
        }
        catch (Exception another)
        {
            cause = new AggregateException(error, another);
        }
        string suspicion = error is NonFiniteLogitsException ? $" The weights of {source} are probably damaged." : "";
        sequence.Fail(Failure(cause, error.Message + suspicion));
    }

    /// <summary>What a request's caller is told.</summary>
    /// <param name="cause">What went wrong.</param>
    /// <param name="message">How to say it; null for the cause's own words.</param>
    public static InvalidOperationException Failure(Exception cause, string? message = null) =>
        new($"The model could not compute the next token: {message ?? cause.Message}", cause);
}
