using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Kernels;

internal sealed class CpuAttentionTests
{
    private const int Layers = 2, Layer = 1;

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
    public void A_ragged_batch_agrees_with_the_reference([ValueSource(nameof(Shapes))] AttentionShape shape, [Values] SimdWidth width)
    {
        using KernelBench bench = new(width, threads: 3);
        KvPair prompt = Filled(bench, shape, 100), single = Filled(bench, shape, 1), longer = Filled(bench, shape, 640), chunk = Filled(bench, shape, 195);
        bench.Begin((prompt, 0, 100), (single, 0, 1), (longer, 639, 1), (chunk, 130, 65));
        ActivationsPair qkv = bench.Activations(167, Columns(shape)), y = bench.Activations(167, shape.Heads * shape.HeadDim, poisoned: true);

        bench.Cpu.Attend(qkv.Cpu, Layer, shape, y.Cpu);
        bench.Reference.Attend(qkv.Reference, Layer, shape, y.Reference);

        KernelBench.AssertClose(y, 167, 1e-5);
    }

    [Test]
    public void Segments_divided_among_threads_agree_with_the_reference([Values(0, 1500)] int window, [Values] SimdWidth width)
    {
        AttentionShape shape = new(Heads: 4, KvHeads: 1, HeadDim: 64, Scale: 0.3f, Window: window);
        using KernelBench bench = new(width, threads: 4);
        KvPair kv = Filled(bench, shape, 2500);
        bench.Begin((kv, 2499, 1));
        ActivationsPair qkv = bench.Activations(1, Columns(shape)), y = bench.Activations(1, shape.Heads * shape.HeadDim, poisoned: true);

        bench.Cpu.Attend(qkv.Cpu, Layer, shape, y.Cpu);
        bench.Reference.Attend(qkv.Reference, Layer, shape, y.Reference);

        KernelBench.AssertClose(y, 1, 1e-5);
    }

    [Test]
    public void Scores_of_any_size_make_finite_probabilities([Values(1e-6f, 3e3f)] float scale, [Values] SimdWidth width)
    {
        AttentionShape shape = new(Heads: 2, KvHeads: 1, HeadDim: 64, Scale: scale);
        using KernelBench bench = new(width);
        KvPair kv = Filled(bench, shape, 200);
        bench.Begin((kv, 0, 200));
        ActivationsPair qkv = bench.Activations(200, Columns(shape)), y = bench.Activations(200, shape.Heads * shape.HeadDim, poisoned: true);

        bench.Cpu.Attend(qkv.Cpu, Layer, shape, y.Cpu);
        bench.Reference.Attend(qkv.Reference, Layer, shape, y.Reference);

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
        bench.Cpu.Attend(qkv.Cpu, Layer, shape, y.Cpu);
        using CpuKernels threaded = new(4, width);

        foreach ((int first, int length) in ((int, int)[])[(0, 1), (5, 3), (63, 2), (130, 71), (511, 1), (512, 1), (513, 130), (1023, 77), (1099, 1)])
        {
            foreach (CpuKernels kernels in (CpuKernels[])[bench.Cpu, threaded])
            {
                foreach (bool alone in (bool[])[true, false])
                {
                    Batch batch = new();
                    if (!alone) batch.Add(other.Cpu, new int[70], 0, wantsLogits: false);
                    batch.Add(kv.Cpu, new int[length], first, wantsLogits: false);
                    ActivationsPair rows = bench.Activations(batch.TokenCount, Columns(shape));
                    int offset = batch.TokenCount - length;
                    for (int i = 0; i < length; i++) KernelBench.Row(qkv.Cpu, first + i).CopyTo(KernelBench.Row(rows.Cpu, offset + i));
                    ActivationsPair result = bench.Activations(batch.TokenCount, shape.Heads * shape.HeadDim, poisoned: true);
                    kernels.BeginStep(batch);
                    kernels.Attend(rows.Cpu, Layer, shape, result.Cpu);
                    Assert.That(
                        KernelBench.Bits(result.Cpu, offset, length), Is.EqualTo(KernelBench.Bits(y.Cpu, first, length)), $"from {first}, {length} tokens");
                }
            }
        }
    }

    private static int Columns(AttentionShape shape) => (shape.Heads + (2 * shape.KvHeads)) * shape.HeadDim;

    /// <summary>A range with room for more tokens than are written: the rest are not numbers and must not be read.</summary>
    private static KvPair Filled(KernelBench bench, AttentionShape shape, int tokens)
    {
        KvPair kv = bench.Kv(new KvLayout(Layers, shape.KvHeads, shape.HeadDim), tokens + 3);
        bench.FillKv(kv, tokens);
        return kv;
    }
}
