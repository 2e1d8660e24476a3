using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>Register operations that the block formats share.</summary>
internal static unsafe class Lanes
{
    /// <summary>0, 1, ... 15: the values of a nibble, and the numbers of the lanes.</summary>
    public static Vector512<float> Iota16
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector512.Create(0f, 1f, 2f, 3f, 4f, 5f, 6f, 7f, 8f, 9f, 10f, 11f, 12f, 13f, 14f, 15f);
    }

    /// <summary>Entry <c>index % 16</c> of <paramref name="table"/> in each lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Lookup(Vector512<float> table, Vector512<int> index) =>
        Avx512F.IsSupported ? Avx512F.PermuteVar16x32(table, index) : Vector512.Shuffle(table, index & Vector512.Create(15));

    /// <summary>Entry <c>index % 32</c> of the table whose first half is <paramref name="low"/> in each lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Lookup(Vector512<float> low, Vector512<float> high, Vector512<int> index) => Avx512F.IsSupported
        ? Avx512F.PermuteVar16x32x2(low, index, high)
        : Vector512.ConditionalSelect(
            Vector512.Equals(index & Vector512.Create(16), Vector512<int>.Zero).AsSingle(), Lookup(low, index), Lookup(high, index));

    /// <summary>Moves bit i of <paramref name="bits"/> to bit 4 of lane i; the other bits of the lanes mean nothing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> SpreadToBit4(uint bits) => Avx512F.IsSupported
        ? Avx512F.ShiftRightLogicalVariable(Vector512.Create(bits << 4), Vector512<uint>.Indices).AsInt32()
        : Vector512.Create(SpreadToBit4(Vector256.Create(bits), 0), SpreadToBit4(Vector256.Create(bits), 8));

    /// <summary>Moves bit <paramref name="start"/> + i of every lane to bit 4 of lane i; the other bits of the lanes are zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> SpreadToBit4(Vector256<uint> bits, int start)
    {
        Vector256<uint> fifth = Vector256.Create(16u);
        if (!Avx2.IsSupported)
        {
            Vector256<uint> mask = Vector256.Create(1u, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7) << start;
            return Vector256.AndNot(fifth, Vector256.Equals(bits & mask, Vector256<uint>.Zero)).AsInt32();
        }
        Vector256<uint> shifted = start == 0
            ? Avx2.ShiftRightLogicalVariable(bits << 4, Vector256<uint>.Indices)
            : Avx2.ShiftRightLogicalVariable(bits, Vector256<uint>.Indices + Vector256.Create((uint)start - 4));
        return (shifted & fifth).AsInt32();
    }

    /// <summary>Widens 16 bytes to 16 lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Widen16(byte* source) => Avx512F.IsSupported
        ? Avx512F.ConvertToVector512Int32(Vector128.Load(source))
        : Vector512.Create(Widen8(source), Widen8(source + 8));

    /// <inheritdoc cref="Widen16(byte*)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Widen16(sbyte* source) => Avx512F.IsSupported
        ? Avx512F.ConvertToVector512Int32(Vector128.Load(source))
        : Vector512.Create(Widen8(source), Widen8(source + 8));

    /// <summary>Widens 8 bytes to 8 lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Widen8(byte* source) => Widen8(Unsafe.ReadUnaligned<ulong>(source));

    /// <inheritdoc cref="Widen8(byte*)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Widen8(ulong bytes)
    {
        Vector128<byte> vector = Vector128.CreateScalarUnsafe(bytes).AsByte();
        if (Avx2.IsSupported) return Avx2.ConvertToVector256Int32(vector);
        Vector128<ushort> words = Vector128.WidenLower(vector);
        return Vector256.Create(Vector128.WidenLower(words), Vector128.WidenUpper(words)).AsInt32();
    }

    /// <inheritdoc cref="Widen8(byte*)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Widen8(sbyte* source)
    {
        Vector128<sbyte> vector = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(source)).AsSByte();
        if (Avx2.IsSupported) return Avx2.ConvertToVector256Int32(vector);
        Vector128<short> words = Vector128.WidenLower(vector);
        return Vector256.Create(Vector128.WidenLower(words), Vector128.WidenUpper(words));
    }
}
