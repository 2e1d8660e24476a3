using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct RotaryArguments
{
    public long Rows, Qkv;

    /// <summary>Float32 for each pair; unused when <see cref="Pairs"/> is 0.</summary>
    public long InverseFrequencies;

    /// <summary>Scales of the heads' RMSNorms; 0 for none.</summary>
    public long QueryNorm, KeyNorm;

    /// <summary>Elements of a row of <see cref="Qkv"/>.</summary>
    public int Stride;

    public int Layer, Heads, KvHeads, HeadDim, Pairs, Interleaved;
    public float Scale, QueryEpsilon, KeyEpsilon;
}

/// <summary>
/// Normalises and rotates the query and key heads, leaves the queries in place and writes keys and values: one group a row, one warp a head.
/// </summary>
internal static class GpuRotary
{
    public static readonly GpuKernel<RotaryArguments> Kernel = new(Run);

    private static void Run(RotaryArguments a)
    {
        ArrayView<float> cosines = SharedMemory.Allocate1D<float>(GpuAttention.MaxHeadDim / 2).BaseView;
        ArrayView<float> sines = SharedMemory.Allocate1D<float>(GpuAttention.MaxHeadDim / 2).BaseView;
        GpuRow row = GpuRow.Load(a.Rows, Grid.IdxX);
        for (int pair = Group.IdxX; pair < a.Pairs; pair += Group.DimX)
        {
            float frequency = Global.LoadFloat(a.InverseFrequencies + (pair * sizeof(float)));
            GpuMath.SinCos(row.Position * frequency, out float sine, out float cosine);
            cosines[pair] = cosine * a.Scale;
            sines[pair] = sine * a.Scale;
        }
        Group.Barrier();

        long heads = a.Qkv + ((long)Grid.IdxX * a.Stride * sizeof(float));
        long keys = GpuRow.TokenAddress(row, row.Position) + ((long)a.Layer * 2 * a.KvHeads * a.HeadDim * sizeof(ushort));
        for (int head = Group.IdxX / Warp.WarpSize; head < a.Heads + (2 * a.KvHeads); head += Group.DimX / Warp.WarpSize)
        {
            long source = heads + ((long)head * a.HeadDim * sizeof(float));
            long destination = head < a.Heads ? 0 : keys + ((long)(head - a.Heads) * a.HeadDim * sizeof(ushort));
            int rotated = head < a.Heads + a.KvHeads ? a.Pairs : 0;
            long scales = head < a.Heads ? a.QueryNorm : head < a.Heads + a.KvHeads ? a.KeyNorm : 0;
            float factor = 1;
            if (scales != 0) factor = NormFactor(source, a.HeadDim, head < a.Heads ? a.QueryEpsilon : a.KeyEpsilon);
            for (int pair = Warp.LaneIdx; pair < rotated; pair += Warp.WarpSize)
            {
                int i = a.Interleaved != 0 ? 2 * pair : pair, j = a.Interleaved != 0 ? i + 1 : pair + rotated;
                float x = Load(source, scales, i, factor), y = Load(source, scales, j, factor);
                float cosine = cosines[pair], sine = sines[pair];
                Store(source, destination, i, (x * cosine) - (y * sine));
                Store(source, destination, j, (y * cosine) + (x * sine));
            }
            for (int i = (2 * rotated) + Warp.LaneIdx; i < a.HeadDim; i += Warp.WarpSize) Store(source, destination, i, Load(source, scales, i, factor));
        }
    }

    private static float NormFactor(long head, int headDim, float epsilon)
    {
        float squares = 0;
        for (int i = Warp.LaneIdx; i < headDim; i += Warp.WarpSize)
        {
            float value = Global.LoadFloat(head + (i * sizeof(float)));
            squares = Float32.Fma(value, value, squares);
        }
        return 1 / MathF.Sqrt((Reduce.WarpSum(squares) / headDim) + epsilon);
    }

    private static float Load(long head, long scales, int i, float factor)
    {
        float value = Global.LoadFloat(head + (i * sizeof(float)));
        return scales == 0 ? value : value * factor * Global.LoadFloat(scales + (i * sizeof(float)));
    }

    /// <summary>Queries go back, keys and values to <paramref name="destination"/>.</summary>
    private static void Store(long source, long destination, int i, float value)
    {
        if (destination == 0) Global.StoreFloat(source + (i * sizeof(float)), value);
        else Global.Store2(destination + (i * sizeof(ushort)), Halves.Saturate(value));
    }
}
