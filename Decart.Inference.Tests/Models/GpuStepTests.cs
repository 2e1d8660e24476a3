using System.Text.Json.Nodes;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Models;
using Decart.Inference.Tests.Kernels.Gpu;

namespace Decart.Inference.Tests.Models;

/// <summary>Steps of single tokens that are recorded and repeated, beside the same steps launched kernel by kernel.</summary>
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuStepTests(string device)
{
    /// <summary>The first sequence begins late, where its context is about to be divided.</summary>
    private const int Sequences = 5, Tokens = 24, Late = 126, ContextLength = 256, Layers = 2;

    [TestCase("llama")]
    [TestCase("gemma2")]
    [TestCase("mixtral")]
    public void Repeated_steps_give_the_bits_of_launched_ones_as_batches_change_and_contexts_grow(string model)
    {
        float[][] launched = Run(model, records: false, tokensPerPage: 0), recorded = Run(model, records: true, tokensPerPage: 0);
        Assert.That(recorded, Is.EqualTo(launched));
        // Emulated steps are slow, and what page tables change is the same for all models.
        if (device == "emulated" && model != "gemma2") return;
        Assert.That(Run(model, records: true, tokensPerPage: 4), Is.EqualTo(launched), "behind page tables");
    }

    /// <summary>The logits after each step; sequences join and leave.</summary>
    private float[][] Run(string model, bool records, int tokensPerPage)
    {
        IGpuDevice gpu = GpuDevices.Create(device, multiprocessors: 2, tensorCores: true);
        using GpuBackend backend = new(gpu) { RecordsSteps = records };
        List<float[]> answers = [];
        JsonObject config = TinyModels.Config(model);
        (config["max_position_embeddings"], config["num_hidden_layers"]) = (ContextLength, Layers);
        string folder = TinyModels.WriteFolder(config);
        try
        {
            using Decoder decoder = Decoders.LoadRandom(folder, backend, maxBatchTokens: Sequences, Sequences, seed: 5);
            GpuTestKv[] ranges = [.. Enumerable.Range(0, Sequences).Select(i => new GpuTestKv(gpu, decoder.KvLayout, i == 0 ? Late + Tokens : Tokens, tokensPerPage))];
            int[] lengths = [Late, 0, 0, 0, 0];
            Random random = new(1);
            for (int token = 0; token < Late; token++)
                ranges[0].Write(token, [.. Enumerable.Range(0, (int)decoder.KvLayout.TokenBytes / sizeof(short)).Select(_ => (Half)(random.NextSingle() - 0.5f))]);
            (int First, int Count)[] steps = [(0, 1), (0, 3), (1, 4), (0, 5), (3, 2)];
            foreach ((int first, int count) in steps)
            {
                Batch batch = new();
                for (int i = first; i < first + count; i++) batch.Add(ranges[i].View, [7 + i], lengths[i]++, wantsLogits: i != 2);
                decoder.Forward(batch);
                for (int i = 0; i < batch.LogitRows.Length; i++) answers.Add(decoder.Logits(i));
            }
            if (gpu is EmulatedDevice emulated) Assert.That(emulated.Replays, records ? Is.GreaterThanOrEqualTo(steps.Length) : Is.Zero);
            foreach (GpuTestKv range in ranges) range.Dispose();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        return [.. answers];
    }
}

/// <summary>What a step launches, counted where nothing needs a GPU.</summary>
internal sealed class GpuLaunchTests
{
    /// <summary>Embedding, final norm, output matrix.</summary>
    private const int PerStep = 3;

    /// <summary>Of a layer: norms, q/k/v, attention, output projection, feed-forward block.</summary>
    [TestCase("llama", 7)]
    [TestCase("qwen3", 7)]
    [TestCase("falcon 7B", 6)]
    [TestCase("falcon 40B", 7)]
    [TestCase("falcon RefinedWeb", 7)]
    [TestCase("gemma2", 9)]
    public void A_layer_of_a_decode_step_is_seven_launches_and_two_more_with_post_norms_and_one_less_with_one_norm(string model, int launches)
    {
        EmulatedDevice device = new(tensorCores: true);
        using GpuBackend backend = new(device);
        string folder = TinyModels.WriteFolder(TinyModels.Config(model));
        try
        {
            using Decoder decoder = Decoders.LoadRandom(folder, backend, maxBatchTokens: 4, maxBatchSequences: 4, seed: 5);
            using GpuTestKv kv = new(device, decoder.KvLayout, 4);
            device.Launched.Clear();
            Batch batch = new();
            batch.Add(kv.View, [1], 0, wantsLogits: true);
            decoder.Forward(batch);
            // Models as small as these have columns to pad, others have not.
            string[] launched = [.. device.Launched.Where(name => name != GpuPadding.Kernel.Name)];
            Assert.That(launched, Has.Length.EqualTo(PerStep + (launches * decoder.Config.Layers)), string.Join(", ", launched));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
