using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels;

/// <summary>Attention to keys and values of 8 bits.</summary>
internal sealed class CpuKvCodesTests
{
    private const int Layer = 9, Layers = 10;

    private static readonly AttentionShape[] Shapes =
    [
        new(Heads: 4, KvHeads: 4, HeadDim: 8, Scale: 0.35f),
        new(Heads: 6, KvHeads: 2, HeadDim: 20, Scale: 0.5f, Window: 50),
        new(Heads: 5, KvHeads: 1, HeadDim: 64, Scale: 0.125f, SoftCap: 2),
        new(Heads: 2, KvHeads: 2, HeadDim: 80, Scale: 1, AlibiSlopes: [0.25f, 0.0625f]),
        new(Heads: 10, KvHeads: 5, HeadDim: 5, Scale: 1),
    ];

    [Test]
    public void Has_the_bits_of_attention_to_what_the_codes_stand_for(
        [ValueSource(nameof(Shapes))] AttentionShape shape, [Values(0, 1, 16)] int tokensPerPage, [Values] SimdWidth width)
    {
        using KernelBench coded = new(width, threads: 3, keysAndValues: KvCacheType.Fp8), plain = new(width, threads: 3);
        KvPair[] codes = Kv(coded, shape, tokensPerPage), numbers = Kv(plain, shape, tokensPerPage);
        foreach ((int first, int length) in ((int, int)[])[(0, 70), (70, 1), (71, 130), (201, 1)])
        {
            Begin(coded, codes, first, length);
            Begin(plain, numbers, first, length);
            CpuActivations qkv = coded.Activations(2 * length, Columns(shape)).Cpu, rounded = plain.Activations(2 * length, Columns(shape)).Cpu;
            // Of any size: scales of -14 to 7.
            for (int row = 0; row < 2 * length; row++) Resize(KernelBench.Row(qkv, row)[(shape.Heads * shape.HeadDim)..], shape.HeadDim, coded.Random);
            for (int row = 0; row < 2 * length; row++)
            {
                KernelBench.Row(qkv, row).CopyTo(KernelBench.Row(rounded, row));
                RoundedHeads.Round(KernelBench.Row(rounded, row)[(shape.Heads * shape.HeadDim)..], shape.HeadDim);
            }
            CpuActivations found = coded.Activations(2 * length, shape.Heads * shape.HeadDim, poisoned: true).Cpu;
            CpuActivations expected = plain.Activations(2 * length, shape.Heads * shape.HeadDim, poisoned: true).Cpu;
            coded.Cpu.Kernels.Attend(qkv, Layer, shape, null, null, null, found);
            plain.Cpu.Kernels.Attend(rounded, Layer, shape, null, null, null, expected);
            Assert.That(KernelBench.Bits(found, 0, 2 * length), Is.EqualTo(KernelBench.Bits(expected, 0, 2 * length)), $"from {first}");
            Assert.That(KernelBench.Row(found, 0).ToArray(), Has.Some.Not.Zero);
        }
    }

    [Test]
    public void However_a_prompt_is_chunked_and_paged_its_rows_have_the_same_bits([ValueSource(nameof(Shapes))] AttentionShape shape, [Values(1, 4)] int threads)
    {
        const int Tokens = 600;
        using KernelBench bench = new(SimdWidths.Machine, threads, keysAndValues: KvCacheType.Fp8);
        KvPair other = bench.Kv(Layers, shape, Tokens);
        CpuActivations qkv = bench.Activations(Tokens, Columns(shape)).Cpu;
        int outputs = shape.Heads * shape.HeadDim;
        int[] whole = Attend(bench.Kv(Layers, shape, Tokens), [(0, Tokens)], company: false);
        foreach (int tokensPerPage in (int[])[0, 4])
        {
            Assert.That(Attend(bench.Kv(Layers, shape, Tokens, tokensPerPage), [(0, 100), (100, 1), (101, 412), (513, 86), (599, 1)], company: true), Is.EqualTo(whole));
            KvPair kv = bench.Kv(Layers, shape, Tokens, tokensPerPage);
            Attend(kv, [(0, 511)], company: false);
            Assert.That(Attend(kv, [.. Enumerable.Range(511, 89).Select(token => (token, 1))], company: true), Is.EqualTo(whole[(511 * outputs)..]), "one by one");
        }

        int[] Attend(KvPair kv, (int First, int Length)[] chunks, bool company)
        {
            List<int> bits = [];
            foreach ((int first, int length) in chunks)
            {
                int before = company ? 3 : 0;
                Batch batch = new();
                if (company) batch.Add(other.Cpu.View, new int[before], 0, wantsLogits: false);
                batch.Add(kv.Cpu.View, new int[length], first, wantsLogits: false);
                CpuActivations rows = bench.Activations(before + length, Columns(shape)).Cpu, y = bench.Activations(before + length, outputs, poisoned: true).Cpu;
                for (int i = 0; i < length; i++) KernelBench.Row(qkv, first + i).CopyTo(KernelBench.Row(rows, before + i));
                bench.Cpu.BeginStep(batch);
                bench.Cpu.Kernels.Attend(rows, Layer, shape, null, null, null, y);
                bits.AddRange(KernelBench.Bits(y, before, length));
            }
            return [.. bits];
        }
    }

    [Test]
    public void Elements_beyond_the_largest_become_it_and_what_is_not_a_number_stays_with_its_head()
    {
        AttentionShape shape = new(Heads: 2, KvHeads: 2, HeadDim: 20, Scale: 1e-3f);
        using KernelBench bench = new(SimdWidths.Machine, keysAndValues: KvCacheType.Fp8);
        foreach ((float element, float expected) in ((float, float)[])[(float.PositiveInfinity, 57344), (-1e30f, -57344), (60000, 57344), (57344, 57344), (0, 0), (1e-30f, 0), (float.NaN, float.NaN)])
        {
            KvPair kv = bench.Kv(Layers, shape, 1);
            bench.Begin((kv, 0, 1));
            CpuActivations qkv = bench.Activations(1, Columns(shape)).Cpu, y = bench.Activations(1, 40, poisoned: true).Cpu;
            Span<float> row = KernelBench.Row(qkv, 0);
            row[80..100].Fill(element);
            bench.Cpu.Kernels.Attend(qkv, Layer, shape, null, null, null, y);
            Assert.That(KernelBench.Row(y, 0)[..20].ToArray(), Is.All.EqualTo(expected), $"{element}");
            Assert.That(KernelBench.Row(y, 0)[20..].ToArray(), Is.All.InRange(-1, 1), "the other head");
        }
    }

    private static void Begin(KernelBench bench, KvPair[] kv, int first, int length)
    {
        Batch batch = new();
        foreach (KvPair pair in kv) batch.Add(pair.Cpu.View, new int[length], first, wantsLogits: false);
        bench.Cpu.BeginStep(batch);
    }

    private static KvPair[] Kv(KernelBench bench, AttentionShape shape, int tokensPerPage) => [bench.Kv(Layers, shape, 202, tokensPerPage), bench.Kv(Layers, shape, 202, tokensPerPage)];

    private static void Resize(Span<float> heads, int headDim, Random random)
    {
        for (int first = 0; first < heads.Length; first += headDim)
        {
            float factor = MathF.ScaleB(1, random.Next(-30, 8));
            foreach (ref float element in heads.Slice(first, headDim)) element *= factor;
        }
    }

    private static int Columns(AttentionShape shape) => (shape.Heads + (2 * shape.KvHeads)) * shape.HeadDim;
}
