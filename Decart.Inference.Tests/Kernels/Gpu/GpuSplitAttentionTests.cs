using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>The kernels of sm_90a: single tokens and chunks, in batches together, over several splits of each length.</summary>
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuSplitAttentionTests(string device)
{
    private const int Layers = 2, Layer = 1;

    /// <summary>Multiprocessors that the device pretends to have: with many, contexts are divided.</summary>
    private const int Few = 1, Many = 1000;

    /// <summary>Whether the device is emulated.</summary>
    private bool IsSlow => device == "emulated";

    private static readonly AttentionShape[] Shapes =
    [
        new(Heads: 2, KvHeads: 2, HeadDim: 128, Scale: 0.2f),
        new(Heads: 4, KvHeads: 1, HeadDim: 64, Scale: 0.3f),
        new(Heads: 6, KvHeads: 2, HeadDim: 80, Scale: 0.25f, Window: 300),
        new(Heads: 9, KvHeads: 1, HeadDim: 40, Scale: 0.3f, SoftCap: 3),
        new(Heads: 71, KvHeads: 1, HeadDim: 8, Scale: 0.5f, AlibiSlopes: [.. Enumerable.Range(1, 71).Select(i => 1f / i)]),
    ];

    [Test]
    public void Single_tokens_and_chunks_agree_with_the_reference(
        [ValueSource(nameof(Shapes))] AttentionShape shape, [Values(0, 4)] int tokensPerPage, [Values(Few, Many)] int multiprocessors)
    {
        SkipManyHeads(shape);
        if (IsSlow && multiprocessors == Many != (tokensPerPage != 0)) Assert.Ignore("Emulated, page tables are tried with many multiprocessors only, and without them few.");
        using GpuBench bench = new(GpuDevices.Create(device, multiprocessors, tensorCores: true, hopper: true));
        (int First, int Length)[] chunks = [(0, 1), (0, 35), (IsSlow ? 299 : 1299, 1), (126, 6), (127, 1), (64, 1)];
        bench.Begin([.. chunks.Select(chunk => (GpuAttentionTests.Filled(bench, shape, chunk.First + chunk.Length, tokensPerPage), chunk.First, chunk.Length))]);
        int rows = chunks.Sum(chunk => chunk.Length);
        GpuActivationsPair qkv = bench.Activations(rows, GpuAttentionTests.Columns(shape));
        GpuActivationsPair y = bench.Activations(rows + 1, shape.Heads * shape.HeadDim, operand: true, poisoned: true);

        bench.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, null, null, null, y.Gpu);
        bench.Reference.Kernels.Attend(qkv.Reference, Layer, shape, null, null, null, y.Reference);

        bench.AssertClose(y, rows, 1e-3);
        bench.AssertUntouched(y.Gpu, rows);
    }

    [Test]
    public void However_a_prompt_is_chunked_batched_paged_and_divided_its_rows_have_the_same_bits([ValueSource(nameof(Shapes))] AttentionShape shape)
    {
        SkipManyHeads(shape);
        // From a split to the next; of 256 keys where that does not take too long.
        const int Tokens = 14;
        int start = IsSlow ? 123 : 1019;
        (int First, int Length)[] cuts = [(start, 3), (start + 4, 1), (start + 5, 1), (start + 4, 5), (start + 13, 1)];
        using GpuBench few = new(GpuDevices.Create(device, Few, tensorCores: true, hopper: true)), many = new(GpuDevices.Create(device, Many, tensorCores: true, hopper: true));
        GpuActivationsPair qkv = few.Activations(Tokens, GpuAttentionTests.Columns(shape));
        GpuActivationsPair y = few.Activations(Tokens, shape.Heads * shape.HeadDim, operand: true, poisoned: true);
        few.Begin((GpuAttentionTests.Filled(few, shape, start + Tokens, seed: 3), start, Tokens));
        few.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, null, null, null, y.Gpu);
        float[][] inputs = [.. Enumerable.Range(0, Tokens).Select(row => few.Row(qkv.Gpu, row))];
        foreach ((GpuBench bench, int tokensPerPage) in ((GpuBench, int)[])[(few, 16), (many, 0)])
        {
            GpuKvPair kv = GpuAttentionTests.Filled(bench, shape, start + Tokens, tokensPerPage, seed: 3), other = GpuAttentionTests.Filled(bench, shape, 3);
            GpuAttentionTests.Store(bench, shape, kv, start, inputs);
            foreach ((int first, int length) in cuts)
            {
                bench.Begin((other, 0, 3), (kv, first, length));
                GpuActivationsPair rows = bench.Activations(3 + length, GpuAttentionTests.Columns(shape));
                for (int i = 0; i < length; i++) bench.Write(rows, 3 + i, inputs[first - start + i]);
                GpuActivationsPair result = bench.Activations(3 + length, shape.Heads * shape.HeadDim, operand: true, poisoned: true);
                bench.Gpu.Kernels.Attend(rows.Gpu, Layer, shape, null, null, null, result.Gpu);
                for (int i = 0; i < length; i++)
                    Assert.That(bench.Row(result.Gpu, 3 + i), Is.EqualTo(few.Row(y.Gpu, first - start + i)), $"from {first}, row {i}, {tokensPerPage} tokens a page");
            }
        }
    }

    [Test]
    public void Long_contexts_have_the_same_bits_however_they_are_batched_chunked_and_divided()
    {
        AttentionShape shape = new(Heads: 3, KvHeads: 1, HeadDim: 16, Scale: 0.5f);
        using GpuBench few = new(GpuDevices.Create(device, Few, tensorCores: true, hopper: true)), many = new(GpuDevices.Create(device, Many, tensorCores: true, hopper: true));
        // From splits of 256 keys to one of 2,048, and from one of these to the next.
        foreach (int border in (int[])(IsSlow ? [16_384] : [16_384, 18_432]))
        {
            int first = IsSlow ? border : border - 1, tokens = IsSlow ? 1 : 7;
            GpuKvPair kv = GpuAttentionTests.Filled(few, shape, first + tokens, seed: 3), same = GpuAttentionTests.Filled(many, shape, first + tokens, tokensPerPage: 16, seed: 3);
            GpuKvPair other = GpuAttentionTests.Filled(many, shape, 700);
            GpuActivationsPair qkv = few.Activations(tokens, GpuAttentionTests.Columns(shape));
            float[][] inputs = [.. Enumerable.Range(0, tokens).Select(row => few.Row(qkv.Gpu, row))];
            float[][] alone = [.. inputs[..^1].Select((input, i) => Attend(few, [(kv, first + i, 1)], [input])[0]), AttendLast(kv, first + tokens - 1, inputs[^1])];
            for (int i = 0; i < tokens; i++)
                Assert.That(Attend(many, [(other, 699, 1), (same, first + i, 1)], [inputs[0], inputs[i]])[1], Is.EqualTo(alone[i]), $"position {first + i}, divided and in company");
            if (!IsSlow) Assert.That(Attend(many, [(same, first, tokens)], inputs), Is.EqualTo(alone), $"as a chunk from {first}");
        }

        float[] AttendLast(GpuKvPair kv, int position, float[] input)
        {
            few.Begin((kv, position, 1));
            GpuActivationsPair last = few.Activations(1, GpuAttentionTests.Columns(shape)), y = few.Activations(1, shape.Heads * shape.HeadDim, operand: true, poisoned: true);
            few.Write(last, 0, input);
            few.Gpu.Kernels.Attend(last.Gpu, Layer, shape, null, null, null, y.Gpu);
            few.Reference.Kernels.Attend(last.Reference, Layer, shape, null, null, null, y.Reference);
            few.AssertClose(y, 1, 1e-3);
            return few.Row(y.Gpu, 0);
        }

        float[][] Attend(GpuBench bench, (GpuKvPair, int, int)[] chunks, float[][] rows)
        {
            bench.Begin(chunks);
            GpuActivationsPair qkv = bench.Activations(rows.Length, rows[0].Length);
            for (int i = 0; i < rows.Length; i++) bench.Write(qkv, i, rows[i]);
            GpuActivationsPair y = bench.Activations(rows.Length, shape.Heads * shape.HeadDim, operand: true, poisoned: true);
            bench.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, null, null, null, y.Gpu);
            return [.. Enumerable.Range(0, rows.Length).Select(i => bench.Row(y.Gpu, i))];
        }
    }

    [Test]
    public void Many_rows_keep_all_warps_busy_and_have_the_bits_that_they_have_alone()
    {
        AttentionShape shape = new(Heads: 4, KvHeads: 4, HeadDim: 16, Scale: 0.3f);
        using GpuBench bench = new(GpuDevices.Create(device, multiprocessors: 2, tensorCores: true, hopper: true));
        int[] positions = IsSlow ? [300, 3, 129, 64, 0, 259, 1, 140] : [700, 3, 129, 500, 64, 0, 259, 383, 1, 640, 100];
        GpuKvPair[] kv = [.. positions.Select((position, i) => GpuAttentionTests.Filled(bench, shape, position, i % 2 * 8))];
        bench.Begin([.. kv.Select((pair, i) => (pair, positions[i], 1))]);
        GpuActivationsPair qkv = bench.Activations(positions.Length, GpuAttentionTests.Columns(shape));
        GpuActivationsPair y = bench.Activations(positions.Length, shape.Heads * shape.HeadDim, operand: true, poisoned: true);
        bench.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, null, null, null, y.Gpu);
        for (int i = 0; i < positions.Length; i++)
        {
            bench.Begin((kv[i], positions[i], 1));
            GpuActivationsPair row = bench.Activations(1, GpuAttentionTests.Columns(shape)), alone = bench.Activations(1, shape.Heads * shape.HeadDim, operand: true, poisoned: true);
            bench.Write(row, 0, bench.Row(qkv.Gpu, i));
            bench.Gpu.Kernels.Attend(row.Gpu, Layer, shape, null, null, null, alone.Gpu);
            Assert.That(bench.Row(y.Gpu, i), Is.EqualTo(bench.Row(alone.Gpu, 0)), $"row {i}");
        }
    }

    [Test]
    public void Splits_follow_each_other_without_gaps()
    {
        for (int split = 0; split < 100; split++)
        {
            int start = GpuSplits.Start(split), end = GpuSplits.Start(split + 1);
            Assert.That(start % 128, Is.Zero);
            Assert.That(GpuSplits.Of(start), Is.EqualTo(split));
            Assert.That(GpuSplits.Of(end - 1), Is.EqualTo(split));
        }
    }

    /// <summary>Each unit of 64 queries is 384 threads of the processor.</summary>
    private void SkipManyHeads(AttentionShape shape)
    {
        if (IsSlow && shape.Heads > 16) Assert.Ignore($"Emulated, {shape.Heads} heads take a quarter of an hour.");
    }
}
