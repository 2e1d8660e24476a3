using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Packed;

namespace Decart.Inference.Tests.Kernels.Gpu;

[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuExpertsTests(string device)
{
    public const int Hidden = 40, Count = 6;

    private const int Intermediate = 24, PackedExperts = 3;

    /// <summary>The matmuls that experts may have: the portable one, that of sm_80, that of sm_90a.</summary>
    internal enum MatMuls
    {
        Portable,
        Sm80,
        Hopper,
    }

    /// <summary>Blocks of all sizes that a kernel has, some of one expert after another.</summary>
    [Test]
    public void Mixtures_agree_with_the_reference([Values] MatMuls matMuls, [Values] bool renormalise, [Values(1, 2, 6)] int perToken, [Values(1, 7)] int tokens)
    {
        using GpuBench bench = new(Create(matMuls));
        AssertAgrees(bench, Create(bench, perToken, renormalise), tokens);
    }

    /// <summary>Experts with several blocks, and some with none.</summary>
    [Test]
    public void Mixtures_of_many_tokens_agree_with_the_reference([Values] MatMuls matMuls, [Values(30, 150, 700)] int tokens)
    {
        if (device == "emulated" && tokens > 30) Assert.Ignore("Emulated mixtures of many tokens take minutes.");
        using GpuBench bench = new(Create(matMuls));
        AssertAgrees(bench, Create(bench, perToken: 2, renormalise: true), tokens);
    }

    /// <summary>
    /// Steps of other sizes one after another in the same memory, of widths with padding everywhere; decode steps of fewer tokens than launches are sized for; fewer blocks than groups;
    /// and a step of no rows, which touches nothing.
    /// </summary>
    [Test]
    public void Steps_of_other_sizes_follow_each_other([Values] MatMuls matMuls, [Values(40, 136)] int hidden)
    {
        const int Number = 5, Inner = 56;
        using GpuBench bench = new(Create(matMuls));
        (Weight Gpu, Weight Reference)[] gateUp = [.. Enumerable.Range(0, Number).Select(_ => bench.Weight(gated: true, bench.Tensor(TensorType.F16, 2 * Inner, hidden)))];
        (Weight Gpu, Weight Reference)[] down = [.. Enumerable.Range(0, Number).Select(_ => bench.Weight(bench.Tensor(TensorType.F16, hidden, Inner)))];
        Experts gpu = new([.. gateUp.Select(pair => pair.Gpu)], [.. down.Select(pair => pair.Gpu)], 2, true, ActivationFunction.Silu);
        Experts reference = new([.. gateUp.Select(pair => pair.Reference)], [.. down.Select(pair => pair.Reference)], 2, true, ActivationFunction.Silu);
        foreach ((int tokens, bool decode) in ((int, bool)[])[(20, false), (7, false), (3, true), (5, true), (1, true), (9, true), (12, false), (1, false)])
        {
            if (decode) bench.Begin([.. Enumerable.Range(0, tokens).Select(_ => (bench.Kv(1, new AttentionShape(1, 1, 1, 1), 1), 0, 1))]);
            else bench.Begin(tokens);
            GpuActivationsPair x = bench.Activations(tokens, hidden, operand: true), logits = bench.Activations(tokens, Number), y = bench.Activations(tokens + 1, hidden);
            float[] beyond = bench.Row(y.Gpu, tokens);

            bench.Gpu.Kernels.MixExperts(x.Gpu, logits.Gpu, gpu, y.Gpu);
            bench.Reference.Kernels.MixExperts(x.Reference, logits.Reference, reference, y.Reference);

            bench.AssertClose(y, tokens, 8e-2);
            Assert.That(bench.Row(y.Gpu, tokens), Is.EqualTo(beyond));
        }
        bench.Gpu.Step.BeginEmpty(decode: true, capacity: 8);
        GpuActivationsPair none = bench.Activations(8, hidden, operand: true), noLogits = bench.Activations(8, Number), untouched = bench.Activations(8, hidden);
        float[][] before = [.. Enumerable.Range(0, 8).Select(row => bench.Row(untouched.Gpu, row))];
        bench.Gpu.Kernels.MixExperts(none.Gpu, noLogits.Gpu, gpu, untouched.Gpu);
        Assert.That(Enumerable.Range(0, 8).Select(row => bench.Row(untouched.Gpu, row)), Is.EqualTo(before));
    }

    /// <summary>Whatever experts tokens choose, there is room for their blocks; and never more for fewer tokens.</summary>
    [Test]
    public void There_is_room_for_all_blocks([Values(8, 64, 128)] int maxRows, [Values(1, 3, 8, 128)] int experts, [Values(1, 2, 8)] int perToken)
    {
        int before = 0, chosen = Math.Min(perToken, experts);
        for (int tokens = 1; tokens <= 700; tokens++)
        {
            ExpertBlockPlan plan = ExpertBlockPlan.Create(tokens * chosen, experts, maxRows);
            // As many experts as can be have one row more than fills their blocks.
            int pairs = tokens * chosen, most = 0;
            for (int used = 1; used <= Math.Min(pairs, experts); used++) most = Math.Max(most, used + ((pairs - used) / plan.Rows));
            Assert.That(plan.Most, Is.GreaterThanOrEqualTo(Math.Min(most, pairs)), $"{tokens} tokens");
            Assert.That(plan.MostRows, Is.GreaterThanOrEqualTo(before), $"{tokens} tokens");
            Assert.That(plan.Rows, Is.InRange(8, maxRows));
            before = plan.MostRows;
        }
    }

    /// <summary>Weights that stay in the bits of their file, of formats with kernels of their own for few rows and without.</summary>
    [Test]
    public void Packed_experts_have_the_bits_of_widened_ones([Values(TensorType.Q4_K, TensorType.Q8_0, TensorType.Int4x64)] TensorType type, [Values(1, 5, 40, 300)] int tokens)
    {
        if (device == "emulated" && tokens != 5) Assert.Ignore("Emulated mixtures take long: one number of tokens is enough there.");
        AssertSameExperts(type, tokens, columns: 256, inner: type == TensorType.Q4_K ? 256 : 192, multiprocessors: 3);
    }

    /// <summary>Experts' tiles are passes one after the other, and a last stage has fewer pieces.</summary>
    [Test]
    public void Packed_experts_of_many_passes_have_the_bits_of_widened_ones([Values(TensorType.Q8_0, TensorType.Int8x64)] TensorType type, [Values(2, 40, 300)] int tokens)
    {
        if (device == "emulated" && tokens != 2) Assert.Ignore("Emulated mixtures take long: one number of tokens is enough there.");
        AssertSameExperts(type, tokens, columns: 320, inner: 640, multiprocessors: 1);
    }

    /// <summary>The same of so few tiles that groups hand sums on, in two or three turns a pass: the next pass's begin with another group.</summary>
    [Test]
    public void Packed_experts_of_few_tiles_have_the_bits_of_widened_ones([Values(TensorType.Q8_0, TensorType.Int4x32)] TensorType type, [Values(2, 30)] int tokens)
    {
        const int Columns = 640, Inner = 32;
        ExpertBlockPlan blocks = ExpertBlockPlan.Create(2 * tokens, PackedExperts, ExpertBlockPlan.MaxRows);
        GpuRingPlan plan = GpuRingPlan.Experts(blocks, 2 * Inner, Columns, multiprocessors: 1, PackedFormat.Of(type));
        Assert.That((plan.TilesPerPass <= 4, blocks.Rows <= 32, plan.Groups), Is.EqualTo((true, true, 1)));
        AssertSameExperts(type, tokens, Columns, Inner, multiprocessors: 1);
    }

    private void AssertSameExperts(TensorType type, int tokens, int columns, int inner, int multiprocessors)
    {
        using GpuBench bench = new(GpuDevices.Create(device, multiprocessors: multiprocessors, tensorCores: true, hopper: true, packs: true));
        bench.Begin(tokens);
        StoredTensor[] gateUps = [.. Enumerable.Range(0, PackedExperts).Select(_ => bench.Tensor(type, 2 * inner, columns))];
        StoredTensor[] downs = [.. Enumerable.Range(0, PackedExperts).Select(_ => bench.Tensor(type, columns, inner))];
        GpuActivationsPair x = bench.Activations(tokens, columns, operand: true), logits = bench.Activations(tokens, PackedExperts);
        float[][] packed = Mix(packs: true), widened = Mix(packs: false);
        Assert.That(packed, Is.EqualTo(widened));

        float[][] Mix(bool packs)
        {
            Weight[] gateUp = [.. gateUps.Select(tensor => bench.Keep(bench.Gpu.Tensors.CreateWeight(new WeightParts("test", tensor) { Gated = true, MustBeWidened = !packs, IsExpert = true })))];
            Weight[] down = [.. downs.Select(tensor => bench.Keep(bench.Gpu.Tensors.CreateWeight(new WeightParts("test", tensor) { MustBeWidened = !packs, IsExpert = true })))];
            Assert.That(gateUp.Concat(down), Is.All.InstanceOf(packs ? typeof(GpuPackedWeight) : typeof(GpuWeight)));
            GpuActivationsPair y = bench.Activations(tokens, columns);
            for (int row = 0; row < tokens; row++) bench.Write(y, row, new float[columns]);
            bench.Gpu.Kernels.MixExperts(x.Gpu, logits.Gpu, new Experts(gateUp, down, 2, true, ActivationFunction.Silu), y.Gpu);
            return [.. Enumerable.Range(0, tokens).Select(row => bench.Row(y.Gpu, row))];
        }
    }

    [Test]
    public void Experts_read_float32_without_a_norm_too()
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(3);
        var experts = Create(bench, perToken: 2, renormalise: true);
        GpuActivationsPair x = bench.Activations(3, Hidden), logits = bench.Activations(3, Count), y = bench.Activations(3, Hidden);

        bench.Gpu.Kernels.MixExperts(x.Gpu, logits.Gpu, experts.Gpu, y.Gpu);
        bench.Reference.Kernels.MixExperts(x.Reference, logits.Reference, experts.Reference, y.Reference);

        bench.AssertClose(y, 3, 1e-2);
    }

    [Test]
    public void What_is_made_of_the_normalised_residual_is_added_to_it()
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(5);
        var experts = Create(bench, perToken: 2, renormalise: true);
        var norm = bench.Norm(Hidden, removeMean: false, bias: false);
        GpuActivationsPair residual = bench.Activations(6, Hidden), logits = bench.Activations(5, Count);
        GpuActivationsPair normalised = bench.Activations(5, Hidden, operand: true, poisoned: true);
        float[] beyond = bench.Row(residual.Gpu, 5);

        bench.Gpu.Kernels.Normalise(norm.Gpu, residual.Gpu, normalised.Gpu);
        bench.Gpu.Kernels.MixExperts(normalised.Gpu, logits.Gpu, experts.Gpu, residual.Gpu);
        bench.Reference.Kernels.Normalise(norm.Reference, residual.Reference, normalised.Reference);
        bench.Reference.Kernels.MixExperts(normalised.Reference, logits.Reference, experts.Reference, residual.Reference);

        bench.AssertClose(residual, 5, 3e-2);
        Assert.That(bench.Row(residual.Gpu, 5), Is.EqualTo(beyond));
    }

    [Test]
    public void Of_equally_probable_experts_the_first_are_chosen()
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(3);
        var experts = Create(bench, perToken: 2, renormalise: true);
        GpuActivationsPair x = bench.Activations(3, Hidden, operand: true), logits = bench.Activations(3, Count);
        GpuActivationsPair y = bench.Activations(3, Hidden);
        bench.Write(logits, 0, [1, 1, 1, 1, 1, 1]);
        bench.Write(logits, 1, [0, 2, 0, 2, 2, 0]);
        bench.Write(logits, 2, [3, float.NegativeInfinity, float.NegativeInfinity, float.NegativeInfinity, float.NegativeInfinity, 2]);

        bench.Gpu.Kernels.MixExperts(x.Gpu, logits.Gpu, experts.Gpu, y.Gpu);
        bench.Reference.Kernels.MixExperts(x.Reference, logits.Reference, experts.Reference, y.Reference);

        bench.AssertClose(y, 3, 1e-2);
    }

    [Test]
    public void A_token_has_the_same_bits_alone_and_among_others([Values] MatMuls matMuls)
    {
        using GpuBench bench = new(Create(matMuls));
        var experts = Create(bench, perToken: 3, renormalise: false);
        GpuActivationsPair x = bench.Activations(9, Hidden, operand: true), logits = bench.Activations(9, Count);
        GpuActivationsPair y = bench.Activations(9, Hidden);
        float[][] before = [.. Enumerable.Range(0, 9).Select(row => bench.Row(y.Gpu, row))];
        bench.Begin(9);
        bench.Gpu.Kernels.MixExperts(x.Gpu, logits.Gpu, experts.Gpu, y.Gpu);
        for (int token = 0; token < 9; token++)
        {
            GpuActivationsPair x1 = bench.Activations(1, Hidden, operand: true), logits1 = bench.Activations(1, Count);
            GpuActivationsPair y1 = bench.Activations(1, Hidden);
            bench.Begin(1);
            bench.Write(x1, 0, bench.Row(x.Gpu, token));
            bench.Write(logits1, 0, bench.Row(logits.Gpu, token));
            bench.Write(y1, 0, before[token]);
            bench.Gpu.Kernels.MixExperts(x1.Gpu, logits1.Gpu, experts.Gpu, y1.Gpu);
            Assert.That(bench.Row(y1.Gpu, 0), Is.EqualTo(bench.Row(y.Gpu, token)), $"token {token}");
        }
    }

    [Test]
    public void Logits_that_are_not_numbers_harm_no_other_token()
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(2);
        var experts = Create(bench, perToken: 2, renormalise: true);
        GpuActivationsPair x = bench.Activations(2, Hidden, operand: true), logits = bench.Activations(2, Count);
        GpuActivationsPair y = bench.Activations(2, Hidden);
        bench.Reference.Kernels.MixExperts(x.Reference, logits.Reference, experts.Reference, y.Reference);
        bench.Write(logits, 0, [float.NaN, float.NaN, float.NaN, float.NaN, float.NaN, float.NaN]);

        bench.Gpu.Kernels.MixExperts(x.Gpu, logits.Gpu, experts.Gpu, y.Gpu);

        bench.AssertClose(y, 2, 1e-2, firstRow: 1);
    }

    /// <summary>Floats of 8 bits on both sides are for weights that are multiplied by themselves.</summary>
    [Test]
    public void Experts_have_activations_of_16_bits()
    {
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: true, hopper: true, packs: true), eightBitActivations: true);
        StoredTensor tensor = bench.Tensor(TensorType.E4M3x64, 16, 64);
        Assert.That(Create(isExpert: false), Is.TypeOf<GpuCodeWeight>());
        Assert.That(Create(isExpert: true), Is.TypeOf<GpuPackedWeight>());

        Weight Create(bool isExpert) => bench.Keep(bench.Gpu.Tensors.CreateWeight(new WeightParts("test", tensor) { IsExpert = isExpert }));
    }

    /// <summary>A table has weights of one form.</summary>
    [Test]
    public void Experts_of_several_forms_are_refused()
    {
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: true, hopper: true, packs: true));
        Weight packed = Create(TensorType.Q8_0, packs: true);
        Assert.That(() => new GpuExpertWeights(bench.Device, [packed, Create(TensorType.Q4_0, packs: true)]), Throws.ArgumentException);
        Assert.That(() => new GpuExpertWeights(bench.Device, [packed, Create(TensorType.Q8_0, packs: false)]), Throws.ArgumentException);
        using GpuExpertWeights alike = new(bench.Device, [packed, Create(TensorType.Q8_0, packs: true)]);
        Assert.That(alike.Format!.Type, Is.EqualTo(TensorType.Q8_0));

        Weight Create(TensorType type, bool packs) => bench.Keep(bench.Gpu.Tensors.CreateWeight(new WeightParts("test", bench.Tensor(type, 16, 128)) { MustBeWidened = !packs, IsExpert = true }));
    }

    private static void AssertAgrees(GpuBench bench, (Experts Gpu, Experts Reference) experts, int tokens)
    {
        bench.Begin(tokens);
        GpuActivationsPair x = bench.Activations(tokens, Hidden, operand: true), logits = bench.Activations(tokens, Count), y = bench.Activations(tokens, Hidden);

        bench.Gpu.Kernels.MixExperts(x.Gpu, logits.Gpu, experts.Gpu, y.Gpu);
        bench.Reference.Kernels.MixExperts(x.Reference, logits.Reference, experts.Reference, y.Reference);

        bench.AssertClose(y, tokens, 1e-2);
    }

    private IGpuDevice Create(MatMuls matMuls) =>
        GpuDevices.Create(device, multiprocessors: 3, tensorCores: matMuls != MatMuls.Portable, hopper: matMuls == MatMuls.Hopper, architecture: matMuls == MatMuls.Hopper ? 90 : 80);

    public static (Experts Gpu, Experts Reference) Create(GpuBench bench, int perToken, bool renormalise)
    {
        (Weight Gpu, Weight Reference)[] gateUp = Weights(TensorType.BF16, 2 * Intermediate, Hidden, gated: true);
        (Weight Gpu, Weight Reference)[] down = Weights(TensorType.F16, Hidden, Intermediate, gated: false);
        return (
            new([.. gateUp.Select(pair => pair.Gpu)], [.. down.Select(pair => pair.Gpu)], perToken, renormalise, ActivationFunction.Silu),
            new([.. gateUp.Select(pair => pair.Reference)], [.. down.Select(pair => pair.Reference)], perToken, renormalise, ActivationFunction.Silu));

        (Weight Gpu, Weight Reference)[] Weights(TensorType type, int rows, int columns, bool gated) =>
            [.. Enumerable.Range(0, Count).Select(_ => bench.Weight(gated, bench.Tensor(type, rows, columns)))];
    }
}
