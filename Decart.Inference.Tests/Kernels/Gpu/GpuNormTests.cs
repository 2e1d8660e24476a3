using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>Norms that a cluster of groups makes of a row, beside those that a group makes, bit by bit, and of rows that no group holds.</summary>
internal sealed class GpuNormTests
{
    private const int Rows = 5, Capacity = 6, BlockRows = 8, Groups = 8;

    /// <summary>What an operand is made of.</summary>
    internal enum Form
    {
        Halves,
        Floats,
        Integers,
    }

    [Test]
    public void An_emulated_cluster_of_one_group_has_the_bits_of_a_group([Values(77, 1000)] int columns, [Values] Form form, [Values] bool layerNorm)
    {
        using IGpuDevice gpu = new EmulatedDevice(tensorCores: true) { IsHopper = true };
        AssertSame(gpu, columns, form, layerNorm, groups: 1);
    }

    [Test, Cuda]
    public void A_cluster_has_the_bits_of_a_group([Values(77, 1000, 5000, 8192)] int columns, [Values] Form form, [Values] bool layerNorm)
    {
        using IGpuDevice gpu = OpenCuda();
        AssertSame(gpu, columns, form, layerNorm, Groups);
    }

    [Test, Cuda]
    public void Rows_that_no_group_holds_are_normalised_by_clusters([Values(8200, 14848, 16384)] int columns, [Values] Form form, [Values] bool layerNorm)
    {
        using IGpuDevice gpu = OpenCuda();
        Assert.That(GpuNorm.MakesCodes(gpu, columns));
        using Bench bench = new(gpu, columns, form, layerNorm);
        byte[] found = bench.Run(arguments => GpuNorm.Launch(gpu, arguments, Capacity, form == Form.Integers));
        for (int row = 0; row < Rows; row++)
        {
            double[] expected = bench.Expected(row);
            float scale = form == Form.Halves ? 1 : bench.ScaleOf(found, row);
            if (form == Form.Integers) Assert.That(scale, Is.EqualTo(expected.Max(Math.Abs) / 127).Within(1e-2).Percent);
            for (int column = 0; column < columns; column++)
            {
                double tolerance = form switch
                {
                    Form.Halves => (Math.Abs(expected[column]) / 2000) + 1e-6,
                    Form.Floats => (Math.Abs(expected[column]) / 15) + (scale / 400),
                    _ => scale * 0.51,
                };
                Assert.That(bench.Element(found, row, column) * (double)scale, Is.EqualTo(expected[column]).Within(tolerance), $"row {row}, column {column}");
            }
        }
    }

    private static void AssertSame(IGpuDevice gpu, int columns, Form form, bool layerNorm, int groups)
    {
        using Bench bench = new(gpu, columns, form, layerNorm);
        byte[] alone = bench.Run(arguments => GpuNorm.Launch(gpu, arguments, Capacity, form == Form.Integers));
        byte[] together = bench.Run(arguments => GpuNorm.LaunchClusters(gpu, arguments, Capacity, groups, form == Form.Integers));
        Assert.That(together, Is.EqualTo(alone));
    }

    private static CudaDevice OpenCuda()
    {
        CudaDevice gpu = GpuDevices.CreateCuda();
        if (gpu.CanRun(GpuNorm.ClusterKernel)) return gpu;
        gpu.Dispose();
        Assert.Ignore("The GPU has no clusters.");
        return gpu;
    }

    private sealed class Bench : IDisposable
    {
        private const float Epsilon = 1e-5f;

        private readonly IGpuDevice _gpu;
        private readonly int _columns, _stride;
        private readonly Form _form;
        private readonly bool _layerNorm;
        private readonly float[][] _x;
        private readonly float[] _scale, _bias;
        private readonly GpuBuffer _count, _xs, _scales, _biases, _y;

        public Bench(IGpuDevice gpu, int columns, Form form, bool layerNorm)
        {
            (_gpu, _columns, _form, _layerNorm, _stride) = (gpu, columns, form, layerNorm, CoreTiles.PaddedColumns(columns));
            Random random = new(columns);
            _x = [.. Enumerable.Range(0, Rows).Select(row => Values(row + 1))];
            (_scale, _bias) = (Values(1), Values(0.1f));
            (_count, _scales, _biases) = (Filled(BitConverter.GetBytes(Rows)), Filled(MemoryMarshal.AsBytes(_scale.AsSpan())), Filled(MemoryMarshal.AsBytes(_bias.AsSpan())));
            _xs = Filled(MemoryMarshal.AsBytes(_x.SelectMany(row => row).ToArray().AsSpan()));
            _y = new GpuBuffer(gpu.Memory, CodeScalesOffset + (Capacity * sizeof(float)));

            float[] Values(float size) => [.. Enumerable.Range(0, _stride).Select(column => column < columns ? ((random.NextSingle() * 2) - 0.8f) * size : 0)];
        }

        /// <summary>Behind an operand.</summary>
        private int CodeScalesOffset => BlockRows * _stride * sizeof(ushort);

        /// <summary>What a norm leaves in memory that was poisoned.</summary>
        public byte[] Run(Action<NormArguments> launch)
        {
            byte[] bytes = new byte[CodeScalesOffset + (Capacity * sizeof(float))];
            bytes.AsSpan().Fill(0x7F);
            _gpu.Upload(_y.Address, bytes);
            launch(new NormArguments
            {
                Count = _count.Address,
                X = _xs.Address,
                Scale = _scales.Address,
                Bias = _layerNorm ? _biases.Address : 0,
                Y = _y.Address,
                XStride = _stride,
                YStride = _stride,
                Columns = _columns,
                Epsilon = Epsilon,
                InverseColumns = 1f / _columns,
                RemoveMean = _layerNorm ? 1 : 0,
                YBlockRows = BlockRows,
                CodeScales = _form == Form.Halves ? 0 : _y.Address + CodeScalesOffset,
            });
            _gpu.Download(_y.Address, bytes);
            return bytes;
        }

        public double[] Expected(int row)
        {
            double[] values = [.. _x[row].Take(_columns).Select(value => (double)value)];
            double mean = _layerNorm ? values.Average() : 0, factor = 1 / Math.Sqrt((values.Sum(value => (value - mean) * (value - mean)) / _columns) + Epsilon);
            return [.. values.Select((value, column) => ((value - mean) * factor * _scale[column]) + (_layerNorm ? _bias[column] : 0))];
        }

        public float ScaleOf(byte[] found, int row) => BitConverter.ToSingle(found, CodeScalesOffset + (row * sizeof(float)));

        public float Element(byte[] found, int row, int column)
        {
            if (_form == Form.Halves) return (float)BitConverter.ToHalf(found, (int)CoreTiles.OperandOffset(row, column, _stride, BlockRows));
            byte code = found[ByteTiles.OperandOffset(row, column, _stride, BlockRows)];
            if (_form == Form.Integers) return (sbyte)code;
            int exponent = (code >> 3) & 15, mantissa = code & 7;
            float magnitude = exponent == 0 ? mantissa / 512f : MathF.Pow(2, exponent - 7) * (1 + (mantissa / 8f));
            return code >= 128 ? -magnitude : magnitude;
        }

        public void Dispose()
        {
            foreach (GpuBuffer buffer in (GpuBuffer[])[_count, _xs, _scales, _biases, _y]) buffer.Dispose();
        }

        private GpuBuffer Filled(ReadOnlySpan<byte> bytes)
        {
            GpuBuffer buffer = new(_gpu.Memory, bytes.Length);
            _gpu.Upload(buffer.Address, bytes);
            return buffer;
        }
    }
}
