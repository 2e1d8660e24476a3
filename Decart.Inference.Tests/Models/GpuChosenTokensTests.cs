using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Models;
using Decart.Inference.Sampling;
using Decart.Inference.Tests.Kernels.Gpu;

namespace Decart.Inference.Tests.Models;

/// <summary>Decoders whose tokens are chosen on the device, where the next step takes them from.</summary>
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuChosenTokensTests(string device)
{
    private const int Count = 12, MaxBatchTokens = 16;

    private static readonly int[][] Prompts = [[5, 17, 90, 3, 3, 41, 8], [2], [11, 64], [9, 9, 9]];

    private static readonly SamplingParameters[] Parameters =
    [
        Resolve(new() { Temperature = 0 }),
        Resolve(new() { TopP = 0.9f, TopK = 30 }),
        Resolve(new() { TopLogprobs = 1 }), // the host's
        Resolve(new() { RepetitionPenalty = 1.5f, PresencePenalty = 1, LogitBias = new Dictionary<int, float> { [7] = 1 } }),
    ];

    [Test]
    public void Steps_that_are_started_before_the_tokens_are_known_give_the_same_ones() => Run((decoder, ranges) =>
    {
        int[][] expected = ChooseOnHost(decoder, ranges), found = ChooseAhead(decoder, ranges);
        for (int i = 0; i < Prompts.Length; i++) Assert.That(found[i], Is.EqualTo(expected[i]), $"sequence {i}");
    });

    [Test]
    public void Only_tokens_that_were_chosen_can_be_taken() => Run((decoder, ranges) =>
    {
        decoder.Forward(PromptBatch(ranges));
        Assert.That(() => decoder.Forward(Taking(ranges, row: 0)), Throws.ArgumentException.With.Message.Contains("chosen"), "nothing was chosen");
        using TokenChooser chooser = decoder.CreateChooser(Parameters[0], Prompts[0])!;
        Assert.That(() => decoder.Sample([new TokenChoice(Prompts.Length, chooser, 0)]), Throws.InstanceOf<ArgumentOutOfRangeException>());

        decoder.Forward(PromptBatch(ranges));
        decoder.Sample([new TokenChoice(1, chooser, 0)]);
        foreach (int row in (int[])[0, 2, 100])
            Assert.That(() => decoder.Forward(Taking(ranges, row)), Throws.ArgumentException.With.Message.Contains("chosen"), $"row {row}");
        Assert.That(() => decoder.Forward(Taking(ranges, row: 1)), Throws.Nothing);
    });

    [Test]
    public void A_row_without_token_harms_no_other() => Run((decoder, ranges) =>
    {
        var nothing = Enumerable.Range(0, decoder.VocabularySize).ToDictionary(id => id, _ => float.NegativeInfinity);
        using TokenChooser none = decoder.CreateChooser(Resolve(new() { LogitBias = nothing }), [])!, greedy = decoder.CreateChooser(Parameters[0], [])!;
        decoder.Forward(PromptBatch(ranges));
        ChosenTokens tokens = decoder.Sample([new TokenChoice(0, none, 0), new TokenChoice(1, greedy, 0)]);
        Batch batch = new();
        batch.AddChosen(ranges[0], 0, Prompts[0].Length);
        batch.AddChosen(ranges[1], 1, Prompts[1].Length);
        decoder.Forward(batch);
        float[] found = decoder.Logits(1);

        (int failed, int token) = (tokens.Wait()[0], tokens.Wait()[1]);
        Assert.That(failed, Is.EqualTo(NoToken.NegativeInfinity + NoToken.AfterChanges));
        Assert.That(found, Is.EqualTo(decoder.Prefill(ranges[1], [token], firstPosition: Prompts[1].Length)));
    });

    [Test]
    public void The_cpu_leaves_choosing_to_the_host()
    {
        using CpuKernels kernels = new(threads: 1);
        Assert.That(((IKernels)kernels).CreateChooser(Parameters[0], [], 100), Is.Null);
    }

    private static SamplingParameters Resolve(GenerationOptions options) => SamplingParameters.Resolve(options with { Seed = 4 }, new());

    private void Run(Action<Decoder, KvRanges> test)
    {
        using GpuKernels kernels = new(GpuDevices.Create(device));
        string folder = TinyModels.WriteFolder(TinyModels.Config("mixtral"));
        try
        {
            using Decoder decoder = Decoders.LoadRandom(folder, kernels, MaxBatchTokens, Prompts.Length, seed: 5);
            using KvRanges ranges = new(kernels, decoder.KvLayout, Prompts.Length, MaxBatchTokens + Count);
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
        batch.AddChosen(ranges[0], row, Prompts[0].Length);
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

    /// <summary>Reads a step's tokens when the next one has been started; those that the host chooses before.</summary>
    private static int[][] ChooseAhead(Decoder decoder, KvRanges ranges)
    {
        Sampler sampler = new(decoder.VocabularySize);
        List<int>[] completions = [.. Prompts.Select(_ => new List<int>())];
        IEnumerable<int> all = Enumerable.Range(0, Prompts.Length);
        TokenChooser?[] choosers = [.. Prompts.Select((prompt, i) => decoder.CreateChooser(Parameters[i], prompt))];
        Assert.That(choosers.Select(chooser => chooser is null), Is.EqualTo(Parameters.Select(parameters => parameters.TopLogprobs is not null)));
        Batch batch = PromptBatch(ranges);
        ChosenTokens? previous = null;
        for (int step = 0; step < Count; step++)
        {
            decoder.Forward(batch);
            ChosenTokens tokens = decoder.Sample([.. from i in all where choosers[i] is not null select new TokenChoice(i, choosers[i]!, step)]);
            Take(previous);
            previous = tokens;
            batch = new Batch();
            for (int i = 0; i < Prompts.Length; i++)
            {
                int position = Prompts[i].Length + step;
                if (choosers[i] is not null)
                {
                    batch.AddChosen(ranges[i], i, position);
                    continue;
                }
                int token = sampler.Sample(decoder.Logits(i), Parameters[i], null, step, out _);
                completions[i].Add(token);
                batch.Add(ranges[i], [token], position, wantsLogits: true);
            }
        }
        Take(previous);
        foreach (TokenChooser? chooser in choosers) chooser?.Dispose();
        return [.. completions.Select(completion => completion.ToArray())];

        void Take(ChosenTokens? chosen)
        {
            if (chosen is null) return;
            ReadOnlySpan<int> tokens = chosen.Wait();
            for (int i = 0; i < Prompts.Length; i++)
            {
                if (choosers[i] is not null) completions[i].Add(tokens[i]);
            }
        }
    }
}
