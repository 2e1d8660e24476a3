using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>What the 16 values of a nibble mean.</summary>
internal unsafe interface IFloat4
{
    static abstract TensorType Type { get; }

    /// <summary>The 16 values.</summary>
    static abstract float* Table { get; }
}

/// <summary>f32 scale d, then 16 bytes of nibbles q for each 32 weights, lying as in Q4_0: weight <c>d * table[q]</c>, rounded once.</summary>
internal readonly unsafe struct Float4Format<TTable> : IBlockFormat<Float4Format<TTable>>
    where TTable : IFloat4
{
    private const int Length = 64;

    public static TensorType Type => TTable.Type;

    public static int BlockLength => Length;

    public static int BlockBytes => sizeof(float) + (Length / 2);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> values = Vector512.Load(TTable.Table) * Vector512.Create(*(float*)block);
        for (int i = 0; i < Length; i += 32)
        {
            Vector512<int> bytes = Lanes.Widen16(block + sizeof(float) + (i / 2));
            accumulator = TOperation.Apply(accumulator, Lanes.Lookup(values, bytes), elements + i);
            accumulator = TOperation.Apply(accumulator, Lanes.Lookup(values, bytes >>> 4), elements + i + 16);
        }
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        TFloats scale = TFloats.Create(*(float*)block);
        TIntegers lowNibble = TIntegers.Create(15);
        float* table = TTable.Table;
        for (int i = 0; i < Length; i += 32)
        {
            byte* nibbles = block + sizeof(float) + (i / 2);
            for (int lane = 0; lane < 16; lane += TFloats.Count)
                accumulator = TOperation.Apply(accumulator, TIntegers.LookUp(table, TIntegers.Widen(nibbles + lane) & lowNibble) * scale, elements + i + lane);
            for (int lane = 0; lane < 16; lane += TFloats.Count)
                accumulator = TOperation.Apply(accumulator, TIntegers.LookUp(table, TIntegers.Widen(nibbles + lane) >>> 4) * scale, elements + i + 16 + lane);
        }
        return accumulator;
    }
}

/// <summary>NF4: quantiles of the normal distribution (Dettmers et al., "QLoRA", appendix E), the float32 numbers that bitsandbytes stores.</summary>
internal readonly unsafe struct NormalFloat4 : IFloat4
{
    private static readonly float* Values = Float4Tables.Keep(
    [
        -1, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0,
        0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1,
    ]);

    public static TensorType Type => TensorType.NF4x64;

    public static float* Table => Values;
}

/// <summary>FP4 of bitsandbytes: a sign and twelfths, so that the largest is 1.</summary>
internal readonly unsafe struct BitsAndBytesFloat4 : IFloat4
{
    private static readonly float* Values = Float4Tables.Keep(
    [
        0, 0.0052083334885537624f, 0.6666666865348816f, 1, 0.3333333432674408f, 0.5f, 0.1666666716337204f, 0.25f,
        -0f, -0.0052083334885537624f, -0.6666666865348816f, -1, -0.3333333432674408f, -0.5f, -0.1666666716337204f, -0.25f,
    ]);

    public static TensorType Type => TensorType.FP4x64;

    public static float* Table => Values;
}

internal static unsafe class Float4Tables
{
    /// <summary>A copy that does not move. Never freed: lives as long as the process.</summary>
    public static float* Keep(ReadOnlySpan<float> values)
    {
        float* table = (float*)NativeMemory.AlignedAlloc((nuint)(values.Length * sizeof(float)), 64);
        values.CopyTo(new Span<float>(table, values.Length));
        return table;
    }
}
