using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using BenchmarkDotNet.Attributes;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.Cpu.Formats;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// The decode loop alone: four rows of weights times one vector, everything in the second-level cache, one thread. Times are per 256 weights:
/// a format's bytes of 256 weights divided by the nanoseconds is GB/s.
/// </summary>
public unsafe class WeightFormatBenchmarks
{
    private const int Columns = 2048, Rows = 64, Operations = Rows * Columns / 256;

    private byte* _weights;
    private float* _x;
    private delegate*<byte*, float*, float> _vector128, _vector256, _vector512;

    [Params(
        TensorType.F16, TensorType.BF16, TensorType.Q8_0, TensorType.Q4_0, TensorType.Q4_1, TensorType.Q5_0, TensorType.Q5_1,
        TensorType.Q2_K, TensorType.Q3_K, TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K,
        TensorType.IQ4_NL, TensorType.IQ4_XS, TensorType.IQ3_S, TensorType.IQ2_XXS, TensorType.MXFP4,
        TensorType.Int4x32, TensorType.Int4x64, TensorType.Int8x64, TensorType.E4M3x64, TensorType.NF4x64)]
    public TensorType Type { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        int bytes = Rows * Columns / Type.BlockLength() * Type.BlockBytes();
        _weights = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, 64);
        _x = (float*)NativeMemory.AlignedAlloc(Columns * sizeof(float), 64);
        // Equal bytes of this value are small positive f16 scales wherever a format keeps them.
        new Span<byte>(_weights, bytes).Fill(0x1C);
        // A scale that holds 2^120 must not be small: products that are subnormal would take longer.
        for (int block = 0; Type == TensorType.E4M3x64 && block < bytes; block += Type.BlockBytes()) *(float*)(_weights + block) = MathF.Pow(2, 114);
        new Span<float>(_x, Columns).Fill(0.5f);
        RuntimeHelpers.RunClassConstructor(typeof(HalfTable).TypeHandle);
        RuntimeHelpers.RunClassConstructor(typeof(Int4Header).TypeHandle);
        switch (Type)
        {
            case TensorType.F16: Choose<F16Format>(); break;
            case TensorType.BF16: Choose<BF16Format>(); break;
            case TensorType.Q8_0: Choose<Q8_0Format>(); break;
            case TensorType.Q4_0: Choose<Q4_0Format>(); break;
            case TensorType.Q4_1: Choose<Q4_1Format>(); break;
            case TensorType.Q5_0: Choose<Q5_0Format>(); break;
            case TensorType.Q5_1: Choose<Q5_1Format>(); break;
            case TensorType.Q2_K: Choose<Q2_KFormat>(); break;
            case TensorType.Q3_K: Choose<Q3_KFormat>(); break;
            case TensorType.Q4_K: Choose<Q4_KFormat>(); break;
            case TensorType.Q5_K: Choose<Q5_KFormat>(); break;
            case TensorType.Q6_K: Choose<Q6_KFormat>(); break;
            case TensorType.IQ4_NL: Choose<IQ4_NLFormat>(); break;
            case TensorType.IQ4_XS: Choose<IQ4_XSFormat>(); break;
            case TensorType.IQ3_S: Choose<IQ3_SFormat>(); break;
            case TensorType.IQ2_XXS: Choose<IQ2_XXSFormat>(); break;
            case TensorType.MXFP4: Choose<MXFP4Format>(); break;
            case TensorType.Int4x32: Choose<Int4Format<Group32>>(); break;
            case TensorType.Int4x64: Choose<Int4Format<Group64>>(); break;
            case TensorType.Int8x64: Choose<Int8Format<Group64>>(); break;
            case TensorType.E4M3x64: Choose<E4M3Format<Group64>>(); break;
            case TensorType.NF4x64: Choose<Float4Format<NormalFloat4>>(); break;
            default: throw new InvalidOperationException($"No benchmark for {Type}.");
        }
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        NativeMemory.AlignedFree(_weights);
        NativeMemory.AlignedFree(_x);
    }

    [Benchmark(OperationsPerInvoke = Operations)]
    public float Vector512Rows() => _vector512(_weights, _x);

    [Benchmark(OperationsPerInvoke = Operations)]
    public float Vector256Rows() => _vector256(_weights, _x);

    [Benchmark(OperationsPerInvoke = Operations)]
    public float Vector128Rows() => _vector128(_weights, _x);

    private void Choose<TFormat>()
        where TFormat : struct, IWeightFormat
    {
        _vector512 = &MultiplyRows512<TFormat>;
        _vector256 = &MultiplyRows256<TFormat>;
        _vector128 = &MultiplyRows128<TFormat>;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float MultiplyRows512<TFormat>(byte* weights, float* x)
        where TFormat : struct, IWeightFormat
    {
        nint rowBytes = Columns / TFormat.BlockLength * TFormat.BlockBytes;
        Vector512<float> a = default, b = default, c = default, d = default;
        for (int row = 0; row < Rows; row += 4)
        {
            byte* block = weights + (row * rowBytes);
            for (int column = 0; column < Columns; column += TFormat.BlockLength)
            {
                a = TFormat.MultiplyAdd(a, block, x + column);
                b = TFormat.MultiplyAdd(b, block + rowBytes, x + column);
                c = TFormat.MultiplyAdd(c, block + (2 * rowBytes), x + column);
                d = TFormat.MultiplyAdd(d, block + (3 * rowBytes), x + column);
                block += TFormat.BlockBytes;
            }
        }
        return Vector512.Sum(a + b + (c + d));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float MultiplyRows256<TFormat>(byte* weights, float* x)
        where TFormat : struct, IWeightFormat
    {
        nint rowBytes = Columns / TFormat.BlockLength * TFormat.BlockBytes;
        Vector256<float> a = default, b = default, c = default, d = default;
        for (int row = 0; row < Rows; row += 4)
        {
            byte* block = weights + (row * rowBytes);
            for (int column = 0; column < Columns; column += TFormat.BlockLength)
            {
                a = TFormat.MultiplyAdd(a, block, x + column);
                b = TFormat.MultiplyAdd(b, block + rowBytes, x + column);
                c = TFormat.MultiplyAdd(c, block + (2 * rowBytes), x + column);
                d = TFormat.MultiplyAdd(d, block + (3 * rowBytes), x + column);
                block += TFormat.BlockBytes;
            }
        }
        return Vector256.Sum(a + b + (c + d));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float MultiplyRows128<TFormat>(byte* weights, float* x)
        where TFormat : struct, IWeightFormat
    {
        nint rowBytes = Columns / TFormat.BlockLength * TFormat.BlockBytes;
        Vector128<float> a = default, b = default, c = default, d = default;
        for (int row = 0; row < Rows; row += 4)
        {
            byte* block = weights + (row * rowBytes);
            for (int column = 0; column < Columns; column += TFormat.BlockLength)
            {
                a = TFormat.MultiplyAdd(a, block, x + column);
                b = TFormat.MultiplyAdd(b, block + rowBytes, x + column);
                c = TFormat.MultiplyAdd(c, block + (2 * rowBytes), x + column);
                d = TFormat.MultiplyAdd(d, block + (3 * rowBytes), x + column);
                block += TFormat.BlockBytes;
            }
        }
        return Vector128.Sum(a + b + (c + d));
    }
}
