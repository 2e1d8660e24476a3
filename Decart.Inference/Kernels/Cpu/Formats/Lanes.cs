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

    /// <summary>The f16 number at <paramref name="source"/> as float32 in element 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadHalf(byte* source) =>
        HalvesToSingle(Vector128.CreateScalarUnsafe((int)Unsafe.ReadUnaligned<short>(source)));

    /// <summary>The two f16 numbers at <paramref name="source"/> as float32 in elements 0 and 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadTwoHalves(byte* source) =>
        HalvesToSingle(Vector128.WidenLower(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<int>(source)).AsInt16()));

    /// <summary>Finite f16 numbers, given as sign-extended bit patterns, to float32.</summary>
    /// <remarks>
    /// With the exponent one too high a normal number is 2v, and v = 2v - v; a subnormal one, which has no implicit leading bit, is 2^-14 + v,
    /// and v = (2^-14 + v) - 2^-14. Subnormal scales are common, and no operand here is subnormal in float32, which many processors handle slowly.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> HalvesToSingle(Vector128<int> halves)
    {
        Vector128<int> raised = ((halves & Vector128.Create(0x7FFF)) << 13) + Vector128.Create((127 - 15 + 1) << 23);
        Vector128<float> twiceTheExcess = Vector128.Max(raised, Vector128.Create((127 - 15 + 2) << 23)).AsSingle();
        Vector128<float> magnitude = Vector128.FusedMultiplyAdd(twiceTheExcess, Vector128.Create(-0.5f), raised.AsSingle());
        return magnitude | (halves & Vector128.Create(int.MinValue)).AsSingle();
    }
}
