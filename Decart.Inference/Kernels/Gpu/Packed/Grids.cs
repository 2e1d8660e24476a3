using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>A format whose weights are points of a grid. Formats differ in what coordinates points have, and in a factor of all scales.</summary>
internal interface IGrid
{
    static abstract TensorType Type { get; }

    /// <inheritdoc cref="IPackedFormat.Table"/>
    static abstract UInt4 Table { get; }

    /// <summary>The factor.</summary>
    static abstract float Unit { get; }

    /// <summary>The scale of a stored block, a half: most begin with it. For the host.</summary>
    static virtual unsafe ushort LoadScale(byte* block) => Unsafe.ReadUnaligned<ushort>(block);
}

internal readonly struct GridIQ1_S : IGrid
{
    public static TensorType Type => TensorType.IQ1_S;

    public static UInt4 Table => PackedTables.Shifted;

    public static float Unit => 1f / 8;
}

internal readonly struct GridIQ1_M : IGrid
{
    public static TensorType Type => TensorType.IQ1_M;

    public static UInt4 Table => PackedTables.Shifted;

    public static float Unit => 1f / 8;

    public static unsafe ushort LoadScale(byte* block) => IQ1_MFormat.LoadScale(block);
}

internal readonly struct GridIQ2_XXS : IGrid
{
    public static TensorType Type => TensorType.IQ2_XXS;

    public static UInt4 Table => PackedTables.Ternary;

    public static float Unit => 1f / 8;
}

internal readonly struct GridIQ2_XS : IGrid
{
    public static TensorType Type => TensorType.IQ2_XS;

    public static UInt4 Table => PackedTables.Ternary;

    public static float Unit => 1f / 8;
}

internal readonly struct GridIQ2_S : IGrid
{
    public static TensorType Type => TensorType.IQ2_S;

    public static UInt4 Table => PackedTables.Ternary;

    public static float Unit => 1f / 8;
}

internal readonly struct GridIQ3_XXS : IGrid
{
    public static TensorType Type => TensorType.IQ3_XXS;

    public static UInt4 Table => PackedTables.Octal;

    public static float Unit => 1f / 4;
}

internal readonly struct GridIQ3_S : IGrid
{
    public static TensorType Type => TensorType.IQ3_S;

    public static UInt4 Table => PackedTables.Odd;

    public static float Unit => 1;
}
