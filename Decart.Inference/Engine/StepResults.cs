using Decart.Inference.Models;
using Decart.Inference.Sampling;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Engine;

/// <summary>
/// Gives sequences what steps have computed, and ends them. A caller is told last: what it then finds in the statistics and in memory is true. Used by the
/// engine loop's thread; the count may be read by any.
/// </summary>
/// <param name="decoder">The model.</param>
/// <param name="scheduler">Has the sequences.</param>
/// <param name="logger">Told of requests that fail.</param>
/// <param name="source">Where the model's weights come from, for messages.</param>
internal sealed class StepResults(IDecoder decoder, Scheduler scheduler, ILogger logger, string source)
{
    private readonly float[] _logits = new float[decoder.VocabularySize];
    private readonly ComputedRows _rows = new(decoder);
    private long _generatedTokens;

    /// <summary>Tokens that have been chosen.</summary>
    public long GeneratedTokens => Volatile.Read(ref _generatedTokens);

    /// <summary>Waits for a step and gives its sequences what it has computed.</summary>
    public void Give(EngineStep step)
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
            StepPrefetch.AheadWithTokens(chunks, i);
            if (failure is not null || !step.ReadsRows || chunks[i].Sequence.Rows == RowOutput.None) Give(chunks[i], tokens, failure);
        }
        if (failure is null && step.ReadsRows) GiveRows(step);
    }

    /// <summary>Ends a sequence with an error.</summary>
    public void Fail(Sequence sequence, Exception error)
    {
        scheduler.End(sequence, error);
        FreeUnlessInFlight(sequence);
    }

    /// <summary>Frees a sequence that has ended and tells its caller, unless a step in flight still uses its pages.</summary>
    public void FreeUnlessInFlight(Sequence sequence)
    {
        if (sequence.TokensInFlight > 0) return;
        if (sequence.Error is { } error)
        {
            FreeFailed(sequence, error);
            return;
        }
        scheduler.Free(sequence);
        sequence.Publish();
    }

    /// <summary>What a request's caller is told.</summary>
    /// <param name="cause">What went wrong.</param>
    /// <param name="message">How to say it; null for the cause's own words.</param>
    public static InvalidOperationException Failure(Exception cause, string? message = null) =>
        new($"The model could not compute the request: {message ?? cause.Message}", cause);

    /// <summary>From now on others may share the pages that a step has filled.</summary>
    private void IndexPages(ReadOnlySpan<FilledPage> pages)
    {
        for (; !pages.IsEmpty; pages = pages[Math.Min(StepPrefetch.Block, pages.Length)..])
        {
            ReadOnlySpan<FilledPage> block = pages[..Math.Min(StepPrefetch.Block, pages.Length)];
            StepPrefetch.Index(block);
            foreach (FilledPage page in block)
            {
                if (!page.Sequence.HasEnded) IndexPage(page);
            }
        }
    }

    private void IndexPage(in FilledPage page)
    {
        try
        {
            page.Kv.IndexPages(page.Stored);
        }
        catch (Exception error)
        {
            scheduler.End(page.Sequence, error);
        }
    }

    private void Give(in StepChunk chunk, ReadOnlySpan<int> tokens, Exception? failure)
    {
        Sequence sequence = chunk.Sequence;
        sequence.Finish(chunk.Length, chunk.OnDevice);
        try
        {
            if (sequence.HasEnded) EndLate(chunk);
            else if (failure is not null) Fail(sequence, failure);
            else if (sequence.Rows != RowOutput.None) ContinueRows(sequence);
            else if (chunk.LogitRow >= 0) Continue(chunk, tokens);
        }
        catch (Exception error)
        {
            Fail(sequence, error);
        }
    }

    /// <summary>Gives sequences what they read of their tokens. Last, because logits take the place of those that others have read.</summary>
    private void GiveRows(EngineStep step)
    {
        _rows.Begin(step);
        for (int i = 0; i < step.Chunks.Length; i++)
        {
            ref readonly StepChunk chunk = ref step.Chunks[i];
            if (chunk.Sequence.Rows == RowOutput.None) continue;
            _rows.Select(i);
            Give(chunk, tokens: default, failure: null);
        }
    }

    /// <summary>Gives a sequence the token or the logits that it waits for.</summary>
    private void Continue(in StepChunk chunk, ReadOnlySpan<int> tokens)
    {
        Sequence sequence = chunk.Sequence;
        int before = sequence.Length;
        if (!chunk.OnDevice || sequence.WantsLogits) decoder.ReadLogits(chunk.LogitRow, _logits);
        bool isComplete =
            !chunk.OnDevice ? sequence.Accept(_logits)
            : sequence.WantsLogits ? sequence.Accept(tokens[chunk.LogitRow], _logits)
            : sequence.Accept(tokens[chunk.LogitRow]);
        Volatile.Write(ref _generatedTokens, _generatedTokens + sequence.Length - before); // none where only logits were wanted
        if (isComplete) End(sequence);
        else sequence.Publish();
    }

    private void ContinueRows(Sequence sequence)
    {
        if (sequence.Accept(_rows)) End(sequence);
    }

    private void End(Sequence sequence)
    {
        scheduler.End(sequence, error: null);
        FreeUnlessInFlight(sequence);
    }

    /// <summary>A step that was in flight when a sequence ended is done: its result is discarded.</summary>
    private void EndLate(in StepChunk chunk)
    {
        Sequence sequence = chunk.Sequence;
        if (sequence.TokensInFlight == 0 && sequence.Error is null) sequence.Kv!.Truncate(sequence.Kv.Tokens - chunk.Length);
        FreeUnlessInFlight(sequence);
    }

    /// <summary>Frees a sequence and tells its caller why it failed, and what else went wrong meanwhile; nobody else is affected.</summary>
    private void FreeFailed(Sequence sequence, Exception error)
    {
        Exception cause = error;
        try
        {
            scheduler.Free(sequence, keep: false);
            logger.RequestFailed(error, sequence.PromptLength, sequence.CompletionLength);
        }
        catch (Exception another)
        {
            cause = new AggregateException(error, another);
        }
        string suspicion = error is NonFiniteLogitsException ? $" The weights of {source} are probably damaged." : "";
        sequence.Fail(Failure(cause, error.Message + suspicion));
    }
}
