using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels;

internal sealed class CpuAttentionTests
{
    private const int Layers = 2, Layer = 1;

    /// <summary>Tokens of a page; 0 for one range.</summary>
    private static readonly int[] PageSizes = [0, 1, 4, 16];

    private static readonly AttentionShape[] Shapes =
    [
        new(Heads: 4, KvHeads: 4, HeadDim: 8, Scale: 0.35f),
        new(Heads: 6, KvHeads: 2, HeadDim: 20, Scale: 0.5f, Window: 50),
        new(Heads: 5, KvHeads: 1, HeadDim: 64, Scale: 0.125f, SoftCap: 2),
        new(Heads: 2, KvHeads: 2, HeadDim: 80, Scale: 1, AlibiSlopes: [0.25f, 0.0625f]),
        new(Heads: 8, KvHeads: 2, HeadDim: 128, Scale: 0.088f, Window: 1),
        new(Heads: 140, KvHeads: 1, HeadDim: 5, Scale: 1, SoftCap: 5, Window: 600),
    ];

    [Test]
    public void A_ragged_batch_agrees_with_the_reference(
        [ValueSource(nameof(Shapes))] AttentionShape shape, [ValueSource(nameof(PageSizes))] int tokensPerPage, [Values] SimdWidth width)
    {
        using KernelBench bench = new(width, threads: 3);
        KvPair prompt = Filled(bench, shape, 100, tokensPerPage), single = Filled(bench, shape, 1, tokensPerPage);
        KvPair longer = Filled(bench, shape, 640, tokensPerPage), chunk = Filled(bench, shape, 195, tokensPerPage);
        bench.Begin((prompt, 0, 100), (single, 0, 1), (longer, 639, 1), (chunk, 130, 65));
        ActivationsPair qkv = bench.Activations(167, Columns(shape)), y = bench.Activations(167, shape.Heads * shape.HeadDim, poisoned: true);

        bench.Cpu.Kernels.Attend(qkv.Cpu, Layer, shape, null, null, null, y.Cpu);
        bench.Reference.Kernels.Attend(qkv.Reference, Layer, shape, null, null, null, y.Reference);

        KernelBench.AssertClose(y, 167, 1e-5);
    }

    [Test]
    public void Splits_divided_among_threads_agree_with_the_reference(
        [Values(0, 1500)] int window, [ValueSource(nameof(PageSizes))] int tokensPerPage, [Values] SimdWidth width)
    {
        AttentionShape shape = new(Heads: 4, KvHeads: 1, HeadDim: 64, Scale: 0.3f, Window: window);
        using KernelBench bench = new(width, threads: 4);
        KvPair kv = Filled(bench, shape, 2500, tokensPerPage);
        bench.Begin((kv, 2499, 1));
        ActivationsPair qkv = bench.Activations(1, Columns(shape)), y = bench.Activations(1, shape.Heads * shape.HeadDim, poisoned: true);

        bench.Cpu.Kernels.Attend(qkv.Cpu, Layer, shape, null, null, null, y.Cpu);
        bench.Reference.Kernels.Attend(qkv.Reference, Layer, shape, null, null, null, y.Reference);

        KernelBench.AssertClose(y, 1, 1e-5);
    }

    [Test]
    public void Scores_of_any_size_make_finite_probabilities([Values(1e-6f, 3e3f)] float scale, [Values(0, 16)] int tokensPerPage, [Values] SimdWidth width)
    {
        AttentionShape shape = new(Heads: 2, KvHeads: 1, HeadDim: 64, Scale: scale);
        using KernelBench bench = new(width);
        KvPair kv = Filled(bench, shape, 200, tokensPerPage);
        bench.Begin((kv, 0, 200));
        ActivationsPair qkv = bench.Activations(200, Columns(shape)), y = bench.Activations(200, shape.Heads * shape.HeadDim, poisoned: true);

        bench.Cpu.Kernels.Attend(qkv.Cpu, Layer, shape, null, null, null, y.Cpu);
        bench.Reference.Kernels.Attend(qkv.Reference, Layer, shape, null, null, null, y.Reference);

        KernelBench.AssertClose(y, 200, scale > 1 ? 2e-2 : 1e-5);
    }

