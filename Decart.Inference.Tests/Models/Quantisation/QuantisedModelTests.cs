using System.Numerics.Tensors;
using System.Text.Json.Nodes;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Models;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Kernels.Gpu;

namespace Decart.Inference.Tests.Models.Quantisation;

/// <summary>Models whose linear layers are quantised, in two shards, give the logits of the same models with those weights in float32, bit for bit.</summary>
internal sealed class QuantisedModelTests
{
    private static readonly int[] Prompt = [5, 17, 90, 3, 3, 41, 8];

    private static IEnumerable<string> Models => ["llama", "llama tied, explicit head_dim", "mixtral", "qwen3_moe", "phi3", "falcon 40B", "falcon RefinedWeb", "gemma2"];

    private static IEnumerable<string> Schemes => ["fp8", "gptq", "bitsandbytes"];

    [Test]
    public void On_the_cpu([ValueSource(nameof(Models))] string model, [ValueSource(nameof(Schemes))] string scheme) =>
        Compare(model, scheme, () => new CpuBackend(threads: 2));

    [Test]
    public void On_an_emulated_gpu([Values("llama", "mixtral", "falcon 40B")] string model, [ValueSource(nameof(Schemes))] string scheme) =>
        Compare(model, scheme, () => new GpuBackend(new EmulatedDevice(tensorCores: false, multiprocessors: 1)));

    /// <summary>
    /// A prompt at once, cut in chunks, and with activations of 16 bits, which make other bits but nearly the same answers. Heads are shorter than the boxes of keys that kernels copy, and what lies
    /// behind them, the next layer's, is not a number yet.
    /// </summary>
    [Test]
    public void With_activations_of_eight_bits([Values("fp8 128", "int8", "gptq zeros")] string scheme)
    {
        using TemporaryFolder folder = new();
        Write("llama", scheme, folder, quantised: true);
        float[] whole = Last(eightBitActivations: true, Prompt.Length), chunks = Last(eightBitActivations: true, chunk: 3), halves = Last(eightBitActivations: false, Prompt.Length);
        Assert.That(chunks, Is.EqualTo(whole));
        Assert.That(whole, Is.Not.EqualTo(halves), "activations were not rounded");
        Assert.That(TensorPrimitives.CosineSimilarity<float>(whole, halves), Is.GreaterThan(0.995f));

        float[] Last(bool eightBitActivations, int chunk)
        {
            using GpuBackend backend = new(new EmulatedDevice(tensorCores: true) { IsHopper = true, PacksWeights = true }, eightBitActivations: eightBitActivations);
            using Decoder decoder = Decoders.Load(folder.Path, backend, Prompt.Length, 1);
            using KvRanges ranges = new(backend, decoder.KvLayout, 1, 64);
            return decoder.Prefill(ranges[0], Prompt, chunk: chunk);
        }
    }

    [Test]
    public void Scales_of_keys_and_values_are_not_used_and_said_so()
    {
        using TemporaryFolder folder = new();
        Write("llama", "fp8", folder, quantised: true);
        using TensorSource source = ModelLoader.Open(folder.Path);
        Assert.That(source.Notes, Has.One.Contains("model.layers.0.self_attn.k_scale"));
    }

