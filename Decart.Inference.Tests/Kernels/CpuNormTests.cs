using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels;

internal sealed class CpuNormTests
{
    private const int Tokens = 5;

    [Test]
    public void Norms_of_all_kinds_and_odd_lengths_agree_with_the_reference(
        [Values] bool removeMean, [Values] bool bias, [Values(1, 7, 16, 33, 80, 257, 4096)] int columns, [Values] SimdWidth width)
    {
        using KernelBench bench = new(width);
        bench.Begin(Tokens);
        var norm = bench.Norm(columns, removeMean, bias);
        ActivationsPair x = bench.Activations(Tokens, columns), y = bench.Activations(Tokens, columns, poisoned: true);

        bench.Cpu.Normalise(norm.Cpu, x.Cpu, y.Cpu);
        bench.Reference.Normalise(norm.Reference, x.Reference, y.Reference);

        KernelBench.AssertClose(y, Tokens, 2e-6);
    }

    [Test]
    public void A_delta_is_added_to_the_residual_before_the_norm([Values(7, 33, 576)] int columns, [Values] SimdWidth width)
    {
        using KernelBench bench = new(width);
        bench.Begin(Tokens);
        var norm = bench.Norm(columns, removeMean: false, bias: false);
        ActivationsPair residual = bench.Activations(Tokens, columns), delta = bench.Activations(Tokens, columns);
        ActivationsPair y = bench.Activations(Tokens, columns, poisoned: true);

        bench.Cpu.AddNormalise(residual.Cpu, delta.Cpu, norm.Cpu, y.Cpu);
        bench.Reference.AddNormalise(residual.Reference, delta.Reference, norm.Reference, y.Reference);

        KernelBench.AssertClose(residual, Tokens, 1e-6);
        KernelBench.AssertClose(y, Tokens, 2e-6);
    }

    [Test]
    public void A_normalised_delta_is_added_to_the_residual([Values(7, 33, 576)] int columns, [Values] SimdWidth width)
    {
        using KernelBench bench = new(width);
        bench.Begin(Tokens);
        var norm = bench.Norm(columns, removeMean: false, bias: false);
        ActivationsPair residual = bench.Activations(Tokens, columns), delta = bench.Activations(Tokens, columns);

        bench.Cpu.NormaliseAdd(norm.Cpu, delta.Cpu, residual.Cpu);
        bench.Reference.NormaliseAdd(norm.Reference, delta.Reference, residual.Reference);

        KernelBench.AssertClose(residual, Tokens, 2e-6);
    }

    [Test]
    public void Rows_beyond_the_batch_are_left_alone([Values] SimdWidth width)
    {
        using KernelBench bench = new(width);
        bench.Begin(Tokens - 1);
        var norm = bench.Norm(48, removeMean: false, bias: false);
        ActivationsPair x = bench.Activations(Tokens, 48), y = bench.Activations(Tokens, 48, poisoned: true);

        bench.Cpu.Normalise(norm.Cpu, x.Cpu, y.Cpu);

        Assert.That(KernelBench.Row(y.Cpu, Tokens - 1).ToArray(), Is.All.NaN);
    }

    [Test]
    public void A_row_has_the_same_bits_alone_and_among_many_on_any_number_of_threads([Values] SimdWidth width)
    {
        const int Columns = 2050, Many = 40;
        int[]? expected = null;
        foreach (int threads in (int[])[1, 3])
        {
            using KernelBench bench = new(width, threads);
            var norm = bench.Norm(Columns, removeMean: true, bias: true);
            ActivationsPair x = bench.Activations(Many, Columns), y = bench.Activations(Many, Columns, poisoned: true);
            bench.Begin(Many);
            bench.Cpu.Normalise(norm.Cpu, x.Cpu, y.Cpu);
            expected ??= KernelBench.Bits(y.Cpu, 0, 1);
            Assert.That(KernelBench.Bits(y.Cpu, 0, 1), Is.EqualTo(expected));

            bench.Begin(1);
            bench.Cpu.Normalise(norm.Cpu, x.Cpu, y.Cpu);
            Assert.That(KernelBench.Bits(y.Cpu, 0, 1), Is.EqualTo(expected));
        }
    }
}
