using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>Attention to keys and values of 8 bits on every kind of device.</summary>
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuKvCodesTests(string device)
{
    private const int Layers = 10, Layer = 9;

    /// <summary>The portable kernels, those of sm_80 and those of sm_90a.</summary>
    private static readonly string[] Families = ["portable", "sm_80", "sm_90a"];

    private static readonly AttentionShape[] Shapes =
    [
        new(Heads: 2, KvHeads: 2, HeadDim: 128, Scale: 0.2f),
        new(Heads: 4, KvHeads: 1, HeadDim: 64, Scale: 0.3f),
        new(Heads: 6, KvHeads: 2, HeadDim: 80, Scale: 0.25f, Window: 70),
        new(Heads: 9, KvHeads: 1, HeadDim: 40, Scale: 0.3f, SoftCap: 3),
        new(Heads: 3, KvHeads: 3, HeadDim: 8, Scale: 0.5f, AlibiSlopes: [0.5f, 0.25f, 0.125f]),
        new(Heads: 2, KvHeads: 1, HeadDim: 20, Scale: 0.5f),
        new(Heads: 2, KvHeads: 1, HeadDim: 160, Scale: 0.2f),
    ];

    private bool IsSlow => device == "emulated";

    /// <summary>
    /// In chunks, among others, on pages, divided over many multiprocessors; and of the numbers all at once, alone, in one range. Those are what float64 arithmetic has, too.
    /// </summary>
    [Test, Pairwise]
    public void Has_the_bits_of_attention_to_what_the_codes_stand_for([ValueSource(nameof(Families))] string family, [ValueSource(nameof(Shapes))] AttentionShape shape, [Values(0, 4)] int tokensPerPage)
    {
        if (IsSlow && tokensPerPage == 0 && shape.HeadDim != 128) Assert.Ignore("Emulated, ranges are tried with one shape.");
        // Heads whose size is no multiple of 8 have the portable kernel, which is slow where warps have 32 lanes.
        bool isShort = IsSlow && shape.HeadDim % 8 != 0;
        int tokens = isShort ? 70 : IsSlow ? 140 : 600;
        (int First, int Length)[] chunks = isShort ? [(0, 33), (33, 1), (34, 35), (69, 1)] : IsSlow ? [(0, 65), (65, 1), (66, 73), (139, 1)] : [(0, 35), (35, 1), (36, 30), (66, 1), (67, 61), (128, 1), (129, 470), (599, 1)];
        using GpuBench plain = new(Create(family, multiprocessors: 1)), coded = new(Create(family, multiprocessors: 100), KvCacheType.Fp8);
        int outputs = shape.Heads * shape.HeadDim, queries = outputs;
        float[][] rows = [.. Enumerable.Range(0, tokens).Select(_ => Row(shape, coded))];
        plain.Begin((plain.Kv(Layers, shape, tokens), 0, tokens));
        GpuActivationsPair qkv = plain.Activations(tokens, rows[0].Length), expected = plain.Activations(tokens, outputs, operand: true, poisoned: true);
        for (int i = 0; i < tokens; i++)
        {
            float[] rounded = [.. rows[i]];
            RoundedHeads.Round(rounded.AsSpan(queries), shape.HeadDim);
            plain.Write(qkv, i, rounded);
        }
        plain.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, null, null, null, expected.Gpu);
        if (tokensPerPage != 0)
        {
            plain.Reference.Kernels.Attend(qkv.Reference, Layer, shape, null, null, null, expected.Reference);
            plain.AssertClose(expected, tokens, 2e-3);
        }

        GpuKvPair kv = coded.Kv(Layers, shape, tokens, tokensPerPage), other = coded.Kv(Layers, shape, 1);
        foreach ((int first, int length) in chunks)
        {
            coded.Begin((other, 0, 1), (kv, first, length));
            GpuActivationsPair some = coded.Activations(1 + length, rows[0].Length), found = coded.Activations(2 + length, outputs, operand: true, poisoned: true);
            for (int i = 0; i < length; i++) coded.Write(some, 1 + i, rows[first + i]);
            coded.Gpu.Kernels.Attend(some.Gpu, Layer, shape, null, null, null, found.Gpu);
            for (int i = 0; i < length; i++) Assert.That(coded.Row(found.Gpu, 1 + i), Is.EqualTo(plain.Row(expected.Gpu, first + i)), $"from {first}, row {i}");
            coded.AssertUntouched(found.Gpu, 1 + length);
        }
    }

    /// <summary>A multiprocessor takes the heads of several sequences, one after another, of some tiles or of one.</summary>
    [Test]
    public void Sequences_together_on_one_multiprocessor_have_the_bits_of_each_alone([ValueSource(nameof(Families))] string family, [Values(64, 128)] int headDim)
    {
        using GpuBench together = new(Create(family, multiprocessors: 1), KvCacheType.Fp8), alone = new(Create(family, multiprocessors: 100), KvCacheType.Fp8);
        AssertSame(together, alone, headDim);
    }

    /// <summary>As a GPU has them: of keys and values of both forms, each team with a ring and a warp that fills it.</summary>
    [Test]
    public void Two_teams_of_a_group_have_the_bits_of_one([Values] KvCacheType form)
    {
        if (device != "emulated") Assert.Ignore("A GPU's groups have two teams in every test.");
        using GpuBench two = new(new EmulatedDevice(tensorCores: true) { IsHopper = true, MaxGroupSize = 512 }, form), one = new(Create("sm_90a", multiprocessors: 1), form);
        AssertSame(two, one, headDim: 128);
    }

    private static void AssertSame(GpuBench together, GpuBench alone, int headDim)
    {
        AttentionShape shape = new(Heads: 6, KvHeads: 3, headDim, Scale: 0.3f);
        int[] positions = [68, 5, 64];
        float[][][] rows = [.. positions.Select(position => Enumerable.Range(0, position + 1).Select(_ => Row(shape, together)).ToArray())];
        GpuKvPair[] kvs = [.. positions.Select((position, i) => Fill(together, position, rows[i]))];
        GpuActivations found = Attend(together, [.. positions.Select((position, i) => (kvs[i], position, 1))], [.. rows.Select(own => own[^1])]);
        for (int i = 0; i < positions.Length; i++)
        {
            GpuActivations expected = Attend(alone, [(Fill(alone, positions[i], rows[i]), positions[i], 1)], [rows[i][^1]]);
            Assert.That(together.Row(found, i), Is.EqualTo(alone.Row(expected, 0)), $"sequence {i}");
        }

        GpuKvPair Fill(GpuBench bench, int tokens, float[][] own)
        {
            GpuKvPair kv = bench.Kv(Layers, shape, tokens + 1);
            Attend(bench, [(kv, 0, tokens)], own[..tokens]);
            return kv;
        }

        GpuActivations Attend(GpuBench bench, (GpuKvPair Kv, int First, int Length)[] chunks, float[][] inputs)
        {
            bench.Begin(chunks);
            GpuActivationsPair qkv = bench.Activations(inputs.Length, inputs[0].Length), y = bench.Activations(inputs.Length, shape.Heads * headDim, operand: true, poisoned: true);
            for (int i = 0; i < inputs.Length; i++) bench.Write(qkv, i, inputs[i]);
            bench.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, null, null, null, y.Gpu);
            return y.Gpu;
        }
    }

    [Test, Pairwise]
    public void Normalised_and_rotated_keys_are_rounded_once(
        [ValueSource(nameof(Families))] string family, [Values] bool norms, [Values("128/64", "80/40", "80/10", "40/20", "24/6", "8/4")] string head, [Values(1, 3)] int length)
    {
        if (IsSlow && norms != (length == 1) && family != "sm_90a") Assert.Ignore("Emulated, norms are tried with single tokens, and chunks without.");
        int dim = int.Parse(head.Split('/')[0]), pairs = int.Parse(head.Split('/')[1]);
        AttentionShape shape = new(Heads: 6, KvHeads: 3, dim, Scale: 0.3f);
        using GpuBench plain = new(Create(family, multiprocessors: 1)), coded = new(Create(family, multiprocessors: 1), KvCacheType.Fp8);
        RotaryParameters rotary = new([.. Enumerable.Range(0, pairs).Select(i => MathF.Pow(10_000, -(float)i / pairs))], 1.25f, Interleaved: false);
        GpuKvPair numbers = Store(plain), codes = Store(coded);
        for (int token = 0; token < length; token++)
        {
            Half[] expected = numbers.Gpu.Read(token);
            float[] found = codes.Gpu.ReadCodes(token, Layer);
            for (int i = 0; i < found.Length; i += dim)
            {
                float[] elements = [.. expected.AsSpan((Layer * found.Length) + i, dim).ToArray().Select(element => (float)element)];
                double least = RoundedHeads.Scale(elements) * Math.ScaleB(1, -10);
                for (int j = 0; j < dim; j++)
                    Assert.That(found[i + j], Is.EqualTo(elements[j]).Within((Math.Abs(elements[j]) * 0.063) + (1.01 * least)), $"token {token}, element {i + j}");
            }
        }

        GpuKvPair Store(GpuBench bench)
        {
            GpuKvPair kv = bench.Kv(Layers, shape, length);
            bench.Begin((kv, 0, length));
            GpuActivationsPair qkv = bench.Activations(length, 12 * dim), y = bench.Activations(length, 6 * dim, operand: true);
            Norm queryNorm = bench.Norm(dim, removeMean: false, bias: false).Gpu, keyNorm = bench.Norm(dim, removeMean: false, bias: false).Gpu;
            bench.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, bench.Keep(bench.Gpu.Tensors.CreateRotary(rotary)), norms ? queryNorm : null, norms ? keyNorm : null, y.Gpu);
            return kv;
        }
    }

    [Test, Pairwise]
    public void Elements_beyond_the_largest_become_it_and_what_is_not_a_number_stays_with_its_head(
        [ValueSource(nameof(Families))] string family, [Values(16, 20, 64)] int dim, [Values(1, 2)] int length)
    {
        AttentionShape shape = new(Heads: 2, KvHeads: 2, dim, Scale: 1e-3f);
        using GpuBench bench = new(Create(family, multiprocessors: 1), KvCacheType.Fp8);
        foreach ((float element, float expected) in ((float, float)[])[(float.PositiveInfinity, 57344), (-1e30f, -57344), (60000, 57344), (0, 0), (1e-30f, 0), (float.NaN, float.NaN)])
        {
            bench.Begin((bench.Kv(Layers, shape, length), 0, length));
            GpuActivationsPair qkv = bench.Activations(length, 6 * dim), y = bench.Activations(length, 2 * dim, operand: true, poisoned: true);
            float[] row = [.. Enumerable.Range(0, 6 * dim).Select(i => i / dim == 4 ? element : 0.25f)];
            for (int i = 0; i < length; i++) bench.Write(qkv, i, row);
            bench.Gpu.Kernels.Attend(qkv.Gpu, Layer, shape, null, null, null, y.Gpu);
            Assert.That(bench.Row(y.Gpu, length - 1)[..dim], Is.All.EqualTo(expected), $"{element}");
            Assert.That(bench.Row(y.Gpu, length - 1)[dim..], Is.All.EqualTo(0.25f), "the other head");
        }
    }

    private IGpuDevice Create(string family, int multiprocessors) =>
        GpuDevices.Create(device, multiprocessors, tensorCores: family != "portable", hopper: family == "sm_90a", architecture: family == "sm_90a" ? 90 : 80);

    /// <summary>Queries, and heads of keys and values of any size.</summary>
    private static float[] Row(AttentionShape shape, GpuBench bench)
    {
        float[] row = [.. Enumerable.Range(0, (shape.Heads + (2 * shape.KvHeads)) * shape.HeadDim).Select(_ => bench.NextValue())];
        for (int head = 0; head < 2 * shape.KvHeads; head++)
        {
            float size = MathF.ScaleB(1, bench.Random.Next(head < shape.KvHeads ? -20 : -26, 3));
            foreach (ref float element in row.AsSpan((shape.Heads + head) * shape.HeadDim, shape.HeadDim)) element *= size;
        }
        return row;
    }
}