    private static void Compare(string model, string scheme, Func<IBackend> create)
    {
        float[][] expected = Run(model, scheme, create, quantised: false), found = Run(model, scheme, create, quantised: true);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.That(expected[i], Has.All.Matches<float>(float.IsFinite));
            Assert.That(found[i], Is.EqualTo(expected[i]));
        }
    }

    private static float[][] Run(string model, string scheme, Func<IBackend> create, bool quantised)
    {
        using TemporaryFolder folder = new();
        Write(model, scheme, folder, quantised);
        using IBackend backend = create();
        using Decoder decoder = Decoders.Load(folder.Path, backend, Prompt.Length, 1);
        using KvRanges ranges = new(backend, decoder.KvLayout, 1, Prompt.Length + 1);
        return [decoder.Prefill(ranges[0], Prompt), decoder.Prefill(ranges[0], [7], firstPosition: Prompt.Length)];
    }

    /// <summary>Writes config.json, an index and two shards.</summary>
    private static unsafe void Write(string model, string scheme, TemporaryFolder folder, bool quantised)
    {
        JsonObject config = TinyModels.Config(model);
        if (quantised) config["quantization_config"] = JsonNode.Parse(Configuration(scheme));
        folder.Write("config.json", config.ToJsonString());
        SafetensorsWriter[] shards = [new(), new()];
        JsonObject map = [];
        using RandomTensors weights = TinyCheckpoint.Weights(TinyCheckpoint.Read(TinyModels.Config(model)));
        int number = 0, layers = 0;
        foreach (string name in weights.Names.Order(StringComparer.Ordinal))
        {
            weights.TryGet(name, out StoredTensor tensor);
            if (!IsLinear(name, tensor))
            {
                Add(name, new WrittenTensor("BF16", [.. tensor.Shape], new ReadOnlySpan<byte>(tensor.Pointer, (int)(tensor.Rows * tensor.RowBytes)).ToArray()));
                continue;
            }
            WrittenLayer layer = Layer(scheme, new WrittenLayer((int)tensor.Rows, (int)tensor.Columns, seed: layers++));
            float[] expected = [.. layer.Expected.SelectMany(row => row).Select(weight => (float)weight)];
            if (!quantised) Add(name, WrittenTensor.Of("F32", expected, tensor.Rows, tensor.Columns));
            else foreach ((string suffix, WrittenTensor part) in layer.Tensors) Add($"{name[..^".weight".Length]}.{suffix}", part);
        }
        if (quantised) Add("model.layers.0.self_attn.k_scale", WrittenTensor.Of("F32", new[] { 0.5f }, 1));
        for (int i = 0; i < shards.Length; i++) folder.Write($"{i}.safetensors", shards[i].Compose());
        folder.Write("model.safetensors.index.json", new JsonObject { ["weight_map"] = map }.ToJsonString());

        void Add(string name, WrittenTensor tensor)
        {
            int shard = number++ % shards.Length;
            shards[shard].Tensors[name] = tensor;
            map[name] = $"{shard}.safetensors";
        }
    }

    /// <summary>All but embeddings and routers.</summary>
    private static bool IsLinear(string name, StoredTensor tensor) =>
        tensor.Shape.Length == 2 && !name.Contains("embed", StringComparison.Ordinal) && !name.EndsWith(".gate.weight", StringComparison.Ordinal);

    private static string Configuration(string scheme) => scheme switch
    {
        "fp8" => """{ "quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [32, 32] }""",
        "fp8 128" => """{ "quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128] }""",
        "int8" => """
            { "quant_method": "compressed-tensors", "format": "int-quantized",
              "config_groups": { "g": { "targets": ["Linear"], "weights": { "num_bits": 8, "type": "int", "strategy": "channel" } } } }
            """,
        "gptq zeros" => """{ "quant_method": "gptq", "bits": 4, "group_size": -1, "desc_act": false, "sym": false, "lm_head": true }""",
        "gptq" => """{ "quant_method": "gptq", "bits": 4, "group_size": 16, "desc_act": false, "sym": false, "lm_head": true }""",
        _ => """{ "quant_method": "bitsandbytes", "load_in_4bit": true }""",
    };

    private static WrittenLayer Layer(string scheme, WrittenLayer layer) => scheme switch
    {
        "fp8" => layer.Fp8("weight_scale_inv", "F32", 32, 32),
        "fp8 128" => layer.Fp8("weight_scale_inv", "F32", 128, 128),
        "int8" => layer.Int8(),
        "gptq zeros" => layer.Gptq(4, -1, symmetric: false),
        "gptq" => layer.Gptq(4, 16, symmetric: false),
        _ => layer.Float4("nf4", 64, nested: true),
    };
}
