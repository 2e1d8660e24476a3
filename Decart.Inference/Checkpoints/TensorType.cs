using System.Text.Json.Serialization;

namespace Decart.Inference.Checkpoints;

/// <summary>How the elements of a stored tensor are encoded.</summary>
/// <remarks>
/// The first group are the dtypes of the safetensors format, the second the block formats of GGUF
/// (names and layouts as in ggml: <c>Q4_K</c> is a 256-element super-block of 4-bit weights, and so on), the third the blocks
/// that weights of quantised Hugging Face folders are re-laid in when they are loaded, which no file has.
/// </remarks>
[JsonConverter(typeof(JsonStringEnumConverter<TensorType>))]
public enum TensorType
{
    /// <summary>IEEE 754 binary32.</summary>
    F32,
    /// <summary>IEEE 754 binary16.</summary>
    F16,
    /// <summary>bfloat16: the upper half of a binary32.</summary>
    BF16,
    /// <summary>IEEE 754 binary64.</summary>
    F64,
    /// <summary>8-bit float, 4 exponent and 3 mantissa bits, no infinities.</summary>
    F8E4M3,
    /// <summary>8-bit float, 5 exponent and 2 mantissa bits.</summary>
    F8E5M2,
    /// <summary>Signed 8-bit integer.</summary>
    I8,
    /// <summary>Signed 16-bit integer.</summary>
    I16,
    /// <summary>Signed 32-bit integer.</summary>
    I32,
    /// <summary>Signed 64-bit integer.</summary>
    I64,
    /// <summary>Unsigned 8-bit integer.</summary>
    U8,
    /// <summary>Unsigned 16-bit integer.</summary>
    U16,
    /// <summary>Unsigned 32-bit integer.</summary>
    U32,
    /// <summary>Unsigned 64-bit integer.</summary>
    U64,
    /// <summary>Boolean, one byte each.</summary>
    Bool,

    /// <summary>32 weights: f16 scale, 16 bytes of 4-bit values.</summary>
    Q4_0,
    /// <summary>32 weights: f16 scale, f16 minimum, 16 bytes of 4-bit values.</summary>
    Q4_1,
    /// <summary>32 weights: f16 scale, 32 high bits, 16 bytes of low 4-bit values.</summary>
    Q5_0,
    /// <summary>32 weights: f16 scale, f16 minimum, 32 high bits, 16 bytes of low 4-bit values.</summary>
    Q5_1,
    /// <summary>32 weights: f16 scale, 32 signed bytes.</summary>
    Q8_0,
    /// <summary>256 weights of 2 bits with 4-bit scales and minimums for each 16.</summary>
    Q2_K,
    /// <summary>256 weights of 3 bits with 6-bit scales for each 16.</summary>
    Q3_K,
    /// <summary>256 weights of 4 bits with 6-bit scales and minimums for each 32.</summary>
    Q4_K,
    /// <summary>256 weights of 5 bits with 6-bit scales and minimums for each 32.</summary>
    Q5_K,
    /// <summary>256 weights of 6 bits with 8-bit scales for each 16.</summary>
    Q6_K,
    /// <summary>32 weights: f16 scale, 16 bytes of indices into a table of 16 unevenly spaced values.</summary>
    IQ4_NL,
    /// <summary>256 weights of 4 bits, indices as in <see cref="IQ4_NL"/>, with 6-bit scales for each 32.</summary>
    IQ4_XS,
    /// <summary>256 weights of about 3.4 bits: signs and points of a grid of 512, four weights each.</summary>
    IQ3_S,
    /// <summary>256 weights of about 3.1 bits: signs and points of a grid of 256, four weights each.</summary>
    IQ3_XXS,
    /// <summary>256 weights of about 2.6 bits: signs and points of a grid of 1,024, eight weights each.</summary>
    IQ2_S,
    /// <summary>256 weights of about 2.3 bits: signs and points of a grid of 512, eight weights each.</summary>
    IQ2_XS,
    /// <summary>256 weights of about 2.1 bits: signs and points of a grid of 256, eight weights each.</summary>
    IQ2_XXS,
    /// <summary>256 weights of about 1.6 bits: points of a grid of 2,048, eight weights each.</summary>
    IQ1_S,
    /// <summary>256 weights of about 1.8 bits: as <see cref="IQ1_S"/>, with scales for each 16.</summary>
    IQ1_M,
    /// <summary>256 weights: f32 scale, 256 signed bytes.</summary>
    Q8_K,
    /// <summary>256 ternary weights, five to a byte, with one f16 scale.</summary>
    TQ1_0,
    /// <summary>256 ternary weights, four to a byte, with one f16 scale.</summary>
    TQ2_0,
    /// <summary>32 weights of 4-bit floating point with a power of two as scale (OCP Microscaling).</summary>
    MXFP4,

