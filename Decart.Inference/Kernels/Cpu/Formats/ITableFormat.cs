using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// A block encoding whose weights are small integers, most from a table, times a scale: it says which, and the rest follows. The products are exact
/// in float32, or rounded once as in ggml.
/// </summary>
internal unsafe interface ITableFormat<TSelf> : ILongBlockFormat<TSelf>
    where TSelf : ITableFormat<TSelf>
{
    /// <summary>Writes the integers of a block, and a scale for each 16 of them.</summary>
    /// <param name="block">The block.</param>
    /// <param name="values">Room for the integers, and a vector more.</param>
    /// <param name="scales">Room for the scales.</param>
    static abstract void Unpack(byte* block, sbyte* values, float* scales);

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static Vector512<float> IBlockFormat<TSelf>.ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
    {
        TableBuffer buffer;
        float* scales = TableBuffer.Align(&buffer);
        sbyte* values = (sbyte*)(scales + TableBuffer.Scales);
        TSelf.Unpack(block, values, scales);
        for (int i = 0; i < TSelf.BlockLength; i += 16)
        {
            Vector512<float> weights = Vector512.ConvertToSingle(Lanes.Widen16(values + i)) * Vector512.Create(*scales++);
            accumulator = TOperation.Apply(accumulator, weights, elements + i);
        }
        return accumulator;
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static TFloats IBlockFormat<TSelf>.ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
    {
        TableBuffer buffer;
        float* scales = TableBuffer.Align(&buffer);
        sbyte* values = (sbyte*)(scales + TableBuffer.Scales);
        TSelf.Unpack(block, values, scales);
        for (int i = 0; i < TSelf.BlockLength; i += 16)
        {
            TFloats scale = TFloats.Create(*scales++);
            for (int lane = 0; lane < 16; lane += TFloats.Count)
                accumulator = TOperation.Apply(accumulator, TIntegers.ToSingle(TIntegers.Widen(values + i + lane)) * scale, elements + i + lane);
        }
        return accumulator;
    }
}

/// <summary>Room on the stack for an unpacked block: its scales, then its integers and a vector more, aligned as <see cref="ScaleBuffer"/> is.</summary>
[StructLayout(LayoutKind.Sequential, Size = (Scales * sizeof(float)) + 256 + 16 + CacheLine)]
internal unsafe struct TableBuffer
{
    /// <summary>Scales of a block, at most.</summary>
    public const int Scales = 16;

    private const int CacheLine = 64;

    /// <summary>The first of the scales within a buffer that does not move.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float* Align(TableBuffer* buffer) => (float*)(((nuint)buffer + CacheLine - 1) & ~(nuint)(CacheLine - 1));
}
