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

        bench.Gpu.Kernels.Embed(table.Gpu, scale, x.Gpu);
        bench.Reference.Kernels.Embed(table.Reference, scale, x.Reference);

        bench.AssertClose(x, 6, 1e-6);
        bench.AssertUntouched(x.Gpu, 6);
    }

    /// <summary>Lengths within what a group's threads hold and beyond; numbers of rows that one multiprocessor takes one by one and in pairs.</summary>
    [Test]
    public void Rows_are_normalised_to_the_same_bits_whatever_their_number(
        [Values] bool tensorCores, [Values] bool removeMean, [Values] bool bias, [Values(1, 37, 300, 1000, 1100)] int columns)
    {
        const int Rows = 7;
        using GpuBench bench = new(GpuDevices.Create(device, multiprocessors: 1, tensorCores));
        var norm = bench.Norm(columns, removeMean, bias);
        bench.Begin(Rows);
        GpuActivationsPair x = bench.Activations(Rows, columns), y = bench.Activations(Rows + 1, columns, operand: true, poisoned: true);
        bench.Write(x, 1, [.. Enumerable.Range(0, columns).Select(i => i % 3 == 0 ? 1e6f : -0f)]);
        bench.Gpu.Kernels.Normalise(norm.Gpu, x.Gpu, y.Gpu);
        bench.Reference.Kernels.Normalise(norm.Reference, x.Reference, y.Reference);
        bench.AssertClose(y, Rows, 1e-3);
        bench.AssertUntouched(y.Gpu, Rows);
        float[][] expected = [.. Enumerable.Range(0, Rows).Select(row => bench.Row(y.Gpu, row))];

        foreach (int rows in (int[])[1, 2, 3, 4])
        {
            bench.Begin(rows);
            GpuActivationsPair result = bench.Activations(rows + 1, columns, operand: true, poisoned: true);
            bench.Gpu.Kernels.Normalise(norm.Gpu, x.Gpu, result.Gpu);
            for (int row = 0; row < rows; row++)
                Assert.That(bench.Row(result.Gpu, row).Select(BitConverter.SingleToInt32Bits), Is.EqualTo(expected[row].Select(BitConverter.SingleToInt32Bits)), $"row {row} of {rows}");
            bench.AssertUntouched(result.Gpu, rows);
        }
    }

    [Test]
    public void Norms_are_added_to_the_residual([Values] bool removeMean, [Values] bool bias, [Values(1, 37, 300, 1100)] int columns)
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(3);
        var norm = bench.Norm(columns, removeMean, bias);
        GpuActivationsPair delta = bench.Activations(3, columns), residual = bench.Activations(4, columns);
        float[] beyond = bench.Row(residual.Gpu, 3);

        bench.Gpu.Kernels.NormaliseAdd(norm.Gpu, delta.Gpu, residual.Gpu);
        bench.Reference.Kernels.NormaliseAdd(norm.Reference, delta.Reference, residual.Reference);

        bench.AssertClose(residual, 3, 1e-5);
        Assert.That(bench.Row(residual.Gpu, 3), Is.EqualTo(beyond));
    }

    [Test]
    public void Rows_of_float32_are_read()
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        GpuActivationsPair x = bench.Activations(7, 21);

        for (int row = 0; row < 7; row++)
            Assert.That(bench.Row(x.Gpu, row), Is.EqualTo(x.Reference.Row(row).ToArray().Select(value => (float)value)));
        Assert.That(() => bench.Row(x.Gpu, 7), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => bench.Gpu.Read(bench.Activations(7, 21, operand: true).Gpu, 0, new float[21]), Throws.ArgumentException);
    }

    [Test]
    public void An_operation_before_the_first_step_is_refused()
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        GpuActivationsPair x = bench.Activations(1, 8);
        var norm = bench.Norm(8, removeMean: false, bias: false);
        Assert.That(() => bench.Gpu.Kernels.NormaliseAdd(norm.Gpu, x.Gpu, x.Gpu), Throws.InvalidOperationException);
    }
}
