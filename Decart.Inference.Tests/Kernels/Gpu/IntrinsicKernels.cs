using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>A: 16 x 16, B: 8 x 16 (its transpose), C: 16 x 8, rows of 16-bit elements and of float32.</summary>
internal struct MultiplyArguments
{
    public long A, B, C;
    public int BFloats;
}

/// <summary>Source and destination of <see cref="Count"/> 32-bit words.</summary>
internal struct WordArguments
{
    public long Source, Destination;
    public int Count;
}

/// <summary>Kernels that use one intrinsic each.</summary>
internal static class IntrinsicKernels
{
    /// <summary>C = A B^T by one warp.</summary>
    public static readonly GpuKernel<MultiplyArguments> MultiplyKernel = new(Multiply, 32);

    /// <summary>
    /// Copies 128 words to shared memory and loads them as four matrices: word 4l + m of the result is what lane l has of matrix m.
    /// </summary>
    public static readonly GpuKernel<WordArguments> LoadMatricesKernel = new(LoadMatrices, 32);

    /// <summary>For each float32 f: its half and its bfloat16 in one word, both widened again, 2^f, and f f + f.</summary>
    public static readonly GpuKernel<WordArguments> ConvertKernel = new(Convert, 32);

    public const int ConvertedWords = 5;

    private static void Multiply(MultiplyArguments a)
    {
        int g = Warp.LaneIdx / 4, t = Warp.LaneIdx % 4;
        UInt4 left = new() { A = Pair(a.A, g, t), B = Pair(a.A, g + 8, t), C = Pair(a.A, g, t + 4), D = Pair(a.A, g + 8, t + 4) };
        uint right0 = Pair(a.B, g, t), right1 = Pair(a.B, g, t + 4);
        Float4 sums = new() { A = 1, B = 1, C = 1, D = 1 };
        if (a.BFloats != 0) sums = TensorCore.MultiplyBFloats(sums, left, right0, right1);
        else sums = TensorCore.MultiplyHalves(sums, left, right0, right1);
        Global.StoreFloat(a.C + (((g * 8) + (2 * t)) * 4), sums.A);
        Global.StoreFloat(a.C + (((g * 8) + (2 * t) + 1) * 4), sums.B);
        Global.StoreFloat(a.C + ((((g + 8) * 8) + (2 * t)) * 4), sums.C);
        Global.StoreFloat(a.C + ((((g + 8) * 8) + (2 * t) + 1) * 4), sums.D);
    }

    private static uint Pair(long matrix, int row, int pair) => (uint)Global.LoadInt(matrix + (((row * 8) + pair) * 4));

    private static void LoadMatrices(WordArguments a)
    {
        ArrayView<uint> words = SharedMemory.Allocate1D<uint>(128).BaseView;
        AsyncCopy.Start16(ref words[4 * Warp.LaneIdx], a.Source + (16 * Warp.LaneIdx));
        AsyncCopy.Commit();
        AsyncCopy.Wait(0);
        Group.Barrier();
        // Lane 8m + i points to row i of matrix m: four words.
        Global.Store16(a.Destination + (16 * Warp.LaneIdx), TensorCore.LoadMatrices(ref words[4 * Warp.LaneIdx]));
    }

    private static void Convert(WordArguments a)
    {
        for (int i = Group.IdxX; i < a.Count; i += Group.DimX)
        {
            float value = Global.LoadFloat(a.Source + (i * 4));
            uint halves = Halves.Round(0, value), bfloats = BFloats.Round(0, value);
            long destination = a.Destination + ((long)i * ConvertedWords * 4);
            Global.StoreInt(destination, (int)((halves & 0xFFFF0000) | (bfloats >> 16)));
            Global.StoreFloat(destination + 4, Halves.High(halves));
            Global.StoreFloat(destination + 8, BFloats.High(bfloats));
            Global.StoreFloat(destination + 12, Float32.Exp2(value));
            Global.StoreFloat(destination + 16, Float32.Fma(value, value, value));
        }
    }
}
