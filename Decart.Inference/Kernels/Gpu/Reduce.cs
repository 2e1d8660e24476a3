using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Values of all lanes or threads combined; every one of them takes part and receives the result.</summary>
internal static class Reduce
{
    /// <summary>The most warps of a group.</summary>
    private const int MaxWarps = 32;

    public static float WarpSum(float value)
    {
        for (int distance = Warp.WarpSize / 2; distance > 0; distance /= 2) value += Warp.ShuffleXor(value, distance);
        return value;
    }

    public static float WarpMax(float value)
    {
        for (int distance = Warp.WarpSize / 2; distance > 0; distance /= 2)
        {
            float other = Warp.ShuffleXor(value, distance);
            value = other > value ? other : value;
        }
        return value;
    }

    /// <summary>The sum over the group, the same bits in every thread.</summary>
    public static float GroupSum(float value)
    {
        ArrayView<float> sums = SharedMemory.Allocate1D<float>(MaxWarps).BaseView;
        value = WarpSum(value);
        if (Warp.LaneIdx == 0) sums[Group.IdxX / Warp.WarpSize] = value;
        Group.Barrier();
        float sum = 0;
        for (int warp = 0; warp < Group.DimX / Warp.WarpSize; warp++) sum += sums[warp];
        Group.Barrier();
        return sum;
    }
}