    /// <summary>32 weights <c>(q - zero) * scale</c>: f32 scale whose 13 lowest bits are the zero, 16 bytes of 4-bit values.</summary>
    Int4x32,
    /// <summary>64 weights as in <see cref="Int4x32"/>.</summary>
    Int4x64,
    /// <summary>32 weights <c>(q - zero) * scale</c>: f32 scale, f32 zero, 32 unsigned bytes.</summary>
    Int8x32,
    /// <summary>64 weights as in <see cref="Int8x32"/>.</summary>
    Int8x64,
    /// <summary>32 weights: f32 scale times 2^120, 32 bytes as in <see cref="F8E4M3"/>.</summary>
    E4M3x32,
    /// <summary>64 weights as in <see cref="E4M3x32"/>.</summary>
    E4M3x64,
    /// <summary>64 weights: f32 scale, 32 bytes of indices into the 16 values of NF4 (bitsandbytes).</summary>
    NF4x64,
    /// <summary>64 weights: f32 scale, 32 bytes of indices into the 16 values of FP4 (bitsandbytes).</summary>
    FP4x64,
}

/// <summary>The sizes of the encodings' blocks.</summary>
public static class TensorTypes
{
    /// <summary>Number of elements that are encoded together: 1 for plain types, 32, 64 or 256 for block formats.</summary>
    /// <param name="type">The encoding.</param>
    public static int BlockLength(this TensorType type) => type switch
    {
        TensorType.Q4_0 or TensorType.Q4_1 or TensorType.Q5_0 or TensorType.Q5_1 or TensorType.Q8_0 or TensorType.IQ4_NL or TensorType.MXFP4 => 32,
        TensorType.Int4x32 or TensorType.Int8x32 or TensorType.E4M3x32 => 32,
        TensorType.Int4x64 or TensorType.Int8x64 or TensorType.E4M3x64 or TensorType.NF4x64 or TensorType.FP4x64 => 64,
        >= TensorType.Q2_K => 256,
        _ => 1,
    };

    /// <summary>Number of bytes of one block of <see cref="BlockLength"/> elements.</summary>
    /// <param name="type">The encoding.</param>
    public static int BlockBytes(this TensorType type) => type switch
    {
        TensorType.F64 or TensorType.I64 or TensorType.U64 => 8,
        TensorType.F32 or TensorType.I32 or TensorType.U32 => 4,
        TensorType.F16 or TensorType.BF16 or TensorType.I16 or TensorType.U16 => 2,
        TensorType.F8E4M3 or TensorType.F8E5M2 or TensorType.I8 or TensorType.U8 or TensorType.Bool => 1,
        TensorType.Q4_0 => 18,
        TensorType.Q4_1 => 20,
        TensorType.Q5_0 => 22,
        TensorType.Q5_1 => 24,
        TensorType.Q8_0 => 34,
        TensorType.Q2_K => 84,
        TensorType.Q3_K => 110,
        TensorType.Q4_K => 144,
        TensorType.Q5_K => 176,
        TensorType.Q6_K => 210,
        TensorType.IQ4_NL => 18,
        TensorType.IQ4_XS => 136,
        TensorType.IQ3_S => 110,
        TensorType.IQ3_XXS => 98,
        TensorType.IQ2_S => 82,
        TensorType.IQ2_XS => 74,
        TensorType.IQ2_XXS => 66,
        TensorType.IQ1_S => 50,
        TensorType.IQ1_M => 56,
        TensorType.Q8_K => 292,
        TensorType.TQ1_0 => 54,
        TensorType.TQ2_0 => 66,
        TensorType.MXFP4 => 17,
        TensorType.Int4x32 => 20,
        TensorType.Int4x64 or TensorType.NF4x64 or TensorType.FP4x64 => 36,
        TensorType.Int8x32 => 40,
        TensorType.Int8x64 => 72,
        TensorType.E4M3x32 => 36,
        TensorType.E4M3x64 => 68,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
    };
}
