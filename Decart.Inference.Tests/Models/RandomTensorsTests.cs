using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Models;
using Decart.Inference.Models.Quantisation;
using Decart.Inference.Tests.Kernels.Gpu;

namespace Decart.Inference.Tests.Models;

internal sealed unsafe class RandomTensorsTests
{
    [Test]
    public void Memory_of_tensors_that_nobody_reads_any_more_is_used_again_for_the_same_values()
    {
        using RandomTensors source = new("random", seed: 5), fresh = new("random", seed: 5);
        StoredTensor first = source.Require("layers.0", 300, 400);
        nint address = first.Data;
        source.Recycle();
        Assert.That(source.TryGet("layers.0", out _), Is.False);
        StoredTensor second = source.Require("layers.1", 400, 300);
        Assert.That(second.Data, Is.EqualTo(address), "it has as many bytes");
        Assert.That(Elements(second).SequenceEqual(Elements(fresh.Require("layers.1", 400, 300))));
        Assert.That(source.Require("layers.2", 400, 300).Data, Is.Not.EqualTo(address));
    }

    [Test]
    public void Weights_that_a_device_has_copied_are_not_kept()
    {
        ModelConfig config = TinyCheckpoint.Read(TinyModels.Config("llama"));
        using RandomTensors copied = new("random", seed: 5), inPlace = new("random", seed: 5);
        using CpuBackend cpu = new(threads: 1);
        using DecoderWeights onOther = new(copied, config, new CopyingFactory(cpu.Tensors), CancellationToken.None);
        using DecoderWeights onCpu = new(inPlace, config, cpu.Tensors, CancellationToken.None);
        Assert.That(copied.Names, Is.Empty);
        Assert.That(inPlace.Names, Is.Not.Empty);
    }

    [Test]
    public void Weights_of_every_format_spread_as_those_of_16_bits([Values] WeightFormat format)
    {
        const int Rows = 300, Columns = 512;
        ModelConfig config = Wide;
        using RandomTensors source = new("random", seed: 5) { Types = new WeightTypes(format, config) };
        foreach (string name in (string[])["model.layers.0.mlp.gate_proj.weight", "model.layers.1.self_attn.v_proj.weight", "model.embed_tokens.weight", "lm_head.weight"])
        {
            StoredTensor tensor = source.Require(name, Rows, Columns);
            Assert.That(tensor.Type, Is.EqualTo(source.Types.Of(name, Columns) ?? TensorType.BF16));
            float[] weights = new float[Rows * Columns];
            fixed (float* destination = weights)
            {
                for (int row = 0; row < Rows; row++) TensorDecoder.DecodeRow(tensor, row, destination + (row * Columns));
            }
            double deviation = Math.Sqrt(weights.Average(weight => (double)weight * weight)) * Math.Sqrt(Columns);
            Assert.That(deviation, Is.EqualTo(1).Within(0.1), $"{tensor}");
            Assert.That(weights.Average() * Math.Sqrt(Columns), Is.Zero.Within(0.15), $"{tensor}");
            Assert.That(weights.Take(Columns), Is.Not.EqualTo(weights.Skip(Columns).Take(Columns)), "rows differ");
        }
        Assert.That(source.Require("model.norm.weight", Columns).Type, Is.EqualTo(TensorType.BF16));
    }

    /// <summary>Tensors are longer than what is drawn of them, and are filled by several threads.</summary>
    [Test]
    public void Long_tensors_repeat_what_was_drawn([Values(null, WeightFormat.Int4, WeightFormat.Q6_K)] WeightFormat? format)
    {
        ModelConfig config = Wide;
        using RandomTensors source = new("random", seed: 5) { Types = format is { } few ? new WeightTypes(few, config) : null };
        StoredTensor tensor = source.Require("model.layers.0.mlp.gate_proj.weight", 9001, 1024);
        ReadOnlySpan<byte> bytes = new(tensor.Pointer, checked((int)(tensor.Rows * tensor.RowBytes)));
        int block = tensor.Type.BlockBytes(), drawn = 65537 / tensor.Type.BlockLength() * block;
        Assert.That(bytes[drawn..].SequenceEqual(bytes[..^drawn]));
        Assert.That(bytes[block..(2 * block)].SequenceEqual(bytes[..block]), Is.False);
    }

