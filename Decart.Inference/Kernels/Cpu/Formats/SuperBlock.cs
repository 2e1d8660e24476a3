using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// Room on the stack for a block's scales, from which kernels broadcast them. It is aligned to a cache line: a vector stored across two
/// lines would reach the loads that follow only by way of the cache, which makes a whole block half as slow again.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = (Capacity * sizeof(float)) + CacheLine)]
internal unsafe struct ScaleBuffer
{
    private const int Capacity = 32, CacheLine = 64;

    /// <summary>The first of 32 floats within a buffer that does not move.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float* Align(ScaleBuffer* buffer) => (float*)(((nuint)buffer + CacheLine - 1) & ~(nuint)(CacheLine - 1));
}

/// <summary>Scales of the 256-weight formats: small integers times an f16 number that the whole block shares.</summary>
internal static unsafe class SuperBlock
{
    private const uint LowNibbles = 0x0F0F_0F0F, SixBits = 0x3F3F_3F3F, UpperTwoOfSix = 0x3030_3030;

    /// <summary>
    /// Stores the eight scales of Q4_K and Q5_K as float32, then the eight minimums, negated.
    /// The block begins with f16 d and dmin, then 12 bytes hold 6 bits each: the first four scales and minimums in the low bits of
    /// bytes 0-3 and 4-7, the other four in bytes 8-11 (scales in the low nibbles) with their upper two bits on top of bytes 0-7.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreScalesAndOffsets<TFloats, TIntegers>(byte* block, float* destination)
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        uint first = Unsafe.ReadUnaligned<uint>(block + 4), second = Unsafe.ReadUnaligned<uint>(block + 8), third = Unsafe.ReadUnaligned<uint>(block + 12);
        uint upperScales = (third & LowNibbles) | ((first >> 2) & UpperTwoOfSix);
        uint upperMinimums = ((third >> 4) & LowNibbles) | ((second >> 2) & UpperTwoOfSix);
        StoreEight<TFloats, TIntegers>((first & SixBits) | (ulong)upperScales << 32, 0, HalfTable.Load(block), destination);
        StoreEight<TFloats, TIntegers>((second & SixBits) | (ulong)upperMinimums << 32, 0, -HalfTable.Load(block + 2), destination + 8);
    }

    /// <summary>
    /// Stores the sixteen scales of Q3_K as float32: 6 bits each with 32 subtracted. Bytes 0-7 hold the low nibbles of scales 0-7, above them those of
    /// 8-15; bytes 8-11 the upper two bits, scale s in byte 8 + s % 4.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreSignedScales<TFloats, TIntegers>(byte* packed, float unit, float* destination)
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        uint first = Unsafe.ReadUnaligned<uint>(packed), second = Unsafe.ReadUnaligned<uint>(packed + 4), upper = Unsafe.ReadUnaligned<uint>(packed + 8);
        ulong low = ((first & LowNibbles) | ((upper << 4) & UpperTwoOfSix)) | (ulong)((second & LowNibbles) | ((upper << 2) & UpperTwoOfSix)) << 32;
        ulong high = (((first >> 4) & LowNibbles) | (upper & UpperTwoOfSix))
            | (ulong)(((second >> 4) & LowNibbles) | ((upper >> 2) & UpperTwoOfSix)) << 32;
        StoreEight<TFloats, TIntegers>(low, 32, unit, destination);
        StoreEight<TFloats, TIntegers>(high, 32, unit, destination + 8);
    }

    /// <summary>Stores eight bytes less <paramref name="bias"/> times <paramref name="unit"/>, which is exact.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreEight<TFloats, TIntegers>(ulong bytes, int bias, float unit, float* destination)
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        for (int i = 0; i < 8; i += TFloats.Count)
            (TIntegers.ToSingle(TIntegers.Widen(bytes >> (8 * i)) - TIntegers.Create(bias)) * TFloats.Create(unit)).Store(destination + i);
    }
}
