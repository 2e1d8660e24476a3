using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Memory;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Where in a token the keys and values of a head lie, and how kernels read and store those that are <see cref="KvCodes"/>. What a kernel is for, halves or codes, is a constant
/// wherever it is asked for.
/// </summary>
/// <remarks>
/// Element i of a block of 16 lies beside element i + 8: in a register of four codes the even bytes are two neighbours and the odd bytes the two that are 8 further, which is
/// how tensor cores want them, of keys as they lie and of values transposed.
/// </remarks>
internal static class GpuKv
{
    /// <summary>Codes whose bits stand where those of halves do count 2^-8 of what they stand for: twice the half 256.</summary>
    private const uint Moved = 0x5C005C00;

    /// <summary>Bytes from the start of a token to the keys of a head.</summary>
    public static long KeyOffset(AttentionArguments a, int kvHead, bool codes) =>
        codes ? a.LayerOffset + ((long)kvHead * a.HeadBytes) : (((long)a.Layer * 2 * a.KvHeads) + kvHead) * a.HeadDim * sizeof(ushort);

    /// <summary>Bytes from the keys of a head to its values.</summary>
    public static long ValueBytes(AttentionArguments a, bool codes) => codes ? (long)a.KvHeads * a.HeadBytes : (long)a.KvHeads * a.HeadDim * sizeof(ushort);

    /// <summary>Bytes from the start of a token to the scale of the keys of a head, behind which that of its values is.</summary>
    public static long ScaleOffset(AttentionArguments a, int kvHead) => a.ScaleOffset + ((long)kvHead * 2 * KvCodes.ScaleBytes);

    /// <summary>The byte of a head that an element's code is.</summary>
    public static int Place(int dim) => (dim & -KvCodes.Block) | ((dim & 7) << 1) | ((dim >> 3) & 1);

    /// <summary>A scale twice, for <see cref="Even"/> and <see cref="Odd"/>.</summary>
    public static uint LoadScale(long address)
    {
        uint scale = Global.Load2(address);
        return Halves.Multiply(scale | (scale << 16), Moved);
    }

    /// <summary>What the codes in the first and the third byte stand for.</summary>
    /// <param name="codes">Four codes.</param>
    /// <param name="scale">See <see cref="LoadScale"/>.</param>
    public static uint Even(uint codes, uint scale) => Odd(codes << 8, scale);

    /// <summary>What the codes in the second and the fourth byte stand for.</summary>
    /// <inheritdoc cref="Even" path="/param"/>
    public static uint Odd(uint codes, uint scale) => Halves.Multiply((codes & 0x80008000) | ((codes >> 1) & 0x3F803F80), scale);

    /// <summary>Eight neighbouring elements of a head, the first of them a multiple of 8.</summary>
    public static UInt4 LoadEight(long head, int dim, uint scale)
    {
        UInt4 codes = Global.Load16(head + (dim & -KvCodes.Block));
        int shift = (dim & 8) == 0 ? 8 : 0;
        return new UInt4 { A = Odd(codes.A << shift, scale), B = Odd(codes.B << shift, scale), C = Odd(codes.C << shift, scale), D = Odd(codes.D << shift, scale) };
    }

    /// <summary>An element of a head.</summary>
    public static float LoadElement(long head, int dim, uint scale) => Halves.Low(Even(Global.LoadByte(head + Place(dim)), scale));

    /// <summary>Stores an element of a head.</summary>
    public static void StoreElement(long head, int dim, float element, int scale) =>
        Global.StoreByte(head + Place(dim), (uint)Fp8Codes.Round((int)Interop.FloatAsInt(element * Interop.IntAsFloat((uint)Fp8Codes.InverseOf(scale)))));

    /// <summary>The magnitude of a number, to find the largest by: bits that are larger where it is, and largest where it is not a number.</summary>
    public static int Magnitude(float element) => (int)Interop.FloatAsInt(element) & int.MaxValue;
}
