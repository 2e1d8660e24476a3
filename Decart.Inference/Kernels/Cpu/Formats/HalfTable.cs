using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>float32 values of all f16 bit patterns, for the scales of blocks.</summary>
/// <remarks>
/// .NET has no instruction-level conversion, and emulating it takes longer than all else that a 32-weight block needs. The scales of a model lie within a
/// few powers of two, so of the table's 256 KiB about a dozen stay in the first-level cache; a broadcast from it is one load.
/// </remarks>
internal static unsafe class HalfTable
{
    /// <summary>Never freed: lives as long as the process.</summary>
    private static readonly float* Singles = Build();

    /// <summary>The f16 number at <paramref name="source"/>, which need not be aligned.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(byte* source) => Singles[Unsafe.ReadUnaligned<ushort>(source)];

    private static float* Build()
    {
        float* singles = (float*)NativeMemory.AlignedAlloc((ushort.MaxValue + 1) * sizeof(float), 64);
        for (int bits = 0; bits <= ushort.MaxValue; bits++) singles[bits] = (float)BitConverter.UInt16BitsToHalf((ushort)bits);
        return singles;
    }
}