    [Test]
    public void A_gpu_keeps_the_layers_of_every_format_packed([Values] WeightFormat format)
    {
        ModelConfig config = Wide;
        using RandomTensors source = new("random", seed: 5) { Types = new WeightTypes(format, config) };
        using EmulatedDevice device = new(tensorCores: true) { IsHopper = true, PacksWeights = true };
        using GpuTensorFactory factory = new(device);
        using DecoderWeights weights = new(source, config, factory, CancellationToken.None);
        foreach (LayerWeights layer in weights.Layers)
        {
            foreach (Weight weight in (Weight[])[layer.QueryKeyValue, layer.AttentionOutput, layer.FeedForward!.GateUp, layer.FeedForward.Down])
                Assert.That(weight, Is.TypeOf<GpuPackedWeight>());
        }
        Type others = format is WeightFormat.Fp8 or WeightFormat.Int8 or WeightFormat.Int4 ? typeof(GpuWeight) : typeof(GpuPackedWeight);
        Assert.That((weights.Output.GetType(), weights.Embedding.GetType()), Is.EqualTo((others, others)));
    }

    /// <summary>So that what benchmarks measure is what they say.</summary>
    [Test]
    public void With_activations_of_eight_bits_a_gpu_keeps_codes([Values(WeightFormat.Fp8, WeightFormat.Int8, WeightFormat.Int4)] WeightFormat format)
    {
        ModelConfig config = Wide;
        using RandomTensors source = new("random", seed: 5) { Types = new WeightTypes(format, config) };
        using EmulatedDevice device = new(tensorCores: true) { IsHopper = true, PacksWeights = true };
        using GpuTensorFactory factory = new(device, eightBitActivations: true);
        using DecoderWeights weights = new(source, config, factory, CancellationToken.None);
        CodeScaling scaling = format switch
        {
            WeightFormat.Fp8 => CodeScaling.FloatRows,
            WeightFormat.Int8 => CodeScaling.IntegerRows,
            _ => CodeScaling.NibblePieces,
        };
        foreach (LayerWeights layer in weights.Layers)
        {
            foreach (Weight weight in (Weight[])[layer.QueryKeyValue, layer.AttentionOutput, layer.FeedForward!.GateUp, layer.FeedForward.Down])
                Assert.That(weight, Is.TypeOf<GpuCodeWeight>().And.Property(nameof(GpuCodeWeight.Scaling)).EqualTo(scaling));
        }
    }

    /// <summary>Two layers with rows that every block fits.</summary>
    private static ModelConfig Wide
    {
        get
        {
            var config = TinyModels.Config("llama");
            (config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]) = (256, 256, 2);
            return TinyCheckpoint.Read(config);
        }
    }

    private static ReadOnlySpan<ushort> Elements(StoredTensor tensor) => new(tensor.Pointer, (int)(tensor.Rows * tensor.Columns));

    /// <summary>Says that it copies what it is given. Nothing that it makes is read here.</summary>
    private sealed class CopyingFactory(ITensorFactory factory) : ITensorFactory
    {
        public bool ReadsWeightsInPlace => false;

        public Weight CreateWeight(WeightParts parts) => factory.CreateWeight(parts);

        public WeightVector CreateVector(VectorParts parts, float offset = 0) => factory.CreateVector(parts, offset);

        public RotaryTable CreateRotary(RotaryParameters parameters) => factory.CreateRotary(parameters);

        public Activations CreateActivations(int rows, int columns, bool operand = false, Split split = Split.None) => factory.CreateActivations(rows, columns, operand, split);
    }
}
