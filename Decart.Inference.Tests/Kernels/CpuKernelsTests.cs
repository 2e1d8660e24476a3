using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels;

internal sealed unsafe class CpuKernelsTests
{
    [Test]
    public void Embeddings_are_rows_of_the_table_times_a_scale(
        [Values(TensorType.F32, TensorType.F16, TensorType.BF16)] TensorType type, [Values(1f, 5.5f)] float scale)
    {
        using KernelBench bench = new(SimdWidths.Machine);
        bench.Begin(6);
        StoredTensor table = bench.Tensor(type, 10, 37);
        ActivationsPair x = bench.Activations(6, 37, poisoned: true);

        bench.Cpu.Kernels.Embed(bench.Cpu.Tensors.CreateWeight([table]), scale, x.Cpu);
        bench.Reference.Kernels.Embed(bench.Reference.Tensors.CreateWeight([table]), scale, x.Reference);

        KernelBench.AssertClose(x, 6, 1e-6);
    }

    [Test]
    public void Vectors_join_their_parts_and_add_the_offset()
    {
        using KernelBench bench = new(SimdWidths.Machine);
        StoredTensor[] parts = [bench.Tensor(TensorType.F32, 5), bench.Tensor(TensorType.BF16, 3, 17), bench.Tensor(TensorType.F16, 1)];
        using CpuWeightVector vector = (CpuWeightVector)bench.Cpu.Tensors.CreateVector(parts, 1);
        ReferenceVector expected = (ReferenceVector)bench.Reference.Tensors.CreateVector(parts, 1);
        Assert.That(new Span<float>(vector.Pointer, vector.Length).ToArray(), Is.EqualTo(expected.Values.Select(value => (float)value)));
    }

