using System.Numerics.Tensors;
using Decart.Inference.Kernels.Cpu.Formats;

namespace Decart.Inference.Models.Quantisation;

/// <summary>16 evenly spaced numbers from the least weight of a group to its greatest; 0 is one of them.</summary>
internal readonly struct Int4Rounding : IRounding
{
    private const int Largest = 15;

    public static CodeKind Kind => CodeKind.Integer;

    public static int Bits => 4;

    public static int GroupColumns => 128;

    public static (float Scale, int Zero) Scale(ReadOnlySpan<float> weights)
    {
        float least = MathF.Min(0, TensorPrimitives.Min(weights)), scale = Int4Header.Round((MathF.Max(0, TensorPrimitives.Max(weights)) - least) / Largest);
        return (scale, scale == 0 ? 0 : Math.Min(Nearest(-least / scale), Largest));
    }

    public static byte Code(float weight, float scale, int zero) => scale == 0 ? (byte)zero : (byte)Math.Clamp(Nearest(weight / scale) + zero, 0, Largest);

    private static int Nearest(float value) => (int)MathF.Round(value);
}
