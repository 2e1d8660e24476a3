using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>The operations that work on one row at a time: embedding, norms, gathering.</summary>
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuRowTests(string device)
{
    [Test]
    public void Embeddings_are_rows_of_the_table_times_a_scale(
        [Values(TensorType.F32, TensorType.F16, TensorType.BF16)] TensorType type, [Values(1f, 5.5f)] float scale)
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(6);
        var table = bench.Weight(bench.Tensor(type, 10, 37));
        GpuActivationsPair x = bench.Activations(7, 37, poisoned: true);

        bench.Gpu.Embed(table.Gpu, scale, x.Gpu);
        bench.Reference.Embed(table.Reference, scale, x.Reference);

        bench.AssertClose(x, 6, 1e-6);
        bench.AssertUntouched(x.Gpu, 6);
    }

    [Test]
    public void Norms_agree_with_the_reference([Values] bool removeMean, [Values] bool bias, [Values] bool operand, [Values(1, 37, 300)] int columns)
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(3);
        var norm = bench.Norm(columns, removeMean, bias);
        GpuActivationsPair x = bench.Activations(3, columns), y = bench.Activations(4, columns, operand, poisoned: true);

        bench.Gpu.Normalise(norm.Gpu, x.Gpu, y.Gpu);
        bench.Reference.Normalise(norm.Reference, x.Reference, y.Reference);

        bench.AssertClose(y, 3, operand ? 5e-4 : 1e-5);
        bench.AssertUntouched(y.Gpu, 3);
    }

    [Test]
    public void The_residual_is_added_to_before_and_after_norms([Values] bool removeMean)
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(4);
        var norm = bench.Norm(50, removeMean, bias: false);
        GpuActivationsPair residual = bench.Activations(4, 50), delta = bench.Activations(4, 50), y = bench.Activations(4, 50, operand: true, poisoned: true);

        bench.Gpu.AddNormalise(residual.Gpu, delta.Gpu, norm.Gpu, y.Gpu);
        bench.Reference.AddNormalise(residual.Reference, delta.Reference, norm.Reference, y.Reference);
        bench.AssertClose(residual, 4, 1e-6);
        bench.AssertClose(y, 4, 1e-3);

        bench.Gpu.NormaliseAdd(norm.Gpu, delta.Gpu, residual.Gpu);
        bench.Reference.NormaliseAdd(norm.Reference, delta.Reference, residual.Reference);
        bench.AssertClose(residual, 4, 1e-5);
    }

    [Test]
    public void Rows_are_gathered_and_read([Values] bool operand)
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        GpuActivationsPair x = bench.Activations(7, 21, operand), y = bench.Activations(3, 21, operand, poisoned: true);

        bench.Gpu.GatherRows(x.Gpu, [6, 0, 3], y.Gpu);

        int[] rows = [6, 0, 3];
        for (int i = 0; i < rows.Length; i++) Assert.That(bench.Row(y.Gpu, i), Is.EqualTo(bench.Row(x.Gpu, rows[i])));
        Assert.That(() => bench.Row(y.Gpu, 3), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => bench.Gpu.GatherRows(x.Gpu, [7], y.Gpu), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void An_operation_before_the_first_step_is_refused()
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        GpuActivationsPair x = bench.Activations(1, 8);
        var norm = bench.Norm(8, removeMean: false, bias: false);
        Assert.That(() => bench.Gpu.Normalise(norm.Gpu, x.Gpu, x.Gpu), Throws.InvalidOperationException);
    }
}
