using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct StoreWeightsArguments
{
    /// <summary>Rows of <see cref="Columns"/> elements of the type <see cref="Type"/>, one after another.</summary>
    public long Source;

    public long Destination;
    public int Type, Columns, Stride;
}

/// <summary>Rows of stored weights (F32, F16 or BF16) become rows of halves, padded with zeros up to the stride: one group a row.</summary>
internal static class GpuStoreWeights
{
    public static readonly GpuKernel<StoreWeightsArguments> Kernel = new(Run);

    private static void Run(StoreWeightsArguments a)
    {
        long row = Grid.IdxX;
        for (int i = Group.IdxX; i < a.Stride; i += Group.DimX)
        {
            uint half = i < a.Columns ? Load(a, (row * a.Columns) + i) : 0;
            Global.Store2(a.Destination + (((row * a.Stride) + i) * sizeof(ushort)), half);
        }
    }

    private static uint Load(StoreWeightsArguments a, long index)
    {
        if (a.Type == (int)TensorType.F16) return Global.Load2(a.Source + (index * sizeof(ushort)));
        return a.Type == (int)TensorType.BF16
            ? Halves.Saturate(BFloats.Low(Global.Load2(a.Source + (index * sizeof(ushort)))))
            : Halves.Saturate(Global.LoadFloat(a.Source + (index * sizeof(float))));
    }
}
