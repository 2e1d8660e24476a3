using System.Numerics.Tensors;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Models;
using Decart.Inference.Models.Quantisation;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Kernels.Gpu;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Session;

/// <summary>Checkpoints of 16 bits that are quantised while they are loaded.</summary>
[CancelAfter(120_000)]
internal sealed class QuantisedSessionTests
{
    private static readonly int[] Prompt = [1, 403, 407, 261, 378, 9, 44];

    private const string Stacked = ", stacked";

    private static IEnumerable<string> Models => ["llama", "mixtral", "mixtral" + Stacked, "qwen3_moe", "phi3", "falcon 40B", "gemma2"];

    private static string Storyteller => Path.Combine(Fixtures.RepositoryRoot()!, "samples", "models", "storyteller");

    /// <summary>Of a trained model; docs/models.md has perplexities.</summary>
    [Test]
    public async Task Probabilities_are_near_those_of_16_bits()
    {
        await using LlmSession whole = await LlmSession.LoadAsync(Storyteller);
        int[] story = [.. (await whole.GenerateAsync("Once upon a time", new() { MaxTokens = 200, Temperature = 1, Seed = 5 })).TokenIds];
        double expected = await LossAsync(whole, story), fp8 = await QuantisedLossAsync(WeightFormat.Fp8), int8 = await QuantisedLossAsync(WeightFormat.Int8), int4 = await QuantisedLossAsync(WeightFormat.Int4);
        Assert.That(fp8, Is.EqualTo(expected).Within(0.01).And.Not.EqualTo(expected));
        Assert.That(int8, Is.EqualTo(expected).Within(0.01).And.Not.EqualTo(expected));
        Assert.That(int4, Is.EqualTo(expected).Within(0.1).And.Not.EqualTo(expected));

        async Task<double> QuantisedLossAsync(WeightFormat format)
        {
            await using LlmSession session = await LlmSession.LoadAsync(Storyteller, new() { Quantize = format });
            return await LossAsync(session, story);
        }
    }

    /// <summary>The same as of a model that has the rounded weights in float32, whatever its matrices are stored as and however many devices divide them.</summary>
    [Test]
    public void Logits_are_those_of_the_rounded_weights([ValueSource(nameof(Models))] string model, [Values(WeightFormat.Fp8, WeightFormat.Int8, WeightFormat.Int4)] WeightFormat format)
    {
        TinyCheckpoint checkpoint = new(model.Replace(Stacked, "", StringComparison.Ordinal)) { StackExperts = model.EndsWith(Stacked, StringComparison.Ordinal) };
        (checkpoint.Config["hidden_size"], checkpoint.Config["intermediate_size"]) = (128, 192);
        if (checkpoint.Config.ContainsKey("head_dim")) checkpoint.Config["head_dim"] = 32;
        using TemporaryFolder folder = new();
        checkpoint.Write(folder);
        float[] rounded = Run(folder.Path, format, widen: false, new CpuBackend(threads: 2)), widened = Run(folder.Path, format, widen: true, new CpuBackend(threads: 2));
        Assert.That(rounded, Is.EqualTo(widened));
        Assert.That(rounded, Is.Not.EqualTo(Run(folder.Path, format: null, widen: false, new CpuBackend(threads: 2))));
        Assert.That(DecoderRuns.MaxDifference(Run(folder.Path, format, widen: false, ParallelDevices.Cpu(2)), rounded), Is.LessThanOrEqualTo(1e-5f));
        if (model is not ("llama" or "mixtral")) return; // emulated GPUs are slow
        float[] onGpu = Run(folder.Path, format, widen: false, new GpuBackend(new EmulatedDevice())), widenedOnGpu = Run(folder.Path, format, widen: true, new GpuBackend(new EmulatedDevice()));
        Assert.That(onGpu, Is.EqualTo(widenedOnGpu));
    }

