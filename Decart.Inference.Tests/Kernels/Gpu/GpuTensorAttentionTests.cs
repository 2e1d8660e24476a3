using Decart.Inference.Kernels;

namespace Decart.Inference.Tests.Kernels.Gpu;

[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuTensorAttentionTests(string device)
{
    private const int Layers = 2, Layer = 1;

    /// <summary>Multiprocessors that the device pretends to have: with many, contexts are divided.</summary>
    private const int Few = 0, Many = 1000;

    private static readonly AttentionShape[] Shapes =
    [
        new(Heads: 2, KvHeads: 2, HeadDim: 8, Scale: 0.35f),
        new(Heads: 3, KvHeads: 1, HeadDim: 24, Scale: 0.5f, Window: 20),
        new(Heads: 4, KvHeads: 2, HeadDim: 72, Scale: 0.125f, SoftCap: 2),
        new(Heads: 17, KvHeads: 1, HeadDim: 16, Scale: 0.25f, AlibiSlopes: [.. Enumerable.Range(1, 17).Select(i => 1f / i)]),
        new(Heads: 2, KvHeads: 1, HeadDim: 136, Scale: 0.1f, Window: 130),
    ];

    [Test]
    public void A_ragged_batch_agrees_with_the_reference(
        [ValueSource(nameof(Shapes))] AttentionShape shape, [Values(0, 4)] int tokensPerPage, [Values(Few, Many)] int multiprocessors)
    {
        using GpuBench bench = new(GpuDevices.Create(device, multiprocessors, tensorCores: true, architecture: 80));
        GpuKvPair prompt = GpuAttentionTests.Filled(bench, shape, 19, tokensPerPage), single = GpuAttentionTests.Filled(bench, shape, 1, tokensPerPage);
        GpuKvPair longer = GpuAttentionTests.Filled(bench, shape, 300, tokensPerPage), chunk = GpuAttentionTests.Filled(bench, shape, 132, tokensPerPage);
        bench.Begin((prompt, 0, 19), (single, 0, 1), (longer, 299, 1), (chunk, 126, 6));
        GpuActivationsPair qkv = bench.Activations(27, GpuAttentionTests.Columns(shape));
        GpuActivationsPair y = bench.Activations(28, shape.Heads * shape.HeadDim, operand: true, poisoned: true);

        bench.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, null, null, null, y.Gpu);
        bench.Reference.Kernels.Attend(qkv.Reference, Layer, shape, null, null, null, y.Reference);

        bench.AssertClose(y, 27, 1e-3);
        bench.AssertUntouched(y.Gpu, 27);
    }

    [Test]
    public void However_a_prompt_is_chunked_batched_paged_and_divided_its_rows_have_the_same_bits([ValueSource(nameof(Shapes))] AttentionShape shape)
    {
        const int Tokens = 262, First = 250;
        using GpuBench few = new(GpuDevices.Create(device, Few, tensorCores: true, architecture: 80)), many = new(GpuDevices.Create(device, Many, tensorCores: true, architecture: 80));
        GpuActivationsPair qkv = few.Activations(Tokens - First, GpuAttentionTests.Columns(shape));
        GpuActivationsPair y = few.Activations(Tokens - First, shape.Heads * shape.HeadDim, operand: true, poisoned: true);
        few.Begin((GpuAttentionTests.Filled(few, shape, Tokens, seed: 3), First, Tokens - First));
        few.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, null, null, null, y.Gpu);
        foreach ((GpuBench bench, int tokensPerPage) in ((GpuBench, int)[])[(few, 16), (many, 0)])
        {
            GpuKvPair kv = GpuAttentionTests.Filled(bench, shape, Tokens, tokensPerPage, seed: 3), other = GpuAttentionTests.Filled(bench, shape, 3);
            GpuAttentionTests.Store(bench, shape, kv, First, [.. Enumerable.Range(0, Tokens - First).Select(row => few.Row(qkv.Gpu, row))]);
            foreach ((int first, int length) in ((int, int)[])[(250, 3), (255, 2), (261, 1)])
            {
                bench.Begin((other, 0, 3), (kv, first, length));
                GpuActivationsPair rows = bench.Activations(3 + length, GpuAttentionTests.Columns(shape));
                for (int i = 0; i < length; i++) bench.Write(rows, 3 + i, few.Row(qkv.Gpu, first - First + i));
                GpuActivationsPair result = bench.Activations(3 + length, shape.Heads * shape.HeadDim, operand: true, poisoned: true);
                bench.Gpu.Kernels.Attend(rows.Gpu, Layer, shape, null, null, null, result.Gpu);
                for (int i = 0; i < length; i++)
                {
                    float[] found = bench.Row(result.Gpu, 3 + i);
                    Assert.That(found, Is.EqualTo(few.Row(y.Gpu, first - First + i)), $"from {first}, row {i}, {tokensPerPage} tokens a page");
                }
            }
        }
    }
}
