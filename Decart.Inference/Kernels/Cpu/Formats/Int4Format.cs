using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// f32 scale d whose 13 lowest bits are an integer z, then 16 bytes of nibbles q for each 32 weights, lying as in Q4_0: weight <c>d * (q - z)</c>.
/// </summary>
/// <remarks>A scale that was f16 or bf16 has no bits where z lies, and so few that nothing is rounded: neither <c>d * z</c> nor the weight.</remarks>
internal readonly unsafe struct Int4Format<TGroup> : IBlockFormat<Int4Format<TGroup>>
    where TGroup : IGroup
{
    public static TensorType Type => TGroup.Int4;

    public static int BlockLength => TGroup.Length;

    public static int BlockBytes => sizeof(float) + (TGroup.Length / 2);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> scale = Vector512.Create(Int4Header.Scale(block)), offset = Vector512.Create(Int4Header.Offset(block));
        for (int i = 0; i < TGroup.Length; i += 32)
            accumulator = NibbleBlock.ForEach<TOperation>(accumulator, block + sizeof(float) + (i / 2), scale, offset, elements + i);
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        TFloats scale = TFloats.Create(Int4Header.Scale(block)), offset = TFloats.Create(Int4Header.Offset(block));
        byte* nibbles = block + sizeof(float), end = block + BlockBytes;
        do
        {
            accumulator = NibbleBlock.ForEach<TOperation, TFloats, TIntegers>(accumulator, nibbles, scale, offset, elements);
            nibbles += 16;
            elements += 32;
        }
        while (nibbles != end);
        return accumulator;
    }
}

/// <summary>Scale and zero point of a block of 4-bit weights, in four bytes.</summary>
internal static unsafe class Int4Header
{
    /// <summary>The bits of the zero.</summary>
    public const uint ZeroBits = 0x1FFF;

    /// <summary>The usual zero.</summary>
    public const uint Middle = 8;

    /// <summary>0, -1, -2, ...: a conversion would take longer. Never freed: lives as long as the process.</summary>
    private static readonly float* NegativeIntegers = Build();

    /// <summary>More than any code, or zero, of 4 bits.</summary>
    private const float BeyondCodes = 32;

    /// <summary>Whether the scale leaves room for a zero: it came from an f16 or a bf16, and no product with it is infinite.</summary>
    public static bool Fits(float scale) => (BitConverter.SingleToUInt32Bits(scale) & ZeroBits) == 0 && float.IsFinite(scale * BeyondCodes);

    /// <summary>The nearest scale that leaves room for a zero; what is no finite number stays as it is.</summary>
    public static float Round(float scale)
    {
        if (!float.IsFinite(scale)) return scale;
        uint bits = BitConverter.SingleToUInt32Bits(scale);
        return BitConverter.UInt32BitsToSingle((bits + (ZeroBits >> 1) + ((bits >> 13) & 1)) & ~ZeroBits);
    }

    public static uint Compose(float scale, int zero) => BitConverter.SingleToUInt32Bits(scale) | (uint)zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Scale(byte* block) => BitConverter.UInt32BitsToSingle(Unsafe.ReadUnaligned<uint>(block) & ~ZeroBits);

    /// <summary>What is added to <c>q * scale</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Offset(byte* block) => Scale(block) * NegativeIntegers[Unsafe.ReadUnaligned<uint>(block) & ZeroBits];

    private static float* Build()
    {
        float* integers = (float*)NativeMemory.AlignedAlloc((nuint)(ZeroBits + 1) * sizeof(float), 64);
        for (int i = 0; i <= ZeroBits; i++) integers[i] = -i;
        return integers;
    }
}
