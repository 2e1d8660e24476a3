using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;

namespace Decart.Inference.Tests.Kernels.Gpu;

[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuExpertsTests(string device)
{
    public const int Hidden = 40, Count = 6;

    private const int Intermediate = 24;

    [Test]
    public void Mixtures_agree_with_the_reference([Values] bool renormalise, [Values(1, 2, 6)] int perToken, [Values(1, 7)] int tokens)
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(tokens);
        var experts = Create(bench, perToken, renormalise);
        GpuActivationsPair x = bench.Activations(tokens, Hidden, operand: true), logits = bench.Activations(tokens, Count);
        GpuActivationsPair y = bench.Activations(tokens, Hidden);

        bench.Gpu.Kernels.MixExperts(x.Gpu, logits.Gpu, experts.Gpu, y.Gpu);
        bench.Reference.Kernels.MixExperts(x.Reference, logits.Reference, experts.Reference, y.Reference);

        bench.AssertClose(y, tokens, 1e-2);
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
    public void A_token_has_the_same_bits_alone_and_among_others()
    {
        using GpuBench bench = new(GpuDevices.Create(device));
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
