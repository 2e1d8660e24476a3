using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;

namespace Decart.Inference.Tests.Kernels.Gpu;

[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuTensorMatMulTests(string device)
{
    /// <summary>The number of rows decides on the kernel; with many multiprocessors it is a narrow one even for the most.</summary>
    [Test]
    public void Products_agree_with_the_reference([Values(1, 8, 13, 27, 66, 130)] int rows, [Values(1, 1000)] int multiprocessors, [Values] bool gated)
    {
        using GpuBench bench = new(GpuDevices.Create(device, multiprocessors, tensorCores: true));
        bench.Begin(rows);
        var weight = bench.Weight(bench.Tensor(TensorType.BF16, 2 * 37, 77));
        var bias = bench.Vector(bench.Tensor(TensorType.F32, 2 * 37));
        Epilogue epilogue = new(Function: gated ? ActivationFunction.Silu : ActivationFunction.None, Gated: gated);
        GpuActivationsPair x = bench.Activations(rows, 77, operand: true), y = bench.Activations(rows + 1, gated ? 37 : 74, poisoned: true);

        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight.Gpu, epilogue with { Bias = bias.Gpu }, y.Gpu);
        bench.Reference.Kernels.MatMul(x.Reference, null, weight.Reference, epilogue with { Bias = bias.Reference }, y.Reference);

        bench.AssertClose(y, rows, 1e-5);
        bench.AssertUntouched(y.Gpu, rows);
    }

    [Test]
    public void Segments_are_added_whatever_their_number([Values(1024, 1025, 2100)] int columns)
    {
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: true));
        bench.Begin(3);
        var weight = bench.Weight(bench.Tensor(TensorType.F16, 5, columns));
        GpuActivationsPair x = bench.Activations(3, columns, operand: true), y = bench.Activations(3, 5, poisoned: true);

        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight.Gpu, default, y.Gpu);
        bench.Reference.Kernels.MatMul(x.Reference, null, weight.Reference, default, y.Reference);

        bench.AssertClose(y, 3, 2e-5);
    }

    [Test]
    public void A_row_has_the_same_bits_in_every_kernel()
    {
        const int Columns = 2100, Outputs = 9;
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: true));
        var weight = bench.Weight(bench.Tensor(TensorType.BF16, Outputs, Columns));
        GpuActivationsPair x = bench.Activations(64, Columns, operand: true);
        GpuBuffer count = bench.Keep(new GpuBuffer(bench.Device.Memory));
        float[][]? expected = null;
        foreach ((GpuKernel<MatMulArguments> kernel, int rows) in ((GpuKernel<MatMulArguments>, int)[])
            [(GpuTensorMatMul.Wide, 64), (GpuTensorMatMul.Narrow8, 8), (GpuTensorMatMul.Narrow16, 16), (GpuTensorMatMul.Narrow32, 32), (GpuTiledMatMul.Kernel, 64)])
        {
            GpuActivationsPair y = bench.Activations(64, Outputs, poisoned: true);
            bench.Device.Upload(count.Address, BitConverter.GetBytes(rows));
            MatMulArguments arguments = new()
            {
                Count = count.Address,
                X = x.Gpu.Address,
                Weight = ((GpuWeight)weight.Gpu).Address,
                Y = y.Gpu.Address,
                Columns = Outputs,
                Stride = x.Gpu.Stride,
                YStride = y.Gpu.Stride,
                RowsPerSource = 1,
            };
            bench.Device.Launch(kernel, new GpuGrid(1), arguments);
            float[][] found = [.. Enumerable.Range(0, rows).Select(row => bench.Row(y.Gpu, row))];
            expected ??= found;
            Assert.That(found, Is.EqualTo(expected[..rows]), kernel.Name);
        }
    }

    [Test]
    public void Rows_of_experts_have_the_same_bits_in_every_kernel()
    {
        const int Rows = 70, Columns = 40, Outputs = 130;
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: true));
        nint[] weights = [.. Enumerable.Range(0, 2).Select(_ => ((GpuWeight)bench.Weight(bench.Tensor(TensorType.F16, Outputs, Columns)).Gpu).Address)];
        GpuActivationsPair x = bench.Activations(Rows / 2, Columns, operand: true);
        int[] order = [.. Enumerable.Range(0, Rows).Select(row => row * 3 % Rows)], starts = [0, 3, Rows];
        float[][]? expected = null;
        foreach ((GpuKernel<MatMulArguments> kernel, int groupRows, int groupColumns) in ((GpuKernel<MatMulArguments>, int, int)[])
            [(GpuTensorMatMul.Narrow8, 8, 32), (GpuTensorMatMul.Wide, 64, 128), (GpuTiledMatMul.Kernel, 128, 128)])
        {
            GpuActivationsPair y = bench.Activations(Rows, Outputs, poisoned: true);
            MatMulArguments arguments = new()
            {
                X = x.Gpu.Address,
                Weight = Upload(MemoryMarshal.AsBytes<nint>(weights)),
                Order = Upload(MemoryMarshal.AsBytes<int>(order)),
                Starts = Upload(MemoryMarshal.AsBytes<int>(starts)),
                Y = y.Gpu.Address,
                Columns = Outputs,
                Stride = x.Gpu.Stride,
                YStride = y.Gpu.Stride,
                RowsPerSource = 2,
            };
            bench.Device.Launch(kernel, new GpuGrid((Rows + groupRows - 1) / groupRows, (Outputs + groupColumns - 1) / groupColumns, 2), arguments);
            float[][] found = [.. Enumerable.Range(0, Rows).Select(row => bench.Row(y.Gpu, row))];
            expected ??= found;
            Assert.That(found, Is.EqualTo(expected), kernel.Name);
            Assert.That(found.SelectMany(row => row), Has.All.Not.NaN, kernel.Name);
        }

        long Upload(ReadOnlySpan<byte> bytes)
        {
            GpuBuffer buffer = bench.Keep(new GpuBuffer(bench.Device.Memory));
            buffer.Reserve(bytes.Length);
            bench.Device.Upload(buffer.Address, bytes);
            return buffer.Address;
        }
    }

    [TestCase(130, 1, true)]
    [TestCase(130, 2, true)]
    [TestCase(130, 3, false, Description = "two groups are not enough for three multiprocessors")]
    [TestCase(127, 1, false)]
    public void Many_rows_take_the_tiled_kernel(int rows, int multiprocessors, bool tiled)
    {
        EmulatedDevice emulated = new(tensorCores: true, multiprocessors);
        using GpuBench bench = new(emulated);
        bench.Begin(rows);
        var weight = bench.Weight(bench.Tensor(TensorType.BF16, 8, 64));
        GpuActivationsPair x = bench.Activations(rows, 64, operand: true), y = bench.Activations(rows, 8, poisoned: true);

        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight.Gpu, default, y.Gpu);

        Assert.That(emulated.Launched.Contains(GpuTiledMatMul.Kernel.Name), Is.EqualTo(tiled));
    }

    [Test]
    public void Mixtures_of_experts_agree_with_the_reference()
    {
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: true));
        bench.Begin(11);
        var experts = GpuExpertsTests.Create(bench, perToken: 2, renormalise: true);
        GpuActivationsPair x = bench.Activations(11, GpuExpertsTests.Hidden, operand: true), logits = bench.Activations(11, GpuExpertsTests.Count);
        GpuActivationsPair y = bench.Activations(11, GpuExpertsTests.Hidden);

        bench.Gpu.Kernels.MixExperts(x.Gpu, null, logits.Gpu, experts.Gpu, y.Gpu);
        bench.Reference.Kernels.MixExperts(x.Reference, null, logits.Reference, experts.Reference, y.Reference);

        bench.AssertClose(y, 11, 1e-2);
    }
}
