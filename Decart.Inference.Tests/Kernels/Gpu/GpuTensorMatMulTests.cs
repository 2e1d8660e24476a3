using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Tests.Kernels.Gpu;

[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuTensorMatMulTests(string device)
{
    /// <summary>The number of rows decides on the kernel, that of multiprocessors on the shares of the weight.</summary>
    [Test]
    public void Products_agree_with_the_reference(
        [Values(1, 8, 13, 27, 66, 130, 390)] int rows, [Values(1, 3)] int multiprocessors, [Values] bool gated, [Values] bool hopper)
    {
        using GpuBench bench = new(GpuDevices.Create(device, multiprocessors, tensorCores: true, hopper));
        bench.Begin(rows);
        var weight = bench.Weight(gated, bench.Tensor(TensorType.BF16, 2 * 37, 77));
        var bias = bench.Vector(bench.Tensor(TensorType.F32, 2 * 37));
        Epilogue epilogue = new(Function: gated ? ActivationFunction.Silu : ActivationFunction.None, Gated: gated);
        GpuActivationsPair x = bench.Activations(rows, 77, operand: true), y = bench.Activations(rows + 1, gated ? 37 : 74, poisoned: true);

        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight.Gpu, epilogue with { Bias = bias.Gpu }, y.Gpu);
        bench.Reference.Kernels.MatMul(x.Reference, null, weight.Reference, epilogue with { Bias = bias.Reference }, y.Reference);

        bench.AssertClose(y, rows, 1e-5);
        bench.AssertUntouched(y.Gpu, rows);
    }

    /// <summary>More tiles than a pass has, whose blocks a share crosses, and more stages than the ring has.</summary>
    [Test]
    public void Large_weights_agree_with_the_reference([Values(3, 20, 40, 130)] int rows, [Values(1, 7)] int multiprocessors, [Values] bool operand)
    {
        const int Outputs = 428, Inputs = 1000;
        if (device == "emulated" && rows > 20) Assert.Ignore("Emulated matrices of this size take minutes.");
        using GpuBench bench = new(GpuDevices.Create(device, multiprocessors, tensorCores: true, hopper: true));
        bench.Begin(rows);
        var weight = bench.Weight(bench.Tensor(TensorType.F16, Outputs, Inputs));
        GpuActivationsPair x = bench.Activations(rows, Inputs, operand: true), y = bench.Activations(rows, Outputs, operand, poisoned: true);

        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight.Gpu, default, y.Gpu);
        bench.Reference.Kernels.MatMul(x.Reference, null, weight.Reference, default, y.Reference);

        bench.AssertClose(y, rows, operand ? 6e-4 : 1e-4);
    }

    [Test]
    public void A_row_has_the_same_bits_in_every_kernel()
    {
        const int Outputs = 41;
        bool emulated = device == "emulated";
        int columns = emulated ? 150 : 2100;
        int[] counts = emulated ? [130, 32, 16, 1] : [390, 130, 64, 32, 16, 8, 1];
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: true, hopper: true));
        StoredTensor tensor = bench.Tensor(TensorType.BF16, Outputs, columns);
        var weight = bench.Weight(tensor);
        float[][] rows = [.. Enumerable.Range(0, counts[0]).Select(_ => Enumerable.Range(0, columns).Select(_ => bench.NextValue()).ToArray())];
        float[][]? expected = null;
        foreach (int count in counts)
        {
            bench.Begin(count);
            GpuActivationsPair x = bench.Activations(count, columns, operand: true), y = bench.Activations(count, Outputs, poisoned: true);
            for (int row = 0; row < count; row++) bench.Write(x, row, rows[row]);
            bench.Gpu.Kernels.MatMul(x.Gpu, null, weight.Gpu, default, y.Gpu);
            float[][] found = [.. Enumerable.Range(0, count).Select(row => bench.Row(y.Gpu, row))];
            expected ??= found;
            Assert.That(found, Is.EqualTo(expected[..count]), $"{count} rows");
            if (count > 64) continue;
            foreach (GpuKernel<MatMulArguments> kernel in (GpuKernel<MatMulArguments>[])
                [GpuTensorMatMul<Sums8>.Kernel, GpuTensorMatMul<Sums16>.Kernel, GpuTensorMatMul<Sums32>.Kernel, GpuTensorMatMul<Sums64>.Kernel])
            {
                y = bench.Activations(count, Outputs, poisoned: true);
                GpuWeight laid = (GpuWeight)weight.Gpu;
                MatMulArguments arguments = new()
                {
                    Count = Upload(bench, [count]),
                    X = x.Gpu.Address,
                    Weight = laid.Address,
                    Y = y.Gpu.Address,
                    Columns = Outputs,
                    WeightRows = laid.PaddedRows,
                    Stride = laid.PaddedColumns,
                    YStride = y.Gpu.Stride,
                    XBlockRows = CoreTiles.OperandBlockRows(count),
                };
                bench.Device.Launch(kernel, new GpuGrid(8, 1), arguments);
                found = [.. Enumerable.Range(0, count).Select(row => bench.Row(y.Gpu, row))];
                Assert.That(found, Is.EqualTo(expected[..count]), $"{count} rows, {kernel.Name}");
            }
        }
    }

    /// <summary>What rows there are beside it does not matter, nor which kernels they take.</summary>
    [Test]
    public void A_normalised_row_has_the_same_bits_in_every_kernel([Values(24, 250, 700)] int columns, [Values(1, 3)] int multiprocessors)
    {
        const int Outputs = 41, Most = 17;
        using GpuBench bench = new(GpuDevices.Create(device, multiprocessors, tensorCores: true, hopper: true));
        var weight = bench.Weight(bench.Tensor(TensorType.BF16, Outputs, columns));
        (Norm Gpu, Norm Reference) norm = bench.Norm(columns, removeMean: false, bias: false);
        float[][] rows = [.. Enumerable.Range(0, Most).Select(_ => Enumerable.Range(0, columns).Select(_ => bench.NextValue()).ToArray())];
        float[][]? expected = null;
        foreach (int count in (int[])[Most, 8, 5, 2, 1])
        {
            bench.Begin(count);
            GpuActivationsPair x = bench.Activations(count, columns), y = bench.Activations(count + 1, Outputs, poisoned: true);
            for (int row = 0; row < count; row++) bench.Write(x, row, rows[row]);

            bench.Gpu.Kernels.MatMul(x.Gpu, norm.Gpu, weight.Gpu, default, y.Gpu);
            bench.Reference.Kernels.MatMul(x.Reference, norm.Reference, weight.Reference, default, y.Reference);

            bench.AssertClose(y, count, 1e-2);
            bench.AssertUntouched(y.Gpu, count);
            float[][] found = [.. Enumerable.Range(0, count).Select(row => bench.Row(y.Gpu, row))];
            expected ??= found;
            Assert.That(found, Is.EqualTo(expected[..count]), $"{count} rows");
        }
    }

    /// <summary>Every kind of result that has stores of its own, by shares and in turn, and of three quarters of a block: the same bits, and nothing else touched.</summary>
    [Test]
    public void Every_division_of_the_work_has_the_same_bits([Values("floats", "adds", "gated", "halves")] string kind, [Values] bool threeQuarters)
    {
        bool emulated = device == "emulated", gated = kind == "gated", operand = kind is "gated" or "halves";
        int rows = threeQuarters ? GpuRingPlan.ThreeQuarterRows - 3 : emulated ? 70 : 600, columns = emulated ? 130 : 1100, outputs = emulated ? 160 : 1448;
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: true, hopper: true));
        using GpuMatMulLauncher launcher = new(bench.Device);
        GpuWeight weight = (GpuWeight)bench.Weight(gated, bench.Tensor(TensorType.BF16, outputs, columns)).Gpu;
        float[][] x = [.. Enumerable.Range(0, rows).Select(_ => Enumerable.Range(0, columns).Select(_ => bench.NextValue()).ToArray())];
        int yColumns = gated ? outputs / 2 : outputs;
        float[] residual = [.. Enumerable.Range(0, yColumns).Select(_ => bench.NextValue())];
        float[]? expected = null;
        int operandBlock = CoreTiles.OperandBlockRows(rows), tiles = weight.PaddedRows / CoreTiles.TileRows;
        using GpuBuffer operands = new(bench.Device.Memory, (long)(rows + operandBlock) * CoreTiles.PaddedColumns(columns) * sizeof(ushort));
        bench.Device.Upload(operands.Address, Operand(x, CoreTiles.PaddedColumns(columns), operandBlock));
        GpuRingPlan[] plans =
        [
            .. from block in threeQuarters ? [GpuRingPlan.ThreeQuarterRows, 256] : emulated ? [8, 64] : (int[])[8, 16, 32, 64, 128, 256]
               from plan in (GpuRingPlan[])[GpuRingPlan.Shared(rows, block, tiles, CoreTiles.PaddedColumns(columns) / CoreTiles.PieceColumns, 80)!.Value, GpuRingPlan.InTurn(rows, block, tiles, 7)]
               select plan,
        ];
        foreach (GpuRingPlan plan in plans)
        {
            bench.Begin(rows);
            GpuActivationsPair y = bench.Activations(rows + 1, yColumns, operand, poisoned: true);
            for (int row = 0; row < rows && kind == "adds"; row++) bench.Write(y, row, residual);
            MatMulArguments arguments = new()
            {
                Count = Upload(bench, [rows]),
                X = operands.Address,
                Weight = weight.Address,
                Y = y.Gpu.Address,
                Columns = yColumns,
                WeightRows = weight.PaddedRows,
                Stride = weight.PaddedColumns,
                YStride = y.Gpu.Stride,
                XBlockRows = operandBlock,
                YBlockRows = operandBlock,
                Gated = gated ? 1 : 0,
                HalfY = operand ? 1 : 0,
                Accumulate = kind == "adds" ? 1 : 0,
                Function = (int)(gated ? ActivationFunction.Silu : operand ? ActivationFunction.GeluTanh : ActivationFunction.None),
            };
            launcher.LaunchRing(arguments, plan);
            float[] found = [.. Enumerable.Range(0, rows).SelectMany(row => bench.Row(y.Gpu, row))];
            expected ??= found;
            Assert.That(found.AsSpan().SequenceEqual(expected), $"{plan}");
            Assert.That(Array.Exists(found, float.IsNaN), Is.False, $"{plan}");
            bench.AssertUntouched(y.Gpu, rows);
        }
    }

    [Test]
    public void Mixtures_of_experts_agree_with_the_reference([Values(11, 90)] int rows)
    {
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: true));
        bench.Begin(rows);
        var experts = GpuExpertsTests.Create(bench, perToken: 2, renormalise: true);
        GpuActivationsPair x = bench.Activations(rows, GpuExpertsTests.Hidden, operand: true), logits = bench.Activations(rows, GpuExpertsTests.Count);
        GpuActivationsPair y = bench.Activations(rows, GpuExpertsTests.Hidden);

        bench.Gpu.Kernels.MixExperts(x.Gpu, logits.Gpu, experts.Gpu, y.Gpu);
        bench.Reference.Kernels.MixExperts(x.Reference, logits.Reference, experts.Reference, y.Reference);

        bench.AssertClose(y, rows, 1e-2);
    }

    /// <summary>Rows as an operand in blocks of so many.</summary>
    private static byte[] Operand(float[][] rows, int stride, int block)
    {
        byte[] operand = new byte[(long)(rows.Length + block) / block * block * stride * sizeof(ushort)];
        for (int row = 0; row < rows.Length; row++)
        {
            for (int column = 0; column < rows[row].Length; column++)
                MemoryMarshal.Write(operand.AsSpan((int)CoreTiles.OperandOffset(row, column, stride, block)), (Half)rows[row][column]);
        }
        return operand;
    }

    private static long Upload(GpuBench bench, int[] values)
    {
        GpuBuffer buffer = bench.Keep(new GpuBuffer(bench.Device.Memory));
        buffer.Reserve(values.Length * sizeof(int));
        bench.Device.Upload(buffer.Address, MemoryMarshal.AsBytes<int>(values));
        return buffer.Address;
    }
}
