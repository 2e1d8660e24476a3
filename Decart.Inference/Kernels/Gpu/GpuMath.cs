using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Functions for kernels, in float32 to a few units in the last place of their result or of 1, whichever is larger.</summary>
internal static class GpuMath
{
    public const float Log2E = 1.4426950408889634f;

    public static float Exp(float x) => Float32.Exp2(x * Log2E);

    public static float Tanh(float x)
    {
        // e^2x is infinite or 0 far out, which gives 1 and -1.
        return 1 - Float32.Divide(2, 1 + Exp(2 * x));
    }

    public static float SoftCap(float x, float cap) => cap * Tanh(Float32.Divide(x, cap));

    public static float Silu(float x) => Float32.Divide(x, 1 + Exp(-x));

    /// <summary>See <see cref="ActivationFunction"/>.</summary>
    public static float Activate(int function, float x)
    {
        if (function == (int)ActivationFunction.Silu) return Silu(x);
        if (function == (int)ActivationFunction.Gelu) return 0.5f * x * (1 + Erf(x * 0.70710678f));
        if (function == (int)ActivationFunction.GeluTanh) return 0.5f * x * (1 + Tanh(0.79788456f * (x + (0.044715f * x * x * x))));
        return x;
    }

    /// <summary>Sine and cosine of an angle of any size that positions and frequencies make.</summary>
    public static void SinCos(float angle, out float sine, out float cosine)
    {
        // Multiples of pi / 2 are taken away in double: a float32 angle of 2^20 still leaves 30 good bits.
        double turns = angle * 0.63661977236758134;
        int quadrant = (int)(turns + (turns < 0 ? -0.5 : 0.5));
        float r = (float)(angle - (quadrant * 1.5707963267948966));
        float r2 = r * r;
        float s = r * (1 + (r2 * (-0.16666667f + (r2 * (0.0083333310f + (r2 * (-0.00019840874f + (r2 * 2.7525562e-6f))))))));
        float c = 1 + (r2 * (-0.5f + (r2 * (0.041666664f + (r2 * (-0.0013888889f + (r2 * (2.4801587e-5f + (r2 * -2.7557314e-7f)))))))));
        bool swap = (quadrant & 1) != 0;
        float sineOfQuadrant = swap ? c : s, cosineOfQuadrant = swap ? s : c;
        sine = (quadrant & 2) != 0 ? -sineOfQuadrant : sineOfQuadrant;
        cosine = ((quadrant + 1) & 2) != 0 ? -cosineOfQuadrant : cosineOfQuadrant;
    }

    /// <summary>The error function within 2e-7 (Abramowitz and Stegun 7.1.26).</summary>
    private static float Erf(float x)
    {
        float size = x < 0 ? -x : x;
        float t = Float32.Divide(1, 1 + (0.3275911f * size));
        float tail = t * (0.254829592f + (t * (-0.284496736f + (t * (1.421413741f + (t * (-1.453152027f + (t * 1.061405429f))))))));
        float result = 1 - (tail * Exp(-size * size));
        return x < 0 ? -result : result;
    }
}
