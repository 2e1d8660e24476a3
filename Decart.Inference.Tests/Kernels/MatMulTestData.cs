using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Tests.Kernels.Formats;

namespace Decart.Inference.Tests.Kernels;

/// <summary>A weight of random values, encoded as asked, with the values that the encoding kept.</summary>
internal sealed unsafe class MatMulTestWeight : IDisposable
{
    private readonly List<nint> _memory = [];

    public MatMulTestWeight(int columns, Random random, params (TensorType Type, int Rows)[] parts)
    {
        Values = new float[parts.Sum(part => part.Rows)][];
        var tensors = new List<StoredTensor>();
        int row = 0;
        foreach ((TensorType type, int rows) in parts)
        {
            int bytes = columns / type.BlockLength() * type.BlockBytes();
            var data = (byte*)NativeMemory.Alloc((nuint)(bytes * rows));
            _memory.Add((nint)data);
            tensors.Add(new StoredTensor($"{type} from row {row}", type, [rows, columns], (nint)data));
            for (int i = 0; i < rows; i++, row++) Values[row] = Encode(type, columns, random, data + (i * bytes));
        }
        Weight = new CpuWeight(StoredTensors.AsWeight([.. tensors]));
    }

    public float[][] Values { get; }

    public CpuWeight Weight { get; }

    public void Dispose()
    {
        Weight.Dispose();
        foreach (nint memory in _memory) NativeMemory.Free((void*)memory);
    }

    private static float[] Encode(TensorType type, int columns, Random random, byte* destination)
    {
        var values = new float[columns];
        if (type.BlockLength() > 1)
        {
            ReferenceWeights.Fill(type, new Span<byte>(destination, columns / type.BlockLength() * type.BlockBytes()), random);
            fixed (float* decoded = values) TensorDecoder.DecodeRow(new StoredTensor("row", type, [columns], (nint)destination), 0, decoded);
            return values;
        }
        for (int i = 0; i < columns; i++)
        {
            float value = (random.NextSingle() * 2) - 1;
            switch (type)
            {
                case TensorType.F32:
                    ((float*)destination)[i] = values[i] = value;
                    break;
                case TensorType.F16:
                    ((Half*)destination)[i] = (Half)value;
                    values[i] = (float)(Half)value;
                    break;
                case TensorType.BF16:
                    ((ushort*)destination)[i] = (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16);
                    values[i] = BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000);
                    break;
                default:
                    throw new ArgumentOutOfRangeException(nameof(type), type, null);
            }
        }
        return values;
    }
}

/// <summary>Runs a matmul on managed arrays and computes the same plainly in float64.</summary>
internal static unsafe class MatMulTestRun
{
    /// <summary>Elements past the columns of a row of x and y: NaN in x, which must not be read, and in y, which must not be written.</summary>
    public const int Padding = 5;

    public static float[] RandomActivations(int rows, int columns, Random random)
    {
        var x = new float[rows * (columns + Padding)];
        Array.Fill(x, float.NaN);
        for (int row = 0; row < rows; row++)
        {
            for (int i = 0; i < columns; i++) x[(row * (columns + Padding)) + i] = (random.NextSingle() * 2) - 1;
        }
        return x;
    }

    /// <summary>Rows of y, one after another; y is <paramref name="initial"/> before.</summary>
    public static float[] Multiply(
        CpuMatMul matMul, CpuWeight weight, float[] x, int rows, Epilogue epilogue = default, float[]? bias = null, float initial = float.NaN)
    {
        int columns = epilogue.Gated ? weight.Rows / 2 : weight.Rows;
        int stride = columns + Padding;
        var y = new float[rows * stride];
        Array.Fill(y, initial);
        fixed (float* xPointer = x, yPointer = y, biasPointer = bias)
            matMul.Multiply(xPointer, weight.Columns + Padding, rows, weight, epilogue, biasPointer, yPointer, stride);

        var results = new float[rows * columns];
        for (int row = 0; row < rows; row++)
        {
            y.AsSpan(row * stride, columns).CopyTo(results.AsSpan(row * columns));
            for (int i = columns; i < stride; i++) Assert.That(y[(row * stride) + i], Is.EqualTo(initial), "written past the end of a row");
        }
        return results;
    }

    /// <summary>x W^T in float64 and, for each sum, the sum of the absolute products: what rounding errors are proportional to.</summary>
    public static (double[] Sums, double[] Magnitudes) Reference(float[][] weight, float[] x, int rows)
    {
        int columns = weight[0].Length;
        var sums = new double[rows * weight.Length];
        var magnitudes = new double[rows * weight.Length];
        for (int row = 0; row < rows; row++)
        {
            for (int output = 0; output < weight.Length; output++)
            {
                for (int i = 0; i < columns; i++)
                {
                    double product = (double)weight[output][i] * x[(row * (columns + Padding)) + i];
                    sums[(row * weight.Length) + output] += product;
                    magnitudes[(row * weight.Length) + output] += Math.Abs(product);
                }
            }
        }
        return (sums, magnitudes);
    }
}
