namespace Decart.Inference.Checkpoints;

/// <summary>The numbers by which GGUF names the encodings of tensors (ggml's type enumeration).</summary>
internal static class GgmlTypes
{
    public const string Supported = "F32, F16, BF16, F64, I8, I16, I32, I64, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_K, "
        + "IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ4_NL, IQ4_XS, TQ1_0, TQ2_0 or MXFP4";

    /// <summary>The encoding, or <see langword="null"/> if it is not supported.</summary>
    public static TensorType? ToTensorType(uint number) => number switch
    {
        0 => TensorType.F32,
        1 => TensorType.F16,
        2 => TensorType.Q4_0,
        3 => TensorType.Q4_1,
        6 => TensorType.Q5_0,
        7 => TensorType.Q5_1,
        8 => TensorType.Q8_0,
        10 => TensorType.Q2_K,
        11 => TensorType.Q3_K,
        12 => TensorType.Q4_K,
        13 => TensorType.Q5_K,
        14 => TensorType.Q6_K,
        15 => TensorType.Q8_K,
        16 => TensorType.IQ2_XXS,
        17 => TensorType.IQ2_XS,
        18 => TensorType.IQ3_XXS,
        19 => TensorType.IQ1_S,
        20 => TensorType.IQ4_NL,
        21 => TensorType.IQ3_S,
        22 => TensorType.IQ2_S,
        23 => TensorType.IQ4_XS,
        24 => TensorType.I8,
        25 => TensorType.I16,
        26 => TensorType.I32,
        27 => TensorType.I64,
        28 => TensorType.F64,
        29 => TensorType.IQ1_M,
        30 => TensorType.BF16,
        34 => TensorType.TQ1_0,
        35 => TensorType.TQ2_0,
        39 => TensorType.MXFP4,
        _ => null,
    };

    /// <summary>The name of an encoding that is not supported, for error messages.</summary>
    public static string NameOf(uint number) => number switch
    {
        4 => "Q4_2",
        5 => "Q4_3",
        9 => "Q8_1",
        31 => "Q4_0_4_4",
        32 => "Q4_0_4_8",
        33 => "Q4_0_8_8",
        36 => "IQ4_NL_4_4",
        37 => "IQ4_NL_4_8",
        38 => "IQ4_NL_8_8",
        40 => "NVFP4",
        41 => "Q1_0",
        42 => "Q2_0",
        _ => "unknown",
    };
}
