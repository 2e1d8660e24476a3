using Decart.Inference.Kernels;

namespace Decart.Inference.Tests.Kernels.Gpu;

[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuAttentionTests(string device)
{
    private const int Layers = 2, Layer = 1;

    /// <summary>Multiprocessors of an emulated device: with many, attention is divided over the context.</summary>
    private const int Few = 0, Many = 1000;

    private static readonly AttentionShape[] Shapes =
    [
        new(Heads: 2, KvHeads: 2, HeadDim: 8, Scale: 0.35f),
        new(Heads: 3, KvHeads: 1, HeadDim: 20, Scale: 0.5f, Window: 50),
        new(Heads: 2, KvHeads: 1, HeadDim: 64, Scale: 0.125f, SoftCap: 2),
        new(Heads: 2, KvHeads: 2, HeadDim: 16, Scale: 1, AlibiSlopes: [0.25f, 0.0625f]),
        new(Heads: 4, KvHeads: 2, HeadDim: 5, Scale: 0.5f, SoftCap: 5, Window: 300),
    ];

    [Test]
    public void A_ragged_batch_agrees_with_the_reference(
        [ValueSource(nameof(Shapes))] AttentionShape shape, [Values(0, 4)] int tokensPerPage, [Values(Few, Many)] int multiprocessors)
    {
        using GpuBench bench = new(GpuDevices.Create(device, multiprocessors));
        GpuKvPair prompt = Filled(bench, shape, 9, tokensPerPage), single = Filled(bench, shape, 1, tokensPerPage);
        GpuKvPair longer = Filled(bench, shape, 540, tokensPerPage), chunk = Filled(bench, shape, 259, tokensPerPage);
        bench.Begin((prompt, 0, 9), (single, 0, 1), (longer, 539, 1), (chunk, 255, 4));
        GpuActivationsPair qkv = bench.Activations(15, Columns(shape));
        GpuActivationsPair y = bench.Activations(16, shape.Heads * shape.HeadDim, operand: true, poisoned: true);

        bench.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, null, null, null, y.Gpu);
        bench.Reference.Kernels.Attend(qkv.Reference, Layer, shape, null, null, null, y.Reference);

        bench.AssertClose(y, 15, 5e-4);
        bench.AssertUntouched(y.Gpu, 15);
    }

    [Test]
    public void Scores_of_any_size_make_finite_probabilities([Values(1e-6f, 3e3f)] float scale)
    {
        AttentionShape shape = new(Heads: 1, KvHeads: 1, HeadDim: 64, Scale: scale);
        using GpuBench bench = new(GpuDevices.Create(device));
        GpuKvPair kv = Filled(bench, shape, 270);
        bench.Begin((kv, 265, 5));
        GpuActivationsPair qkv = bench.Activations(5, Columns(shape)), y = bench.Activations(5, 64, operand: true, poisoned: true);

        bench.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, null, null, null, y.Gpu);
        bench.Reference.Kernels.Attend(qkv.Reference, Layer, shape, null, null, null, y.Reference);

        bench.AssertClose(y, 5, scale > 1 ? 2e-2 : 5e-4);
    }

    [Test]
    public void However_a_prompt_is_chunked_batched_paged_and_divided_its_rows_have_the_same_bits([ValueSource(nameof(Shapes))] AttentionShape shape)
    {
        const int Tokens = 524, First = 508;
        using GpuBench few = new(GpuDevices.Create(device, Few)), many = new(GpuDevices.Create(device, Many));
        GpuActivationsPair qkv = few.Activations(Tokens - First, Columns(shape));
        GpuActivationsPair y = few.Activations(Tokens - First, shape.Heads * shape.HeadDim, operand: true, poisoned: true);
        few.Begin((Filled(few, shape, Tokens, seed: 3), First, Tokens - First));
        few.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, null, null, null, y.Gpu);
        foreach ((GpuBench bench, int tokensPerPage) in ((GpuBench, int)[])[(few, 16), (many, 0)])
        {
            GpuKvPair kv = Filled(bench, shape, Tokens, tokensPerPage, seed: 3), other = Filled(bench, shape, 3);
            Store(bench, shape, kv, First, [.. Enumerable.Range(0, Tokens - First).Select(row => few.Row(qkv.Gpu, row))]);
            foreach ((int first, int length) in ((int, int)[])[(508, 3), (511, 1), (512, 1), (513, 4), (523, 1)])
            {
                bench.Begin((other, 0, 3), (kv, first, length));
                GpuActivationsPair rows = bench.Activations(3 + length, Columns(shape));
                for (int i = 0; i < length; i++) bench.Write(rows, 3 + i, few.Row(qkv.Gpu, first - First + i));
                GpuActivationsPair result = bench.Activations(3 + length, shape.Heads * shape.HeadDim, operand: true, poisoned: true);
                bench.Gpu.Kernels.Attend(rows.Gpu, Layer, shape, null, null, null, result.Gpu);
                for (int i = 0; i < length; i++)
                    Assert.That(bench.Row(result.Gpu, 3 + i), Is.EqualTo(few.Row(y.Gpu, first - First + i)), $"from {first}, row {i}");
            }
        }
    }

    [Test]
    public void Heads_that_are_too_long_are_refused()
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(1);
        AttentionShape shape = new(Heads: 1, KvHeads: 1, HeadDim: 257, Scale: 1);
        GpuActivationsPair qkv = bench.Activations(1, Columns(shape)), y = bench.Activations(1, 257, operand: true);
        Assert.That(() => bench.Gpu.Kernels.Attend(qkv.Gpu, 0, shape, null, null, null, y.Gpu), Throws.TypeOf<NotSupportedException>());
    }

    /// <summary>Has the keys and values of consecutive tokens stored.</summary>
    public static void Store(GpuBench bench, AttentionShape shape, GpuKvPair kv, int first, float[][] rows)
    {
        bench.Begin((kv, first, rows.Length));
        GpuActivationsPair qkv = bench.Activations(rows.Length, Columns(shape));
        for (int row = 0; row < rows.Length; row++) bench.Write(qkv, row, rows[row]);
        bench.Gpu.Kernels.Attend(
            qkv.Gpu, Layer, shape, null, null, null, bench.Activations(rows.Length, shape.Heads * shape.HeadDim, operand: true, poisoned: true).Gpu);
    }

    public static int Columns(AttentionShape shape) => (shape.Heads + (2 * shape.KvHeads)) * shape.HeadDim;

    /// <summary>Room for more tokens than are written: the rest are not numbers and must not be read.</summary>
    public static GpuKvPair Filled(GpuBench bench, AttentionShape shape, int tokens, int tokensPerPage = 0, int? seed = null)
    {
        GpuKvPair kv = bench.Kv(Layers, shape, tokens + 3, tokensPerPage);
        bench.FillKv(kv, tokens, seed);
        return kv;
    }
}