    [Test]
    public void Blocks_take_the_bytes_of_their_bits([Values(WeightFormat.Fp8, WeightFormat.Int8, WeightFormat.Int4)] WeightFormat format)
    {
        using TensorSource checkpoint = ModelLoader.Open(Storyteller);
        ModelConfig config = ModelLoader.ReadConfig(checkpoint);
        using RoundedTensors tensors = new(checkpoint, new WeightTypes(format, config));
        StoredTensor gate = tensors.Require("model.layers.5.mlp.gate_proj.weight", 448, 256), embedding = tensors.Require("model.embed_tokens.weight", 1536, 256);
        Assert.That(8.0 * gate.RowBytes / gate.Columns, Is.EqualTo(format switch { WeightFormat.Int4 => 4.5, WeightFormat.Int8 => 9, _ => 8.5 }));
        Assert.That(8.0 * embedding.RowBytes / embedding.Columns, Is.EqualTo(16));
    }

    [Test]
    [NeedsFixtures]
    public async Task What_is_quantised_already_is_refused([Values(WeightFormat.Fp8, WeightFormat.Int8, WeightFormat.Int4)] WeightFormat format)
    {
        LlmSessionOptions options = new() { Quantize = format };
        ModelLoadException blocks = (await Assert.ThrowsAsync<ModelLoadException>(() => LlmSession.LoadAsync(Fixtures.Path("gguf", "TinyStories-656K-q4_0.gguf"), options)))!;
        Assert.That(blocks.Message, Does.Contain("blk.0.attn_q.weight").And.Contain("expected F32, F16 or BF16 to quantise, found Q4_0"));
        string folder = Directory.EnumerateDirectories(Fixtures.Path("quantised")).First(each => File.Exists(Path.Combine(each, "config.json")));
        ModelLoadException scheme = (await Assert.ThrowsAsync<ModelLoadException>(() => LlmSession.LoadAsync(folder, options)))!;
        Assert.That(scheme.Message, Does.Contain("quantization_config").And.Contain($"to quantise to {format}, found weights that are quantised already"));
    }

    [Test]
    [NeedsFixtures]
    public async Task Gguf_files_of_16_bits_are_quantised_as_folders_are([Values("f16", "bf16")] string type)
    {
        string file = Fixtures.Path("gguf", $"TinyStories-656K-{type}.gguf");
        await using LlmSession whole = await LlmSession.LoadAsync(file), quantised = await LlmSession.LoadAsync(file, new() { Quantize = WeightFormat.Fp8 });
        float[] expected = await whole.NextTokenLogitsAsync(Prompt), found = await quantised.NextTokenLogitsAsync(Prompt);
        Assert.That(TensorPrimitives.CosineSimilarity(found, expected), Is.InRange(0.99, 0.999_999_9));
    }

    [Test]
    public void Other_formats_are_for_random_weights() => Assert.That(
        Assert.Throws<ArgumentOutOfRangeException>(() => LlmSession.LoadAsync(Storyteller, new() { Quantize = WeightFormat.Q4_K_M }))!.Message,
        Does.Contain("Checkpoints are quantised to Fp8, Int8 or Int4"));

    /// <summary>The average of the negated log-probabilities of all tokens but the first.</summary>
    private static async Task<double> LossAsync(LlmSession session, int[] tokens) => -(await session.ScoreAsync(tokens)).Average(score => score.Logprob);

    private static float[] Run(string folder, WeightFormat? format, bool widen, IBackend backend)
    {
        using (backend)
        {
            TensorSource source = ModelLoader.Open(folder);
            ModelConfig config = ModelLoader.ReadConfig(source);
            if (format is { } few) source = new RoundedTensors(source, new WeightTypes(few, config));
            if (widen) source = new WidenedTensors(source);
            using Decoder decoder = Decoder.Load(source, config, backend, 8, 1);
            using KvRanges ranges = new(backend, decoder.KvLayout, 1, 8);
            return decoder.Prefill(ranges[0], [5, 17, 90, 3, 3, 41, 8]);
        }
    }

    /// <summary>Tensors as float32.</summary>
    private sealed unsafe class WidenedTensors(TensorSource source) : RelaidTensors(source)
    {
        private readonly TensorSource _source = source;

        protected override StoredTensor? Relay(string name, ReadOnlySpan<long> shape)
        {
            StoredTensor tensor = _source.Require(name, shape);
            if (tensor.Type.BlockLength() == 1) return null;
            float* data = (float*)Memory.Allocate(tensor.Rows * tensor.Columns * sizeof(float));
            for (long row = 0; row < tensor.Rows; row++) TensorDecoder.DecodeRow(tensor, row, data + (row * tensor.Columns));
            return tensor with { Type = TensorType.F32, Data = (nint)data };
        }
    }
}
