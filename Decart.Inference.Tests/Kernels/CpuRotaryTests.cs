using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels;

internal sealed class CpuRotaryTests
{
    private const int Layers = 3, Layer = 1;

    [Test]
    public void Heads_are_normalised_rotated_and_stored(
        [Values] bool interleaved, [Values] bool norms, [Values(4, 10, 40)] int pairs, [Values(0, 16)] int tokensPerPage, [Values] SimdWidth width)
    {
        AttentionShape shape = new(Heads: 6, KvHeads: 2, HeadDim: 80, Scale: 1);
        using KernelBench bench = new(width, threads: 3);
        KvPair first = bench.Kv(Layers, shape, 80, tokensPerPage), second = bench.Kv(Layers, shape, 900, tokensPerPage);
        bench.FillKv(first, 3);
        bench.FillKv(second, 899);
        bench.Begin((first, 3, 70), (second, 899, 1));
        ActivationsPair qkv = bench.Activations(71, (shape.Heads + (2 * shape.KvHeads)) * shape.HeadDim);
        ActivationsPair y = bench.Activations(71, shape.Heads * shape.HeadDim, poisoned: true);
        var queryNorm = bench.Norm(shape.HeadDim, removeMean: false, bias: false);
        var keyNorm = bench.Norm(shape.HeadDim, removeMean: false, bias: false);
        RotaryParameters rotary = new([.. Enumerable.Range(0, pairs).Select(i => MathF.Pow(10_000, -(float)i / pairs))], 1.25f, interleaved);

        RotaryTable table = (RotaryTable)bench.Keep(bench.Cpu.Tensors.CreateRotary(rotary)), expected = bench.Reference.Tensors.CreateRotary(rotary);
        bench.Cpu.Kernels.Attend(qkv.Cpu, Layer, shape, table, norms ? queryNorm.Cpu : null, norms ? keyNorm.Cpu : null, y.Cpu);
        bench.Reference.Kernels.Attend(
            qkv.Reference, Layer, shape, expected, norms ? queryNorm.Reference : null, norms ? keyNorm.Reference : null, y.Reference);

        KernelBench.AssertClose(y, 71, 1e-5);
        AssertEqual(first, 80);
        AssertEqual(second, 900);
    }

    [Test]
    public void Without_a_table_heads_are_stored_as_they_are([Values(0, 1, 2)] int tokensPerPage, [Values] SimdWidth width)
    {
        AttentionShape shape = new(Heads: 2, KvHeads: 2, HeadDim: 20, Scale: 1);
        using KernelBench bench = new(width);
        KvPair kv = bench.Kv(Layers, shape, 4, tokensPerPage);
        bench.FillKv(kv, 1);
        bench.Begin((kv, 1, 3));
        ActivationsPair qkv = bench.Activations(3, 6 * shape.HeadDim), y = bench.Activations(3, 2 * shape.HeadDim, poisoned: true);

        bench.Cpu.Kernels.Attend(qkv.Cpu, Layer, shape, null, null, null, y.Cpu);
        bench.Reference.Kernels.Attend(qkv.Reference, Layer, shape, null, null, null, y.Reference);

        KernelBench.AssertClose(y, 3, 1e-5);

        AssertEqual(kv, 4);
    }

    [Test]
    public void Angles_are_those_of_the_step_at_hand([Values] bool interleaved)
    {
        AttentionShape shape = new(Heads: 1, KvHeads: 1, HeadDim: 32, Scale: 1);
        using KernelBench bench = new(SimdWidths.Machine);
        KvPair kv = bench.Kv(Layers, shape, 50);
        RotaryParameters parameters = new([.. Enumerable.Range(0, 16).Select(i => 1f / (i + 1))], 1, interleaved);
        RotaryTable table = (RotaryTable)bench.Keep(bench.Cpu.Tensors.CreateRotary(parameters)), expected = bench.Reference.Tensors.CreateRotary(parameters);
        foreach ((int position, int length) in ((int, int)[])[(0, 2), (2, 40), (42, 1)])
        {
            bench.Begin((kv, position, length));
            ActivationsPair qkv = bench.Activations(length, 3 * shape.HeadDim), y = bench.Activations(length, shape.HeadDim, poisoned: true);
            bench.Cpu.Kernels.Attend(qkv.Cpu, 0, shape, table, null, null, y.Cpu);
            bench.Reference.Kernels.Attend(qkv.Reference, 0, shape, expected, null, null, y.Reference);
            KernelBench.AssertClose(y, length, 2e-6);
        }
    }

    /// <summary>Elements that were not written must still not be numbers.</summary>
    private static void AssertEqual(KvPair kv, int tokens)
    {
        for (int token = 0; token < tokens; token++)
        {
            Span<float> cpu = kv.Cpu.Token<float>(token);
            Span<double> reference = kv.Reference.Token<double>(token);
            for (int i = 0; i < cpu.Length; i++)
            {
                double expected = reference[i], found = cpu[i];
                if (double.IsNaN(expected) ? !double.IsNaN(found) : !(Math.Abs(expected - found) <= 5e-6 * Math.Max(1, Math.Abs(expected))))
                    Assert.Fail($"token {token}, element {i}: expected {expected:r}, found {found:r}");
            }
        }
    }
}
