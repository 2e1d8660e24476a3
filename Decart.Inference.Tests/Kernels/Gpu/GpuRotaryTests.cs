using Decart.Inference.Kernels;

namespace Decart.Inference.Tests.Kernels.Gpu;

[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuRotaryTests(string device)
{
    private const int Layers = 3, Layer = 1;

    [Test]
    public void Heads_are_normalised_rotated_and_stored(
        [Values] bool interleaved, [Values] bool norms, [Values(4, 10)] int pairs, [Values(0, 4)] int tokensPerPage,
        [Values(1, 3)] int sets, [Values(0, 7)] int rotaryLength)
    {
        AttentionShape shape = new(Heads: 4, KvHeads: 2, HeadDim: 20, Scale: 1);
        using GpuBench bench = new(GpuDevices.Create(device));
        GpuKvPair first = bench.Kv(Layers, shape, 9, tokensPerPage), second = bench.Kv(Layers, shape, 301, tokensPerPage);
        bench.FillKv(first, 3);
        bench.FillKv(second, 299);
        bench.RotaryLength = rotaryLength;
        bench.Begin((first, 3, 5), (second, 299, 1));
        GpuActivationsPair qkv = bench.Activations(6, 8 * shape.HeadDim), y = bench.Activations(6, 4 * shape.HeadDim, operand: true, poisoned: true);
        var queryNorm = bench.Norm(shape.HeadDim, removeMean: false, bias: false);
        var keyNorm = bench.Norm(shape.HeadDim, removeMean: false, bias: false);
        RotaryParameters rotary = new([.. Enumerable.Range(0, sets * pairs).Select(i => MathF.Pow(10_000, -(float)i / pairs))], 1.25f, interleaved)
        {
            Sets = sets,
            FirstSetLength = 5,
        };

        RotaryTable table = bench.Keep(bench.Gpu.Tensors.CreateRotary(rotary)), expected = bench.Reference.Tensors.CreateRotary(rotary);
        bench.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, table, norms ? queryNorm.Gpu : null, norms ? keyNorm.Gpu : null, y.Gpu);
        bench.Reference.Kernels.Attend(
            qkv.Reference, Layer, shape, expected, norms ? queryNorm.Reference : null, norms ? keyNorm.Reference : null, y.Reference);

        bench.AssertClose(y, 6, 1e-3);
        AssertClose(first);
        AssertClose(second);
    }

    /// <summary>
    /// The kernel of sm_90a, by few groups that take all heads of a row in turn and by many; heads that fill the lanes that they take and others, rotated
    /// whole and in part.
    /// </summary>
    [Test, Pairwise]
    public void Heads_are_normalised_rotated_and_stored_eight_elements_at_a_time(
        [Values] bool interleaved, [Values] bool norms, [Values(0, 4)] int tokensPerPage, [Values(1, 100)] int multiprocessors,
        [Values("128/64", "128/48", "64/32", "80/40", "80/10", "40/20", "24/6", "8/4")] string head)
    {
        int dim = int.Parse(head.Split('/')[0]), pairs = int.Parse(head.Split('/')[1]);
        AttentionShape shape = new(Heads: 6, KvHeads: 3, dim, Scale: 0.3f);
        using GpuBench bench = new(GpuDevices.Create(device, multiprocessors, tensorCores: true, hopper: true));
        GpuKvPair first = bench.Kv(Layers, shape, 9, tokensPerPage), second = bench.Kv(Layers, shape, 31, tokensPerPage);
        // Numbers everywhere: attention multiplies what lies behind the ends of heads, with zeros.
        bench.FillKv(first, 9);
        bench.FillKv(second, 31);
        bench.Begin((first, 3, 5), (second, 30, 1));
        GpuActivationsPair qkv = bench.Activations(6, 12 * dim), y = bench.Activations(6, 6 * dim, operand: true, poisoned: true);
        var queryNorm = bench.Norm(dim, removeMean: false, bias: false);
        var keyNorm = bench.Norm(dim, removeMean: false, bias: false);
        RotaryParameters rotary = new([.. Enumerable.Range(0, pairs).Select(i => MathF.Pow(10_000, -(float)i / pairs))], 1.25f, interleaved);
        RotaryTable table = bench.Keep(bench.Gpu.Tensors.CreateRotary(rotary)), expected = bench.Reference.Tensors.CreateRotary(rotary);

        bench.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, table, norms ? queryNorm.Gpu : null, norms ? keyNorm.Gpu : null, y.Gpu);
        bench.Reference.Kernels.Attend(
            qkv.Reference, Layer, shape, expected, norms ? queryNorm.Reference : null, norms ? keyNorm.Reference : null, y.Reference);

        bench.AssertClose(y, 6, 2e-3);
        AssertClose(first);
        AssertClose(second);
    }

    [Test]
    public void Without_a_table_heads_are_stored_as_they_are()
    {
        AttentionShape shape = new(Heads: 2, KvHeads: 2, HeadDim: 5, Scale: 1);
        using GpuBench bench = new(GpuDevices.Create(device));
        GpuKvPair kv = bench.Kv(Layers, shape, 4);
        bench.FillKv(kv, 1);
        bench.Begin((kv, 1, 3));
        GpuActivationsPair qkv = bench.Activations(3, 6 * shape.HeadDim), y = bench.Activations(3, 2 * shape.HeadDim, operand: true, poisoned: true);

        bench.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, null, null, null, y.Gpu);
        bench.Reference.Kernels.Attend(qkv.Reference, Layer, shape, null, null, null, y.Reference);

        AssertClose(kv);
        bench.AssertClose(y, 3, 1e-3);
    }

    [Test]
    public void Angles_of_late_positions_are_right([Values] bool tensorCores)
    {
        // With this window a token sees only itself.
        AttentionShape shape = new(Heads: 1, KvHeads: 1, HeadDim: 64, Scale: 1, Window: 1);
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: tensorCores));
        RotaryParameters rotary = new([.. Enumerable.Range(0, 32).Select(i => MathF.Pow(10_000, -i / 32f))], 1, Interleaved: false);
        RotaryTable table = bench.Keep(bench.Gpu.Tensors.CreateRotary(rotary)), expected = bench.Reference.Tensors.CreateRotary(rotary);
        // A page table of one page for any position: only the position matters.
        GpuKvPair kv = bench.Kv(1, shape, 1);
        foreach (int position in (int[])[1, 2, 3, 1000, 65_537, 1_000_003])
        {
            Batch gpu = new(), reference = new();
            gpu.Add(kv.Gpu.View with { TokenBytes = 0 }, [0], position, wantsLogits: false);
            reference.Add(kv.Reference.View with { TokenBytes = 0 }, [0], position, wantsLogits: false);
            bench.Gpu.BeginStep(gpu);
            bench.Reference.BeginStep(reference);
            GpuActivationsPair qkv = bench.Activations(1, 3 * shape.HeadDim), y = bench.Activations(1, shape.HeadDim, operand: true, poisoned: true);
            bench.Gpu.Kernels.Attend(qkv.Gpu, 0, shape, table, null, null, y.Gpu);
            bench.Reference.Kernels.Attend(qkv.Reference, 0, shape, expected, null, null, y.Reference);
            AssertClose(kv);
        }
    }

    /// <summary>Elements that were not written must still not be numbers.</summary>
    private static void AssertClose(GpuKvPair kv)
    {
        for (int token = 0; token < kv.Gpu.Tokens; token++)
        {
            Half[] found = kv.Gpu.Read(token);
            Span<double> expected = kv.Reference.Token<double>(token);
            for (int i = 0; i < found.Length; i++)
            {
                double error = Math.Abs(expected[i] - (double)found[i]);
                if (double.IsNaN(expected[i]) ? !Half.IsNaN(found[i]) : !(error <= 5e-4 * Math.Max(1, Math.Abs(expected[i]))))
                    Assert.Fail($"token {token}, element {i}: expected {expected[i]:r}, found {found[i]}");
            }
        }
    }
}
