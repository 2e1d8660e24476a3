using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>Steps of single tokens, whose kernels do on the way what others do for chunks: the same bits, and nothing beyond the batch.</summary>
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuDecodeTests(string device)
{
    private const int Layers = 2, Layer = 1;

    /// <summary>Multiprocessors that the device pretends to have: with many, contexts are divided.</summary>
    private const int Few = 0, Many = 1000;

    private static readonly AttentionShape[] Shapes =
    [
        new(Heads: 2, KvHeads: 2, HeadDim: 8, Scale: 0.35f),
        new(Heads: 6, KvHeads: 2, HeadDim: 24, Scale: 0.5f, Window: 20),
        new(Heads: 4, KvHeads: 2, HeadDim: 72, Scale: 0.125f, SoftCap: 2),
        new(Heads: 17, KvHeads: 1, HeadDim: 16, Scale: 0.25f, AlibiSlopes: [.. Enumerable.Range(1, 17).Select(i => 1f / i)]),
        new(Heads: 2, KvHeads: 1, HeadDim: 136, Scale: 0.1f, Window: 130),
    ];

    [Test]
    public void Single_tokens_agree_with_the_reference(
        [ValueSource(nameof(Shapes))] AttentionShape shape, [Values] bool tensorCores, [Values(Few, Many)] int multiprocessors, [Values(0, 4)] int tokensPerPage)
    {
        using GpuBench bench = new(GpuDevices.Create(device, multiprocessors, tensorCores));
        int[] positions = [299, 0, 127];
        GpuKvPair[] kv = [.. positions.Select(position => GpuAttentionTests.Filled(bench, shape, position, tokensPerPage))];
        bench.Begin([.. kv.Select((pair, i) => (pair, positions[i], 1))]);
        GpuActivationsPair qkv = bench.Activations(4, GpuAttentionTests.Columns(shape));
        GpuActivationsPair y = bench.Activations(4, shape.Heads * shape.HeadDim, operand: true, poisoned: true);
        RotaryParameters rotary = Rotary(shape, interleaved: tokensPerPage == 0);
        var queryNorm = bench.Norm(shape.HeadDim, removeMean: false, bias: false);
        var keyNorm = bench.Norm(shape.HeadDim, removeMean: false, bias: false);

        bench.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, bench.Keep(bench.Gpu.Tensors.CreateRotary(rotary)), queryNorm.Gpu, keyNorm.Gpu, y.Gpu);
        bench.Reference.Kernels.Attend(
            qkv.Reference, Layer, shape, bench.Reference.Tensors.CreateRotary(rotary), queryNorm.Reference, keyNorm.Reference, y.Reference);

        bench.AssertClose(y, 3, 2e-3);
        bench.AssertUntouched(y.Gpu, 3);
    }

    [Test]
    public void Tokens_have_the_same_bits_one_by_one_and_as_a_chunk(
        [ValueSource(nameof(Shapes))] AttentionShape shape, [Values] bool tensorCores, [Values(Few, Many)] int multiprocessors)
    {
        const int First = 126, Length = 5;
        using GpuBench bench = new(GpuDevices.Create(device, multiprocessors, tensorCores));
        RotaryTable rotary = bench.Keep(bench.Gpu.Tensors.CreateRotary(Rotary(shape, interleaved: false)));
        Norm norm = bench.Norm(shape.HeadDim, removeMean: false, bias: false).Gpu;
        GpuKvPair chunk = GpuAttentionTests.Filled(bench, shape, First + Length, seed: 3), single = GpuAttentionTests.Filled(bench, shape, First + Length, 8, seed: 3);
        float[][] rows = [.. Enumerable.Range(0, Length).Select(_ => Enumerable.Range(0, GpuAttentionTests.Columns(shape)).Select(_ => bench.NextValue()).ToArray())];
        float[][] expected = Attend([(chunk, First, Length)], rows);

        for (int i = 0; i < Length; i++)
        {
            // In company that comes and goes.
            float[][] found = Attend([.. Enumerable.Repeat((GpuAttentionTests.Filled(bench, shape, 3), 2, 1), i % 3), (single, First + i, 1)], [.. Enumerable.Repeat(rows[0], i % 3), rows[i]]);
            Assert.That(found[^1], Is.EqualTo(expected[i]), $"token {i}");
            Assert.That(single.Gpu.Read(First + i), Is.EqualTo(chunk.Gpu.Read(First + i)), $"key and value of token {i}");
        }

        float[][] Attend((GpuKvPair, int, int)[] chunks, float[][] inputs)
        {
            bench.Begin(chunks);
            GpuActivationsPair qkv = bench.Activations(inputs.Length, inputs[0].Length);
            for (int i = 0; i < inputs.Length; i++) bench.Write(qkv, i, inputs[i]);
            GpuActivationsPair y = bench.Activations(inputs.Length, shape.Heads * shape.HeadDim, operand: true, poisoned: true);
            bench.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, rotary, norm, norm, y.Gpu);
            return [.. Enumerable.Range(0, inputs.Length).Select(i => bench.Row(y.Gpu, i))];
        }
    }

    [Test]
    public void A_matmul_normalises_to_the_same_bits_whatever_the_number_of_rows([Values] bool tensorCores, [Values] bool layerNorm, [Values(37, 1100)] int columns)
    {
        const int Rows = 9, Outputs = 21;
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: tensorCores));
        var norm = bench.Norm(columns, removeMean: layerNorm, bias: layerNorm);
        var weight = bench.Weight(bench.Tensor(TensorType.BF16, Outputs, columns));
        GpuActivationsPair x = bench.Activations(Rows, columns), y = bench.Activations(Rows, Outputs, poisoned: true);
        BeginSingles(bench, Rows);
        bench.Gpu.Kernels.MatMul(x.Gpu, norm.Gpu, weight.Gpu, default, y.Gpu);
        bench.Reference.Kernels.MatMul(x.Reference, norm.Reference, weight.Reference, default, y.Reference);
        bench.AssertClose(y, Rows, 1e-2);

        foreach (int rows in (int[])[1, 2, 3, 4, 5])
        {
            GpuActivationsPair result = bench.Activations(Rows, Outputs, poisoned: true);
            BeginSingles(bench, rows);
            bench.Gpu.Kernels.MatMul(x.Gpu, norm.Gpu, weight.Gpu, default, result.Gpu);
            for (int row = 0; row < rows; row++) Assert.That(bench.Row(result.Gpu, row), Is.EqualTo(bench.Row(y.Gpu, row)), $"row {row} of {rows}");
            bench.AssertUntouched(result.Gpu, rows);
        }
    }

    [Test]
    public void Logits_are_made_of_the_rows_that_want_them([Values] bool tensorCores, [Values(1, 9)] int sequences)
    {
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: tensorCores));
        AttentionShape shape = new(1, 1, 1, 1);
        bench.Begin([(bench.Kv(1, shape, 2), 0, 2), .. Enumerable.Range(1, sequences).Select(i => (bench.Kv(1, shape, i), 0, i))]);
        int rows = 2 + (sequences * (sequences + 1) / 2);
        var norm = bench.Norm(77, removeMean: false, bias: false);
        var weight = bench.Weight(bench.Tensor(TensorType.F16, 35, 77));
        GpuActivationsPair x = bench.Activations(rows, 77), y = bench.Activations(sequences + 2, 35, poisoned: true);

        bench.Gpu.Kernels.Logits(x.Gpu, norm.Gpu, weight.Gpu, new Epilogue(SoftCap: 4), y.Gpu);
        bench.Reference.Kernels.Logits(x.Reference, norm.Reference, weight.Reference, new Epilogue(SoftCap: 4), y.Reference);

        bench.AssertClose(y, sequences + 1, 5e-3);
        bench.AssertUntouched(y.Gpu, sequences + 1);
    }

    private static RotaryParameters Rotary(AttentionShape shape, bool interleaved)
    {
        int pairs = shape.HeadDim / 4;
        return new([.. Enumerable.Range(0, pairs).Select(i => MathF.Pow(10_000, -(float)i / pairs))], 1.25f, interleaved);
    }

    private static void BeginSingles(GpuBench bench, int rows)
    {
        GpuKvPair kv = bench.Kv(1, new AttentionShape(1, 1, 1, 1), 1);
        bench.Begin([.. Enumerable.Repeat((kv, 0, 1), rows)]);
    }
}
