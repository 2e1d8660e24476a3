using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Models;
using Decart.Inference.Sampling;

namespace Decart.Inference.Tests.Models;

/// <summary>Decoders whose tokens are sampled on the device, where the next step takes them from.</summary>
[TestFixtureSource(typeof(ParallelDevices), nameof(ParallelDevices.Sampling))]
internal sealed class GpuSampledTokensTests(string device, int count)
{
    private const int Count = 12, MaxBatchTokens = 16;

    private static readonly int[][] Prompts = [[5, 17, 90, 3, 3, 41, 8], [2], [11, 64], [9, 9, 9]];

    private static readonly SamplingParameters[] Parameters =
    [
        Resolve(new() { Temperature = 0 }),
        Resolve(new() { TopP = 0.9f, TopK = 30 }),
        Resolve(new() { TopLogprobs = 1 }),
        Resolve(new() { TopLogprobs = 2, RepetitionPenalty = 1.5f, PresencePenalty = 1, LogitBias = new Dictionary<int, float> { [7] = 1 } }),
    ];

    [Test]
    public void Steps_that_are_started_before_the_tokens_are_known_give_the_same_ones() => Run((decoder, ranges) =>
    {
        int[][] expected = ChooseOnHost(decoder, ranges), found = ChooseAhead(decoder, ranges);
        for (int i = 0; i < Prompts.Length; i++) Assert.That(found[i], Is.EqualTo(expected[i]), $"sequence {i}");
    });

    [Test]
    public void Logits_can_be_read_after_sampling_where_log_probabilities_are_wanted() => Run((decoder, ranges) =>
    {
        decoder.Forward(PromptBatch(ranges));
        float[][] before = [.. Prompts.Select((_, i) => decoder.Logits(i))];
        SequenceSampler[] samplers = [.. Prompts.Select((prompt, i) => decoder.CreateSampler(Parameters[i], prompt)!)];
        decoder.Sample([.. samplers.Select((sampler, i) => new SampledRow(i, sampler, 0))]).Wait();
        for (int i = 0; i < Prompts.Length; i++)
        {
            if (Parameters[i].TopLogprobs is not null) Assert.That(decoder.Logits(i), Is.EqualTo(before[i]), $"sequence {i}");
        }
        foreach (SequenceSampler sampler in samplers) sampler.Dispose();
    });

    [Test]
    public void Only_tokens_that_were_chosen_can_be_taken() => Run((decoder, ranges) =>
    {
        decoder.Forward(PromptBatch(ranges));
        Assert.That(() => decoder.Forward(Taking(ranges, row: 0)), Throws.ArgumentException.With.Message.Contains("sampled"), "nothing was chosen");
        using SequenceSampler sampler = decoder.CreateSampler(Parameters[0], Prompts[0])!;
        Assert.That(() => decoder.Sample([new SampledRow(Prompts.Length, sampler, 0)]), Throws.InstanceOf<ArgumentOutOfRangeException>());

        decoder.Forward(PromptBatch(ranges));
        decoder.Sample([new SampledRow(1, sampler, 0)]);
        foreach (int row in (int[])[0, 2, 100])
            Assert.That(() => decoder.Forward(Taking(ranges, row)), Throws.ArgumentException.With.Message.Contains("sampled"), $"row {row}");
        Assert.That(() => decoder.Forward(Taking(ranges, row: 1)), Throws.Nothing);
    });

    [Test]
    public void A_row_without_token_harms_no_other() => Run((decoder, ranges) =>
    {
        var nothing = Enumerable.Range(0, decoder.VocabularySize).ToDictionary(id => id, _ => float.NegativeInfinity);
        using SequenceSampler none = decoder.CreateSampler(Resolve(new() { LogitBias = nothing }), [])!, greedy = decoder.CreateSampler(Parameters[0], [])!;
        decoder.Forward(PromptBatch(ranges));
        SampledTokens tokens = decoder.Sample([new SampledRow(0, none, 0), new SampledRow(1, greedy, 0)]);
        Batch batch = new();
        batch.AddSampled(ranges[0], 0, Prompts[0].Length);
        batch.AddSampled(ranges[1], 1, Prompts[1].Length);
        decoder.Forward(batch);
        float[] found = decoder.Logits(1);

        (int failed, int token) = (tokens.Wait()[0], tokens.Wait()[1]);
        Assert.That(failed, Is.EqualTo(NoToken.NegativeInfinity + NoToken.AfterChanges));
        Assert.That(found, Is.EqualTo(decoder.Prefill(ranges[1], [token], firstPosition: Prompts[1].Length)));
    });

