using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels;

internal sealed class CpuExpertsTests
{
    private const int Hidden = 40, Intermediate = 24, Count = 6;

    [Test]
    public void Mixtures_agree_with_the_reference(
        [Values] bool renormalise, [Values(1, 2, 6)] int perToken, [Values(1, 9)] int tokens, [Values] SimdWidth width)
    {
        using KernelBench bench = new(width);
        bench.Begin(tokens);
        var experts = Create(bench, perToken, renormalise);
        ActivationsPair x = bench.Activations(tokens, Hidden), logits = bench.Activations(tokens, Count);
        ActivationsPair y = bench.Activations(tokens, Hidden);

        bench.Cpu.Kernels.MixExperts(x.Cpu, logits.Cpu, experts.Cpu, y.Cpu);
        bench.Reference.Kernels.MixExperts(x.Reference, logits.Reference, experts.Reference, y.Reference);

        KernelBench.AssertClose(y, tokens, 1e-5);
    }

    [Test]
    public void Of_equally_probable_experts_the_first_are_chosen([Values] SimdWidth width)
    {
        using KernelBench bench = new(width);
        bench.Begin(3);
        var experts = Create(bench, perToken: 2, renormalise: true);
        ActivationsPair x = bench.Activations(3, Hidden), logits = bench.Activations(3, Count), y = bench.Activations(3, Hidden);
        for (int row = 0; row < 3; row++)
        {
            KernelBench.Row(logits.Cpu, row).Fill(row);
            logits.Reference.Row(row).Fill(row);
        }

        bench.Cpu.Kernels.MixExperts(x.Cpu, logits.Cpu, experts.Cpu, y.Cpu);
        bench.Reference.Kernels.MixExperts(x.Reference, logits.Reference, experts.Reference, y.Reference);

        KernelBench.AssertClose(y, 3, 1e-5);
    }

    [Test]
    public void A_token_has_the_same_bits_alone_and_among_others([Values] SimdWidth width)
    {
        using KernelBench bench = new(width, threads: 3);
        var experts = Create(bench, perToken: 3, renormalise: false);
        ActivationsPair x = bench.Activations(17, Hidden), logits = bench.Activations(17, Count), y = bench.Activations(17, Hidden);
        float[][] before = [.. Enumerable.Range(0, 17).Select(row => KernelBench.Row(y.Cpu, row).ToArray())];
        bench.Begin(17);
        bench.Cpu.Kernels.MixExperts(x.Cpu, logits.Cpu, experts.Cpu, y.Cpu);
        for (int token = 0; token < 17; token++)
        {
            ActivationsPair x1 = bench.Activations(1, Hidden), logits1 = bench.Activations(1, Count), y1 = bench.Activations(1, Hidden);
            bench.Begin(1);
            KernelBench.Row(x.Cpu, token).CopyTo(KernelBench.Row(x1.Cpu, 0));
            KernelBench.Row(logits.Cpu, token).CopyTo(KernelBench.Row(logits1.Cpu, 0));
            before[token].CopyTo(KernelBench.Row(y1.Cpu, 0));
            bench.Cpu.Kernels.MixExperts(x1.Cpu, logits1.Cpu, experts.Cpu, y1.Cpu);
            Assert.That(KernelBench.Bits(y1.Cpu, 0, 1), Is.EqualTo(KernelBench.Bits(y.Cpu, token, 1)));
        }
    }

    private static (Experts Cpu, Experts Reference) Create(KernelBench bench, int perToken, bool renormalise)
    {
        StoredTensor[] gateUp = [.. Enumerable.Range(0, Count).Select(_ => bench.Tensor(TensorType.F32, 2 * Intermediate, Hidden))];
        StoredTensor[] down = [.. Enumerable.Range(0, Count).Select(_ => bench.Tensor(TensorType.BF16, Hidden, Intermediate))];
        return (For(bench.Cpu), For(bench.Reference));
        Experts For(IBackend backend) => new(
            [.. gateUp.Select(tensor => backend.Tensors.CreateWeight([tensor]))], [.. down.Select(tensor => backend.Tensors.CreateWeight([tensor]))],
            perToken, renormalise, ActivationFunction.Silu);
    }
}
