namespace Decart.Inference.Models;

/// <summary>Rounding to bfloat16, the upper half of a float32.</summary>
internal static class BFloat16
{
    /// <summary>To the nearest value whose lower half is zero, ties to even.</summary>
    public static float Round(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000);
    }
}
