using System.Buffers.Binary;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tests.Kernels.Formats;

/// <summary>The blocks of quantised folders written down element by element, in float64, where every weight is exact.</summary>
internal static class ReferenceGroupWeights
{
    /// <summary>Table of QLoRA's appendix E.</summary>
    private static readonly float[] NF4 =
    [
        -1, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0,
        0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1,
    ];

    /// <summary>Without their sign.</summary>
    private static readonly float[] FP4 = [0, 0.0625f / 12, 8f / 12, 12f / 12, 4f / 12, 6f / 12, 2f / 12, 3f / 12];

    public static bool Has(TensorType type) => type >= TensorType.Int4x32;

    public static double Weight(TensorType type, ReadOnlySpan<byte> block, int i)
    {
        uint header = BinaryPrimitives.ReadUInt32LittleEndian(block);
        double scale = BitConverter.UInt32BitsToSingle(header);
        int nibble = i / 32 * 16 + i % 16, q = type is TensorType.Int4x32 or TensorType.Int4x64 or TensorType.NF4x64 or TensorType.FP4x64
            ? i % 32 < 16 ? block[4 + nibble] & 15 : block[4 + nibble] >> 4
            : 0;
        return type switch
        {
            TensorType.Int4x32 or TensorType.Int4x64 => BitConverter.UInt32BitsToSingle(header & 0xFFFF_E000) * (q - (double)(header & 0x1FFF)),
            TensorType.Int8x32 or TensorType.Int8x64 => scale * (block[8 + i] - (double)BinaryPrimitives.ReadSingleLittleEndian(block[4..])),
            TensorType.E4M3x32 or TensorType.E4M3x64 => scale * E4M3(block[4 + i]) * Math.Pow(2, -120),
            TensorType.NF4x64 or TensorType.FP4x64 => scale * Float4(type == TensorType.NF4x64, q),
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
        };
    }

    /// <summary>What a nibble means in NF4 or FP4.</summary>
    public static double Float4(bool normal, int code) => normal ? NF4[code] : code < 8 ? FP4[code] : -FP4[code - 8];

    /// <summary>An 8-bit float by its definition; what means NaN counts as 480, which it would be were it a number.</summary>
    public static double E4M3(byte bits)
    {
        int exponent = bits >> 3 & 15, mantissa = bits & 7;
        double magnitude = exponent == 0 ? mantissa / 8.0 * Math.Pow(2, -6) : (1 + mantissa / 8.0) * Math.Pow(2, exponent - 7);
        return (bits & 0x80) == 0 ? magnitude : -magnitude;
    }

    /// <summary>Makes the scale finite and the zero an integer of 0 to 255.</summary>
    public static void MakeFinite(TensorType type, Span<byte> block)
    {
        block[3] &= 0xBF;
        if (type is TensorType.Int8x32 or TensorType.Int8x64) BinaryPrimitives.WriteSingleLittleEndian(block[4..], block[4]);
    }

    /// <summary>Gives the block a scale that weights have, so that sums of many stay in range, and codes that are numbers.</summary>
    public static void Scale(TensorType type, Span<byte> block)
    {
        float scale = 0.001f + block[0] / 1000f;
        if (type is TensorType.E4M3x32 or TensorType.E4M3x64)
        {
            BinaryPrimitives.WriteSingleLittleEndian(block, scale * MathF.Pow(2, 120));
            RemoveNaN(block[sizeof(float)..type.BlockBytes()]);
        }
        else if (type is TensorType.Int4x32 or TensorType.Int4x64)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(block, BitConverter.SingleToUInt32Bits(scale) & 0xFFFF_E000 | block[1] & 15u);
        }
        else
        {
            BinaryPrimitives.WriteSingleLittleEndian(block, scale);
        }
    }

    /// <summary>No weight has such codes: loading refuses them.</summary>
    private static void RemoveNaN(Span<byte> codes)
    {
        foreach (ref byte code in codes)
        {
            if ((code & 0x7F) == 0x7F) code &= 0xFE;
        }
    }
}