    [Test]
    public void Rows_are_read()
    {
        using KernelBench bench = new(SimdWidths.Machine);
        ActivationsPair x = bench.Activations(7, 21);
        float[] row = new float[21];
        bench.Cpu.Read(x.Cpu, 3, row);
        Assert.That(row, Is.EqualTo(KernelBench.Row(x.Cpu, 3).ToArray()));
        Assert.That(() => bench.Cpu.Read(x.Cpu, 7, row), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void A_matmul_takes_bias_function_and_rows_from_the_operation([Values] SimdWidth width)
    {
        using KernelBench bench = new(width);
        StoredTensor weight = bench.Tensor(TensorType.F32, 50, 33), bias = bench.Tensor(TensorType.F32, 50);
        bench.Begin(4);
        ActivationsPair x = bench.Activations(5, 33), y = bench.Activations(5, 25, poisoned: true);

        bench.Cpu.Kernels.MatMul(x.Cpu, null, bench.Cpu.Tensors.CreateWeight([weight]), Epilogue(bench.Cpu), y.Cpu);
        bench.Reference.Kernels.MatMul(x.Reference, null, bench.Reference.Tensors.CreateWeight([weight]), Epilogue(bench.Reference), y.Reference);

        KernelBench.AssertClose(y, 4, 1e-5);
        Assert.That(KernelBench.Row(y.Cpu, 4).ToArray(), Is.All.NaN);
        Epilogue Epilogue(IBackend backend) =>
            new(Bias: (WeightVector)bench.Keep(backend.Tensors.CreateVector([bias])), Function: ActivationFunction.GeluTanh, Gated: true);
    }

    [Test]
    public void Sizes_beyond_the_address_space_are_refused()
    {
        Assert.That(() => new CpuBuffer<float>(long.MaxValue / 2), Throws.TypeOf<OverflowException>());
        Assert.That(() => new CpuBuffer<float>(-1), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void An_operation_before_the_first_step_is_refused()
    {
        using KernelBench bench = new(SimdWidths.Machine);
        var norm = bench.Norm(4, removeMean: false, bias: false);
        ActivationsPair x = bench.Activations(1, 4);
        Assert.That(() => bench.Cpu.Kernels.NormaliseAdd(norm.Cpu, x.Cpu, x.Cpu), Throws.InvalidOperationException);
    }

    [Test]
    public void Disposing_twice_does_no_harm()
    {
        CpuBackend backend = new(2);
        backend.Dispose();
        Assert.That(backend.Dispose, Throws.Nothing);
    }

    [Test]
    public void An_empty_batch_is_no_work()
    {
        AttentionShape shape = new(Heads: 2, KvHeads: 1, HeadDim: 8, Scale: 1);
        using KernelBench bench = new(SimdWidths.Machine);
        var norm = bench.Norm(16, removeMean: false, bias: false);
        ActivationsPair qkv = bench.Activations(1, 32), x = bench.Activations(1, 16, poisoned: true);
        bench.Begin();
        bench.Cpu.Kernels.NormaliseAdd(norm.Cpu, x.Cpu, x.Cpu);
        bench.Cpu.Kernels.Attend(qkv.Cpu, 0, shape, null, null, null, x.Cpu);
        Assert.That(KernelBench.Row(x.Cpu, 0).ToArray(), Is.All.NaN);
    }

    [Test]
    public void Steps_allocate_nothing_once_the_largest_has_been_seen()
    {
        AttentionShape shape = new(Heads: 4, KvHeads: 2, HeadDim: 16, Scale: 1);
        using KernelBench bench = new(SimdWidths.Machine, threads: 2);
        KvPair kv = bench.Kv(1, shape, 700), paged = bench.Kv(1, shape, 700, tokensPerPage: 16);
        bench.FillKv(kv, 700);
        bench.FillKv(paged, 700);
        var norm = bench.Norm(64, removeMean: false, bias: false);
        RotaryTable rotary = (RotaryTable)bench.Keep(bench.Cpu.Tensors.CreateRotary(new RotaryParameters(new float[8], 1, false)));
        Weight table = bench.Cpu.Tensors.CreateWeight([bench.Tensor(TensorType.BF16, 10, 64)]);
        Weight square = bench.Cpu.Tensors.CreateWeight([bench.Tensor(TensorType.BF16, 64, 64)]);
        Weight down = bench.Cpu.Tensors.CreateWeight([bench.Tensor(TensorType.F32, 64, 5)]);
        Experts experts = new([table, table], [down, down], 2, true, ActivationFunction.Silu);
        ActivationsPair qkv = bench.Activations(60, 128), x = bench.Activations(60, 64), y = bench.Activations(60, 64), logits = bench.Activations(60, 2);
        int[] tokens = new int[60];
        float[] row = new float[64];
        Batch batch = new();

        long bytes = Allocations.InSteadyState(() =>
        {
            for (int i = 0; i < 20; i++) Step(60 - (59 * (i % 2)), i % 4 < 2 ? kv : paged);
        });
        Assert.That(bytes, Is.Zero);

        void Step(int length, KvPair kv)
        {
            batch.Clear();
            batch.Add(kv.Cpu.View, tokens.AsSpan(0, length), 640, wantsLogits: true);
            bench.Cpu.BeginStep(batch);
            bench.Cpu.Kernels.Embed(table, 2, x.Cpu);
            bench.Cpu.Kernels.NormaliseAdd(norm.Cpu, x.Cpu, y.Cpu);
            bench.Cpu.Kernels.Attend(qkv.Cpu, 0, shape, rotary, null, null, x.Cpu);
            bench.Cpu.Kernels.MatMul(x.Cpu, norm.Cpu, square, new Epilogue(), y.Cpu);
            bench.Cpu.Kernels.Normalise(norm.Cpu, y.Cpu, x.Cpu);
            bench.Cpu.Kernels.MixExperts(x.Cpu, logits.Cpu, experts, y.Cpu);
            bench.Cpu.Kernels.Logits(x.Cpu, norm.Cpu, square, default, y.Cpu);
            bench.Cpu.Read(y.Cpu, 0, row);
        }
    }
}
