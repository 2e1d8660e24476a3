using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Memory;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>How a row of activations becomes codes of 8 bits: by a scale, which depends on its largest magnitude.</summary>
internal interface IRowCodes
{
    /// <summary>What the codes are to be multiplied by.</summary>
    /// <param name="largest">The largest <see cref="CoreRow.LargestMagnitude(CoreRow)"/>; of what is no number, a scale that is none either.</param>
    static abstract float Scale(int largest);

    /// <summary>What activations are multiplied by before they are rounded.</summary>
    /// <param name="largest">As <see cref="Scale"/> has it.</param>
    static abstract float Inverse(int largest);

    /// <summary>Eight codes, the first in the lowest byte.</summary>
    /// <param name="row">Activations times <see cref="Inverse"/>.</param>
    static abstract ulong Round(CoreRow row);
}

/// <summary>Floats: see <see cref="Fp8Codes"/>.</summary>
internal readonly struct FloatCodes : IRowCodes
{
    public static float Scale(int largest) => Halves.Low((uint)Fp8Codes.ScaleOf(largest));

    public static float Inverse(int largest) => Interop.IntAsFloat((uint)Fp8Codes.InverseOf(Fp8Codes.ScaleOf(largest)));

    public static ulong Round(CoreRow row) => CoreRow.Codes(row);
}

/// <summary>Signed integers: the largest magnitude becomes 127, or what is beyond the halves.</summary>
internal readonly struct IntegerCodes : IRowCodes
{
    private const float Largest = 127;

    /// <summary>Bits of 2^-100, whose inverse is a number too, and of 65504.</summary>
    private const int LeastBits = (127 - 100) << 23, LargestBits = 0x477F_E000, InfinityBits = 0x7F80_0000;

    public static float Scale(int largest) => largest > InfinityBits ? Interop.IntAsFloat((uint)largest) : Bounded(largest) / Largest;

    public static float Inverse(int largest) => Largest / Bounded(largest);

    public static ulong Round(CoreRow row) => Round(row.Left) | ((ulong)Round(row.Right) << 32);

    private static uint Round(Float4 x) => Integers.RoundBytes(x.A, x.B, x.C, x.D);

    private static float Bounded(int largest) => Interop.IntAsFloat((uint)Math.Min(Math.Max(largest, LeastBits), LargestBits));
}
