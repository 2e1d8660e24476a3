using System.Numerics.Tensors;

namespace Decart.Inference.Models.Quantisation;

/// <summary>8-bit floats of 4 exponent and 3 mantissa bits; the largest weight of a group becomes the largest of them.</summary>
internal readonly struct E4M3Rounding : IRounding
{
    private const float Largest = 448;

    /// <summary>The least number whose mantissa has all its bits; those below are multiples of 2^-9.</summary>
    private const float LeastNormal = 1 / 64f;

    /// <summary>A float32 of this size has no bits below 2^-9: adding it rounds there.</summary>
    private const float Rounder = 1 << 14;

    private const uint Sign = 0x80;

    private const int DroppedBits = 20, ExponentBiases = 127 - 7, MantissaBits = 3;

    public static CodeKind Kind => CodeKind.E4M3;

    public static int Bits => 8;

    public static int GroupColumns => 128;

    public static (float Scale, int Zero) Scale(ReadOnlySpan<float> weights) => (MathF.Abs(TensorPrimitives.MaxMagnitude(weights)) / Largest, 0);

    public static byte Code(float weight, float scale, int zero)
    {
        if (scale == 0) return 0;
        float magnitude = MathF.Min(MathF.Abs(weight / scale), Largest);
        uint bits = BitConverter.SingleToUInt32Bits(magnitude);
        uint code = magnitude < LeastNormal
            ? BitConverter.SingleToUInt32Bits(magnitude + Rounder) - BitConverter.SingleToUInt32Bits(Rounder)
            : ((bits + ((1u << (DroppedBits - 1)) - 1) + ((bits >> DroppedBits) & 1)) >> DroppedBits) - (ExponentBiases << MantissaBits);
        return (byte)(code | (float.IsNegative(weight) ? Sign : 0));
    }
}
