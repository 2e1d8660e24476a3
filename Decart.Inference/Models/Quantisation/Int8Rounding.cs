using System.Numerics.Tensors;

namespace Decart.Inference.Models.Quantisation;

/// <summary>Signed integers; the largest weight of a row becomes the largest of them, or its opposite.</summary>
internal readonly struct Int8Rounding : IRounding
{
    private const int Largest = 127;

    public static CodeKind Kind => CodeKind.Integer;

    public static int Bits => 8;

    public static int GroupColumns => int.MaxValue;

    public static (float Scale, int Zero) Scale(ReadOnlySpan<float> weights) => (MathF.Abs(TensorPrimitives.MaxMagnitude(weights)) / Largest, ByteCodes.SignBit);

    public static byte Code(float weight, float scale, int zero) => scale == 0 ? (byte)zero : (byte)(Math.Clamp((int)MathF.Round(weight / scale), -Largest, Largest) + zero);
}
