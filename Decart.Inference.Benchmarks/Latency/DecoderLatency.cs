using System.Diagnostics;
using Decart.Inference.Benchmarks.Reports;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Sampling;

namespace Decart.Inference.Benchmarks.Latency;

/// <summary>
/// Time of a decoder's steps as the engine runs them: where the device chooses the tokens, the next decode step is started before they are read; where the host
/// does, a step lasts until the first row of logits is there. Tokens are the most probable ones, but random ones of mixtures of experts: with random weights the
/// sequences of a batch would soon have the same token, and so the same experts.
/// </summary>
internal sealed class DecoderLatency : IDisposable
{
    /// <summary>The beginning of a context that is computed; the rest repeats its keys and values.</summary>
    private const int ComputedTokens = 2048;

    private const int WarmUps = 3, LeastRepetitions = 3;

    private readonly IBackend _backend;
    private readonly Decoder _decoder;
    private readonly float[] _logits;
    private readonly int _repetitions;
    private readonly bool _mixesExperts, _sameToken;

    /// <param name="backend">The device; the caller's, disposed of after this.</param>
    /// <param name="source">The weights; disposed of with this.</param>
    /// <param name="config">The decoder's shape.</param>
    /// <param name="longestPrefill">Tokens of the longest prompt.</param>
    /// <param name="largestBatch">Sequences of the largest batch.</param>
    /// <param name="options">How many steps the median is taken of, and which tokens they have.</param>
    public DecoderLatency(IBackend backend, TensorSource source, ModelConfig config, int longestPrefill, int largestBatch, LatencyOptions options)
    {
        _backend = backend;
        (_repetitions, _sameToken) = (options.Repetitions, options.SameToken);
        _mixesExperts = config.Experts is not null;
        _decoder = Decoder.Load(source, config, backend, Math.Max(Math.Max(longestPrefill, largestBatch), Math.Min(ComputedTokens, config.ContextLength)), largestBatch);
        _logits = new float[_decoder.VocabularySize];
    }

    public KvLayout KvLayout => _decoder.KvLayout;

    /// <summary>Median seconds of a prompt, until its first token is there.</summary>
    public double Prefill(SequenceMemory memory, int tokens)
    {
        KvCache kv = memory.Rent(tokens);
        Batch batch = new();
        batch.Add(kv.View, Tokens(0, tokens), 0, wantsLogits: true);
        SampledRow[] rows = SampleAll(batch);
        double[] seconds = new double[Math.Max(LeastRepetitions, _repetitions / 4)];
        for (int i = -1; i < seconds.Length; i++)
        {
            long start = Stopwatch.GetTimestamp();
            Finish(Start(batch, rows));
            if (i >= 0) seconds[i] = Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
        Release(rows, kv);
        return Figures.Median(seconds)!.Value;
    }

    /// <summary>Median seconds from one token to the next of sequences that are decoded together.</summary>
    /// <param name="memory">Where they lie.</param>
    /// <param name="batch">How many they are.</param>
    /// <param name="context">Tokens before the one that is computed, of each.</param>
    public double Decode(SequenceMemory memory, int batch, int context)
    {
        KvCache[] sequences = [.. Enumerable.Range(0, batch).Select(_ => memory.Rent(context + 1))];
        Fill(memory, sequences, context);
        Batch first = new(), next = new();
        for (int i = 0; i < batch; i++)
        {
            first.Add(sequences[i].View, Token(i), context, wantsLogits: true);
            next.AddSampled(sequences[i].View, i, context);
        }
        SampledRow[] rows = SampleAll(first);
        double seconds = Median(first, rows.Length > 0 ? next : first, rows);
        Release(rows, sequences);
        return seconds;
    }

    public void Dispose() => _decoder.Dispose();

    private double Median(Batch first, Batch next, SampledRow[] rows)
    {
        SampledTokens? tokens = Start(first, rows);
        double[] seconds = new double[_repetitions];
        long last = 0;
        for (int i = -WarmUps; i < _repetitions; i++)
        {
            SampledTokens? following = Start(next, rows);
            Finish(tokens);
            tokens = following;
            long now = Stopwatch.GetTimestamp();
            if (i >= 0) seconds[i] = Stopwatch.GetElapsedTime(last, now).TotalSeconds;
            last = now;
        }
        Finish(tokens);
        return Figures.Median(seconds)!.Value;
    }

    private SampledTokens? Start(Batch batch, SampledRow[] rows)
    {
        _decoder.Forward(batch);
        return rows.Length > 0 ? _decoder.Sample(rows) : null;
    }

    private void Finish(SampledTokens? tokens)
    {
        if (tokens is null) _decoder.ReadLogits(0, _logits);
        else tokens.Wait();
    }

    /// <summary>Has the device choose the token of each row; nothing where the host has to.</summary>
    private SampledRow[] SampleAll(Batch batch)
    {
        return [.. from row in Enumerable.Range(0, batch.LogitRowCount)
                   let options = new GenerationOptions { Temperature = _mixesExperts ? 1 : 0, Seed = row }
                   let sampler = _decoder.CreateSampler(SamplingParameters.Resolve(options, new GenerationOptions()), [0])
                   where sampler is not null
                   select new SampledRow(row, sampler, 0)];
    }

    private void Release(SampledRow[] rows, params KvCache[] sequences)
    {
        _backend.Wait();
        foreach (SampledRow row in rows) row.Sampler.Dispose();
        foreach (KvCache sequence in sequences) sequence.Release();
    }

    private void Fill(SequenceMemory memory, KvCache[] sequences, int context)
    {
        int computed = Math.Min(context, Math.Min(ComputedTokens, _decoder.MaxBatchTokens));
        Batch batch = new();
        batch.Add(sequences[0].View, Tokens(0, computed), 0, wantsLogits: true);
        Finish(Start(batch, []));
        memory.Repeat(sequences[0], computed, context, sequences[0], computed);
        foreach (KvCache sequence in sequences[1..]) memory.Repeat(sequence, 0, context, sequences[0], context);
    }

    private int[] Tokens(int first, int count) => [.. Enumerable.Range(first, count).Select(Token)];

    /// <summary>A token of a prompt or a context: another one for each place, or always the same.</summary>
    internal int Token(int index) => (int)((300 + (_sameToken ? 0 : index * 7919L)) % _decoder.VocabularySize);
}
