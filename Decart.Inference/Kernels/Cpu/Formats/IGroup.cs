using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>How many weights of a quantised folder share a scale, as far as blocks go: longer groups repeat it.</summary>
/// <remarks>Blocks of 128 would be slower: their chains of additions are too long for a processor to work on several at once.</remarks>
internal interface IGroup
{
    static abstract int Length { get; }

    static abstract TensorType Int4 { get; }

    static abstract TensorType Int8 { get; }

    static abstract TensorType E4M3 { get; }
}

internal readonly struct Group32 : IGroup
{
    public static int Length => 32;

    public static TensorType Int4 => TensorType.Int4x32;

    public static TensorType Int8 => TensorType.Int8x32;

    public static TensorType E4M3 => TensorType.E4M3x32;
}

internal readonly struct Group64 : IGroup
{
    public static int Length => 64;

    public static TensorType Int4 => TensorType.Int4x64;

    public static TensorType Int8 => TensorType.Int8x64;

    public static TensorType E4M3 => TensorType.E4M3x64;
}
