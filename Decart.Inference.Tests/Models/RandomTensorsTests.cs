using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Models;

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
