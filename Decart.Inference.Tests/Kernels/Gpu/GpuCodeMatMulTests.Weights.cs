using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Kernels.Gpu;

// Weights of codes, and what activations become that meet them.
internal sealed partial class GpuCodeMatMulTests
{
    /// <summary>How a weight is scaled; integers by rows, those of 4 bits by pieces, and with zeros of their own.</summary>
    internal enum Scales
    {
        Rows,
        Pieces,
        Blocks,
        Integers,
        Nibbles,
        Zeros,
    }

    /// <summary>A weight; the type is that of floats, integers have blocks of the same length.</summary>
    internal readonly record struct Shape(int Rows, int Columns, bool Gated, Scales Scales, TensorType Type)
    {
        public bool HasIntegers => Scales is Scales.Integers or Scales.Nibbles or Scales.Zeros;

        public bool HasNibbles => Scales is Scales.Nibbles or Scales.Zeros;

        public TensorType StoredType => (HasIntegers, HasNibbles, Type == TensorType.E4M3x32) switch
        {
            (_, true, true) => TensorType.Int4x32,
            (_, true, false) => TensorType.Int4x64,
            (true, _, true) => TensorType.Int8x32,
            (true, _, false) => TensorType.Int8x64,
            _ => Type,
        };

        public double[] Rounded(float[] x) => HasIntegers ? RoundedToIntegers(x) : RoundedToFloats(x);
    }

    /// <summary>Random codes in blocks, and what they stand for.</summary>
    private sealed unsafe class Stored : IDisposable
    {
        private const float LeastScale = 0.001f;

        public const float LargestScale = 0.003f;

        private readonly byte* _blocks;
        private readonly double[] _weights;
        private readonly Shape _shape;

        public Stored(Shape shape, Func<int, int, float>? scaleOf = null, int zero = 128, Func<int, int, int>? zeroOf = null)
        {
            _shape = shape;
            Random random = new((shape.Rows * 31) + shape.Columns);
            int length = shape.StoredType.BlockLength(), blockBytes = shape.StoredType.BlockBytes(), headerBytes = blockBytes - (shape.HasNibbles ? length / 2 : length), perRow = shape.Columns / length;
            float[] scales = [.. Enumerable.Range(0, shape.Rows * perRow).Select(_ => LeastScale + ((LargestScale - LeastScale) * random.NextSingle()))];
            _blocks = (byte*)NativeMemory.Alloc((nuint)(shape.Rows * perRow * blockBytes));
            _weights = new double[shape.Rows * shape.Columns];
            for (int block = 0; block < shape.Rows * perRow; block++)
            {
                int row = block / perRow, column = block % perRow * length;
                float scale = scaleOf?.Invoke(row, column) ?? scales[shape.Scales switch
                {
                    Scales.Rows or Scales.Integers => row,
                    Scales.Pieces or Scales.Nibbles or Scales.Zeros => (row * perRow) + (column / Piece),
                    _ => column / Piece,
                }];
                if (shape.HasNibbles)
                {
                    int own = zeroOf?.Invoke(row, column) ?? (shape.Scales == Scales.Nibbles ? 8 : ((row * 7) + (column / Piece)) % 17);
                    FillNibbles(block, blockBytes, length, Int4Header.Round(scale), own, random);
                    continue;
                }
                float* header = (float*)(_blocks + (block * blockBytes));
                header[0] = HasIntegers ? scale : scale * E4M3Header.Factor;
                if (HasIntegers) header[1] = zero;
                for (int i = 0; i < length; i++)
                {
                    byte code = (byte)random.Next(256);
                    if (!HasIntegers && (code & 0x7F) == 0x7F) code ^= 1;
                    _blocks[(block * blockBytes) + headerBytes + i] = code;
                    if (HasIntegers)
                    {
                        _weights[(block * length) + i] = (code - zero) * (double)scale;
                        continue;
                    }
                    int exponent = (code >> 3) & 15, mantissa = code & 7;
                    double magnitude = exponent == 0 ? mantissa / 512.0 : Math.Pow(2, exponent - 7) * (1 + (mantissa / 8.0));
                    _weights[(block * length) + i] = (code >= 128 ? -magnitude : magnitude) * scale;
                }
            }
        }

        private void FillNibbles(int block, int blockBytes, int length, float scale, int zero, Random random)
        {
            byte* stored = _blocks + (block * blockBytes);
            *(uint*)stored = Int4Header.Compose(scale, zero);
            for (int i = 0; i < length; i++)
            {
                int code = random.Next(16), half = i % 32 / 16;
                byte* two = stored + sizeof(uint) + (i / 32 * 16) + (i % 16);
                *two = (byte)(half == 0 ? code : *two | (code << 4));
                _weights[(block * length) + i] = (code - zero) * (double)scale;
            }
        }

        public bool HasIntegers => _shape.HasIntegers;

        public double this[int row, int column] => _weights[(row * _shape.Columns) + column];

        public Weight Create(GpuBench bench, bool isTable = false)
        {
            int parts = _shape.Gated ? 2 : 1, rows = _shape.Rows / parts;
            long bytes = (long)rows * _shape.Columns / _shape.StoredType.BlockLength() * _shape.StoredType.BlockBytes();
            StoredTensor[] tensors = [.. Enumerable.Range(0, parts).Select(part => new StoredTensor("codes", _shape.StoredType, [rows, _shape.Columns], (nint)_blocks + (nint)(part * bytes)))];
            return bench.Gpu.Tensors.CreateWeight(new WeightParts("test", tensors) { Gated = _shape.Gated, IsTable = isTable });
        }

        /// <summary>All of it as one tensor.</summary>
        public StoredTensor Tensor() => new("codes", _shape.StoredType, [_shape.Rows, _shape.Columns], (nint)_blocks);

        public void Dispose() => NativeMemory.Free(_blocks);
    }

    /// <summary>What activations are as integers: times what makes the largest 127.</summary>
    private static double[] RoundedToIntegers(float[] x)
    {
        float largest = x.Max(MathF.Abs), scale = largest / 127;
        return [.. x.Select(value => MathF.Round(value * (127 / largest)) * (double)scale)];
    }

    /// <summary>What activations are as 8-bit floats: times the least power of two that keeps the row in their range.</summary>
    private static double[] RoundedToFloats(float[] x)
    {
        double scale = Math.Max(Math.Pow(2, Math.Ceiling(Math.Log2(x.Max(Math.Abs) / Fp8Codes.LargestNumber))), Math.Pow(2, Fp8Codes.LeastExponent));
        return [.. x.Select(value => Round(value / scale) * scale)];
    }

    /// <summary>The nearest number with three bits behind the point and exponents from -6 on.</summary>
    private static double Round(double value)
    {
        double unit = value == 0 ? 1 : Math.Pow(2, Math.Max(Math.Floor(Math.Log2(Math.Abs(value))), -6) - 3);
        return Math.Clamp(Math.Round(value / unit, MidpointRounding.ToEven) * unit, -Fp8Codes.LargestNumber, Fp8Codes.LargestNumber);
    }
}
