using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>
/// Sums of products of signed integers of 8 bits, two of them in the place of a half: of 32 columns of k at a time, exact in 32 bits up to <see cref="IntegerSums.MaxColumns"/>, so their order does not matter.
/// In the end they are multiplied by a scale for each row of the weight and of x.
/// </summary>
internal struct IntegerSums<TSums> : ISums<IntegerSums<TSums>>
    where TSums : unmanaged, ICodeSums<TSums>
{
    private TSums _sums;

    public static int Columns => TSums.Columns;

    public static IntegerSums<TSums> Multiply(IntegerSums<TSums> sums, int a, int b) => new() { _sums = TSums.MultiplyIntegers(sums._sums, a, b) };

    public static bool HasPairs => false;

    public static bool HaveCodes => true;

    public static IntegerSums<TSums> Finish(IntegerSums<TSums> sums, MatMulArguments a, int tile, int row)
    {
        long address = a.Scales + ((long)tile * ByteTiles.TileScaleBytes) + ((Warp.LaneIdx >> 2) * sizeof(float));
        Float2 scales = new() { A = Global.LoadFloat(address), B = Global.LoadFloat(address + (CoreTiles.CoreRows * sizeof(float))) };
        return new() { _sums = TSums.Scale<IntegerScales>(sums._sums, scales, a.XScales + ((long)row * sizeof(float))) };
    }

    public static Tile64 First(IntegerSums<TSums> sums) => TSums.First(sums._sums);

    public static IntegerSums<TSums> Shift(IntegerSums<TSums> sums) => new() { _sums = TSums.Shift(sums._sums) };
}

internal static class IntegerSums
{
    /// <summary>The most columns whose sums of products of -128 to 127 have room.</summary>
    public const int MaxColumns = int.MaxValue / (128 * 128);
}
