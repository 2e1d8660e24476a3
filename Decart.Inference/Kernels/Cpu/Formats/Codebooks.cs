using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>The tables that block formats look values up in, as ggml defines them, and what is common in their use.</summary>
internal static unsafe class Codebooks
{
    private const ulong OneInEachByte = 0x0101_0101_0101_0101;

    /// <summary>Eight weights of IQ1_S and IQ1_M: -8, 0 and 8.</summary>
    public static readonly ulong* Grid1 = Build<ulong>(CodebookPoints.Ternary2048, [-8, 0, 8]);

    /// <summary>Eight magnitudes of IQ2_XXS.</summary>
    public static readonly ulong* Grid2XXS = Build<ulong>(CodebookPoints.Ternary256, [8, 25, 43]);

    /// <summary>Eight magnitudes of IQ2_XS.</summary>
    public static readonly ulong* Grid2XS = Build<ulong>(CodebookPoints.Ternary512, [8, 25, 43]);

    /// <summary>Eight magnitudes of IQ2_S.</summary>
    public static readonly ulong* Grid2S = Build<ulong>(CodebookPoints.Ternary1024, [8, 25, 43]);

    /// <summary>Four magnitudes of IQ3_XXS.</summary>
    public static readonly uint* Grid3XXS = Build<uint>(CodebookPoints.Octal256, [4, 12, 20, 28, 36, 44, 52, 62]);

    /// <summary>Four magnitudes of IQ3_S.</summary>
    public static readonly uint* Grid3S = Build<uint>(CodebookPoints.Octal512, [1, 3, 5, 7, 9, 11, 13, 15]);

    /// <summary>For each byte of sign bits eight bytes, all ones where a weight is negative.</summary>
    private static readonly ulong* SignMasks = BuildSignMasks();

    /// <summary>What the nibbles of IQ4_NL and IQ4_XS mean.</summary>
    public static Vector128<sbyte> NonLinear
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector128.Create((sbyte)-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
    }

    /// <summary>Twice what the nibbles of MXFP4 mean.</summary>
    public static Vector128<sbyte> TwiceE2M1
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector128.Create((sbyte)0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
    }

    /// <summary>Stores the table's entries for 32 nibbles: the low ones of 16 bytes, then the high ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LookUpNibbles(Vector128<sbyte> table, byte* nibbles, sbyte* values)
    {
        Vector128<byte> bytes = Vector128.Load(nibbles);
        Vector128.ShuffleNative(table, (bytes & Vector128.Create((byte)15)).AsSByte()).Store(values);
        Vector128.ShuffleNative(table, (bytes >>> 4).AsSByte()).Store(values + 16);
    }

    /// <summary>Eight sign bits of which seven are given and the last makes their number even.</summary>
    /// <param name="bits">The seven are the lowest; the others do not matter.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint EvenSigns(uint bits)
    {
        uint seven = bits & 127;
        return seven | ((uint)(BitOperations.PopCount(seven) & 1) << 7);
    }

    /// <summary>Stores eight magnitudes, none of them zero, with their signs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(sbyte* values, ulong magnitudes, uint signs)
    {
        ulong mask = SignMasks[signs];
        Unsafe.WriteUnaligned(values, (magnitudes ^ mask) + (mask & OneInEachByte));
    }

    /// <inheritdoc cref="Store(sbyte*, ulong, uint)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(sbyte* values, uint first, uint second, uint signs) => Store(values, first | ((ulong)second << 32), signs);

    /// <summary>Stores eight values -8, 0 or 8 plus 1, or minus 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreShifted(sbyte* values, ulong point, bool minus)
    {
        Vector128<sbyte> eight = Vector128.CreateScalarUnsafe(point).AsSByte();
        Unsafe.WriteUnaligned(values, (eight + Vector128.Create(minus ? (sbyte)-1 : (sbyte)1)).AsUInt64().ToScalar());
    }

    /// <summary>The points of a grid in ascending order, a byte for each coordinate. Never freed: lives as long as the process.</summary>
    private static TPoint* Build<TPoint>(string points, ReadOnlySpan<sbyte> digits)
        where TPoint : unmanaged
    {
        byte[] present = Convert.FromBase64String(points);
        int count = 0;
        foreach (byte bits in present) count += BitOperations.PopCount(bits);
        TPoint* table = (TPoint*)NativeMemory.AlignedAlloc((nuint)(count * sizeof(TPoint)), 64);
        sbyte* coordinate = (sbyte*)table;
        for (int number = 0; number < present.Length * 8; number++)
        {
            if ((present[number / 8] >> (number % 8) & 1) == 0) continue;
            for (int i = 0, rest = number; i < sizeof(TPoint); i++, rest /= digits.Length) *coordinate++ = digits[rest % digits.Length];
        }
        return table;
    }

    private static ulong* BuildSignMasks()
    {
        ulong* masks = (ulong*)NativeMemory.AlignedAlloc(256 * sizeof(ulong), 64);
        for (int signs = 0; signs < 256; signs++)
        {
            masks[signs] = 0;
            for (int bit = 0; bit < 8; bit++) masks[signs] |= (signs >> bit & 1) == 0 ? 0 : 0xFFUL << (8 * bit);
        }
        return masks;
    }
}
