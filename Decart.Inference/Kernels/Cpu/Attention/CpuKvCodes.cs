using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Heads of keys and values to <see cref="KvCodes"/> and back, which is exact.</summary>
internal static unsafe class CpuKvCodes
{
    /// <summary>Codes moved to their places in a float32 count 2^-120 of what they stand for.</summary>
    private const float Moved = 1.329227995784916e36f;

    private const int SignAndMagnitude = unchecked((int)0x87F0_0000);

    /// <summary>Stores the keys or values of a head.</summary>
    /// <param name="elements">The elements.</param>
    /// <param name="codes">Where the codes go, whole blocks.</param>
    /// <param name="scale">Where their scale goes.</param>
    public static void Store(ReadOnlySpan<float> elements, byte* codes, ushort* scale)
    {
        int largest = 0;
        foreach (float element in elements) largest = Math.Max(largest, BitConverter.SingleToInt32Bits(element) & int.MaxValue);
        *scale = (ushort)Fp8Codes.ScaleOf(largest);
        float inverse = BitConverter.Int32BitsToSingle(Fp8Codes.InverseOf(*scale));
        for (int i = 0; i < elements.Length; i++) codes[i] = (byte)Fp8Codes.Round(BitConverter.SingleToInt32Bits(elements[i] * inverse));
        new Span<byte>(codes + elements.Length, KvCodes.HeadBytes(elements.Length) - elements.Length).Clear();
    }

    /// <summary>Widens a head; elements are whole blocks.</summary>
    /// <param name="codes">The codes.</param>
    /// <param name="count">Number of codes, a multiple of a block.</param>
    /// <param name="scale">Their scale.</param>
    /// <param name="elements">Where the elements go.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Widen(byte* codes, int count, ushort scale, float* elements)
    {
        Vector128<float> factor = Vector128.Create((float)BitConverter.UInt16BitsToHalf(scale) * Moved);
        for (int i = 0; i < count; i += KvCodes.Block)
        {
            (Vector128<short> lower, Vector128<short> upper) = Vector128.Widen(Vector128.Load((sbyte*)codes + i));
            Widen(lower, factor, elements + i);
            Widen(upper, factor, elements + i + (KvCodes.Block / 2));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Widen(Vector128<short> codes, Vector128<float> factor, float* elements)
    {
        (Vector128<int> lower, Vector128<int> upper) = Vector128.Widen(codes);
        Vector128<int> mask = Vector128.Create(SignAndMagnitude);
        (((lower << 20) & mask).AsSingle() * factor).Store(elements);
        (((upper << 20) & mask).AsSingle() * factor).Store(elements + 4);
    }
}