    [Test]
    public void However_a_prompt_is_chunked_and_batched_its_rows_have_the_same_bits(
        [ValueSource(nameof(Shapes))] AttentionShape shape, [Values] SimdWidth width)
    {
        const int Tokens = 1100;
        using KernelBench bench = new(width, threads: 1);
        KvPair kv = Filled(bench, shape, Tokens), other = Filled(bench, shape, 70);
        ActivationsPair qkv = bench.Activations(Tokens, Columns(shape)), y = bench.Activations(Tokens, shape.Heads * shape.HeadDim, poisoned: true);
        bench.Begin((kv, 0, Tokens));
        bench.Cpu.Kernels.Attend(qkv.Cpu, Layer, shape, null, null, null, y.Cpu);
        using CpuBackend threaded = new(4, width);

        foreach ((int first, int length) in ((int, int)[])[(0, 1), (5, 3), (63, 2), (130, 71), (511, 1), (512, 1), (513, 130), (1023, 77), (1099, 1)])
        {
            foreach (CpuBackend backend in (CpuBackend[])[bench.Cpu, threaded])
            {
                foreach (bool alone in (bool[])[true, false])
                {
                    Batch batch = new();
                    if (!alone) batch.Add(other.Cpu.View, new int[70], 0, wantsLogits: false);
                    batch.Add(kv.Cpu.View, new int[length], first, wantsLogits: false);
                    ActivationsPair rows = bench.Activations(batch.TokenCount, Columns(shape));
                    int offset = batch.TokenCount - length;
                    for (int i = 0; i < length; i++) KernelBench.Row(qkv.Cpu, first + i).CopyTo(KernelBench.Row(rows.Cpu, offset + i));
                    ActivationsPair result = bench.Activations(batch.TokenCount, shape.Heads * shape.HeadDim, poisoned: true);
                    backend.BeginStep(batch);
                    backend.Kernels.Attend(rows.Cpu, Layer, shape, null, null, null, result.Cpu);
                    Assert.That(
                        KernelBench.Bits(result.Cpu, offset, length), Is.EqualTo(KernelBench.Bits(y.Cpu, first, length)), $"from {first}, {length} tokens");
                }
            }
        }
    }

    [Test]
    public void Page_tables_give_the_bits_that_one_range_gives([ValueSource(nameof(Shapes))] AttentionShape shape, [Values] SimdWidth width)
    {
        const int Tokens = 1100;
        using KernelBench bench = new(width, threads: 1);
        using CpuBackend threaded = new(4, width);
        TestKv plain = Filled(bench, shape, Tokens).Cpu;
        TestKv[] paged = [.. ((int[])[1, 2, 8, 16, 128, 2048]).Select(tokensPerPage => Copy(bench, plain, Tokens, tokensPerPage))];
        foreach ((int first, int length) in ((int, int)[])[(0, 1), (15, 1), (0, 130), (513, 70), (1099, 1)])
        {
            foreach (CpuBackend backend in (CpuBackend[])[bench.Cpu, threaded])
            {
                CpuActivations qkv = bench.Activations(length, Columns(shape)).Cpu, y = bench.Activations(length, shape.Heads * shape.HeadDim, poisoned: true).Cpu;
                int[] expected = Attend(plain);
                foreach (TestKv kv in paged) Assert.That(Attend(kv), Is.EqualTo(expected), $"from {first}, {length} tokens, {kv.View.TokensPerPage} in a page");

                int[] Attend(TestKv kv)
                {
                    Batch batch = new();
                    batch.Add(kv.View, new int[length], first, wantsLogits: false);
                    backend.BeginStep(batch);
                    backend.Kernels.Attend(qkv, Layer, shape, null, null, null, y);
                    return KernelBench.Bits(y, 0, length);
                }
            }
        }
    }

    private static int Columns(AttentionShape shape) => (shape.Heads + (2 * shape.KvHeads)) * shape.HeadDim;

    /// <summary>Room for more tokens than are written: the rest are not numbers and must not be read.</summary>
    private static KvPair Filled(KernelBench bench, AttentionShape shape, int tokens, int tokensPerPage = 0)
    {
        KvPair kv = bench.Kv(Layers, shape, tokens + 3, tokensPerPage);
        bench.FillKv(kv, tokens);
        return kv;
    }

    private static TestKv Copy(KernelBench bench, TestKv source, int tokens, int tokensPerPage)
    {
        TestKv copy = (TestKv)bench.Keep(new TestKv(source.Layout, tokens, tokensPerPage));
        for (int token = 0; token < tokens; token++) source.Token<float>(token).CopyTo(copy.Token<float>(token));
        return copy;
    }
}