    [Test]
    public void The_cpu_leaves_sampling_to_the_host()
    {
        using CpuBackend backend = new(threads: 1);
        Assert.That(((IBackend)backend).Sampler, Is.Null);
    }

    private static SamplingParameters Resolve(GenerationOptions options) => SamplingParameters.Resolve(options with { Seed = 4 }, new());

    private void Run(Action<Decoder, KvRanges> test)
    {
        using IBackend backend = ParallelDevices.Create(device, count);
        string folder = TinyModels.WriteFolder(TinyModels.Config("mixtral"));
        try
        {
            using Decoder decoder = Decoders.LoadRandom(folder, backend, MaxBatchTokens, Prompts.Length, seed: 5);
            using KvRanges ranges = new(backend, decoder.KvLayout, Prompts.Length, MaxBatchTokens + Count);
            test(decoder, ranges);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Batch PromptBatch(KvRanges ranges)
    {
        Batch batch = new();
        for (int i = 0; i < Prompts.Length; i++) batch.Add(ranges[i], Prompts[i], 0, wantsLogits: true);
        return batch;
    }

    private static Batch Taking(KvRanges ranges, int row)
    {
        Batch batch = new();
        batch.AddSampled(ranges[0], row, Prompts[0].Length);
        return batch;
    }

    private static int[][] ChooseOnHost(Decoder decoder, KvRanges ranges)
    {
        Sampler sampler = new(decoder.VocabularySize);
        TokenCounts[] counts = [.. Prompts.Select(prompt => new TokenCounts(prompt))];
        List<int>[] completions = [.. Prompts.Select(_ => new List<int>())];
        Batch batch = PromptBatch(ranges);
        for (int step = 0; step < Count; step++)
        {
            decoder.Forward(batch);
            batch = new Batch();
            for (int i = 0; i < Prompts.Length; i++)
            {
                int token = sampler.Sample(decoder.Logits(i), Parameters[i], counts[i], step, out _);
                counts[i].Add(token);
                completions[i].Add(token);
                batch.Add(ranges[i], [token], Prompts[i].Length + step, wantsLogits: true);
            }
        }
        return [.. completions.Select(completion => completion.ToArray())];
    }

    /// <summary>Reads a step's tokens when the next one has been started.</summary>
    private static int[][] ChooseAhead(Decoder decoder, KvRanges ranges)
    {
        List<int>[] completions = [.. Prompts.Select(_ => new List<int>())];
        SequenceSampler[] samplers = [.. Prompts.Select((prompt, i) => decoder.CreateSampler(Parameters[i], prompt)!)];
        Batch batch = PromptBatch(ranges);
        SampledTokens? previous = null;
        for (int step = 0; step < Count; step++)
        {
            decoder.Forward(batch);
            SampledTokens tokens = decoder.Sample([.. samplers.Select((sampler, i) => new SampledRow(i, sampler, step))]);
            Take(previous);
            previous = tokens;
            batch = new Batch();
            for (int i = 0; i < Prompts.Length; i++) batch.AddSampled(ranges[i], i, Prompts[i].Length + step);
        }
        Take(previous);
        foreach (SequenceSampler sampler in samplers) sampler.Dispose();
        return [.. completions.Select(completion => completion.ToArray())];

        void Take(SampledTokens? sampled)
        {
            if (sampled is null) return;
            ReadOnlySpan<int> tokens = sampled.Wait();
            for (int i = 0; i < Prompts.Length; i++) completions[i].Add(tokens[i]);
        }
    }
}
