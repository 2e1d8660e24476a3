namespace Decart.Inference.Models;

/// <summary>Rounding to types that constants are kept in.</summary>
internal static class Rounding
{
    /// <summary>To the nearest value whose lower half is zero, ties to even.</summary>
    public static float ToBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000);
    }
}
