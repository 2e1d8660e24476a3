using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels;

internal sealed class CpuNormTests
{
    private const int Tokens = 5;

    [Test]
    public void Norms_of_all_kinds_and_odd_lengths_are_added_to_the_residual(
        [Values] bool removeMean, [Values] bool bias, [Values(1, 7, 16, 33, 80, 257, 4096)] int columns, [Values] SimdWidth width)
    {
        using KernelBench bench = new(width);
        bench.Begin(Tokens);
        var norm = bench.Norm(columns, removeMean, bias);
        ActivationsPair delta = bench.Activations(Tokens, columns), residual = bench.Activations(Tokens, columns);

        bench.Cpu.Kernels.NormaliseAdd(norm.Cpu, delta.Cpu, residual.Cpu);
        bench.Reference.Kernels.NormaliseAdd(norm.Reference, delta.Reference, residual.Reference);

        KernelBench.AssertClose(residual, Tokens, 2e-6);
    }

    [Test]
    public void What_several_operations_read_is_normalised_once(
        [Values] bool removeMean, [Values] bool bias, [Values(1, 33, 257)] int columns, [Values] SimdWidth width)
    {
        using KernelBench bench = new(width);
        bench.Begin(Tokens);
        var norm = bench.Norm(columns, removeMean, bias);
        ActivationsPair x = bench.Activations(Tokens, columns), y = bench.Activations(Tokens + 1, columns, poisoned: true);

        bench.Cpu.Kernels.Normalise(norm.Cpu, x.Cpu, y.Cpu);
        bench.Reference.Kernels.Normalise(norm.Reference, x.Reference, y.Reference);

        KernelBench.AssertClose(y, Tokens, 2e-6);
        Assert.That(KernelBench.Row(y.Cpu, Tokens).ToArray(), Is.All.NaN);
    }

    [Test]
    public void A_matmul_normalises_its_input([Values] bool removeMean, [Values(7, 33, 576)] int columns, [Values] SimdWidth width)
    {
        using KernelBench bench = new(width);
        bench.Begin(Tokens);
        var norm = bench.Norm(columns, removeMean, bias: removeMean);
        StoredTensor weight = bench.Tensor(TensorType.F32, 9, columns);
        ActivationsPair x = bench.Activations(Tokens, columns), y = bench.Activations(Tokens, 9, poisoned: true);
        int[] before = KernelBench.Bits(x.Cpu, 0, Tokens);

        bench.Cpu.Kernels.MatMul(x.Cpu, norm.Cpu, bench.Cpu.Tensors.CreateWeight([weight]), default, y.Cpu);
        bench.Reference.Kernels.MatMul(x.Reference, norm.Reference, bench.Reference.Tensors.CreateWeight([weight]), default, y.Reference);

        KernelBench.AssertClose(y, Tokens, 1e-5);
        Assert.That(KernelBench.Bits(x.Cpu, 0, Tokens), Is.EqualTo(before), "the residual stays as it is");
    }

    [Test]
    public void Logits_are_made_of_the_rows_that_want_them([Values] SimdWidth width)
    {
        using KernelBench bench = new(width);
        AttentionShape shape = new(1, 1, 1, 1);
        bench.Begin((bench.Kv(1, shape, 2), 0, 2), (bench.Kv(1, shape, 1), 0, 1), (bench.Kv(1, shape, 3), 0, 3));
        var norm = bench.Norm(40, removeMean: false, bias: false);
        StoredTensor weight = bench.Tensor(TensorType.BF16, 11, 40);
        ActivationsPair x = bench.Activations(6, 40), y = bench.Activations(4, 11, poisoned: true);

        bench.Cpu.Kernels.Logits(x.Cpu, norm.Cpu, bench.Cpu.Tensors.CreateWeight([weight]), new Epilogue(SoftCap: 3), y.Cpu);
        bench.Reference.Kernels.Logits(x.Reference, norm.Reference, bench.Reference.Tensors.CreateWeight([weight]), new Epilogue(SoftCap: 3), y.Reference);

        KernelBench.AssertClose(y, 3, 1e-5);
        Assert.That(KernelBench.Row(y.Cpu, 3).ToArray(), Is.All.NaN);
    }

    [Test]
    public void Rows_beyond_the_batch_are_left_alone([Values] SimdWidth width)
    {
        using KernelBench bench = new(width);
        bench.Begin(Tokens - 1);
        var norm = bench.Norm(48, removeMean: false, bias: false);
        ActivationsPair x = bench.Activations(Tokens, 48), y = bench.Activations(Tokens, 48, poisoned: true);

        bench.Cpu.Kernels.NormaliseAdd(norm.Cpu, x.Cpu, y.Cpu);

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
            ActivationsPair x = bench.Activations(Many, Columns), y = bench.Activations(Many, Columns), alone = bench.Activations(1, Columns);
            KernelBench.Row(y.Cpu, 0).CopyTo(KernelBench.Row(alone.Cpu, 0));
            bench.Begin(Many);
            bench.Cpu.Kernels.NormaliseAdd(norm.Cpu, x.Cpu, y.Cpu);
            expected ??= KernelBench.Bits(y.Cpu, 0, 1);
            Assert.That(KernelBench.Bits(y.Cpu, 0, 1), Is.EqualTo(expected));

            bench.Begin(1);
            bench.Cpu.Kernels.NormaliseAdd(norm.Cpu, x.Cpu, alone.Cpu);
            Assert.That(KernelBench.Bits(alone.Cpu, 0, 1), Is.EqualTo(expected));
        }
    }
}
