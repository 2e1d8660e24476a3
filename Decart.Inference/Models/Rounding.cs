using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models;

/// <summary>Rounding of constants to the types that modules hold them in.</summary>
internal static class Rounding
{
    /// <summary>To the nearest value of the type, ties to even; types other than F16 and BF16 keep the value.</summary>
    public static float To(TensorType type, float value) => type switch
    {
        TensorType.BF16 => ToBFloat16(value),
        TensorType.F16 => (float)(Half)value,
        _ => value,
    };

    /// <summary>To the nearest value whose lower half is zero, ties to even.</summary>
    public static float ToBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000);
    }
}
