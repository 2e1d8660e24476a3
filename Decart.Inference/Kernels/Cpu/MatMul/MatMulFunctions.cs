using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Activation functions by lane: a lane's result depends on that lane alone. Relative errors stay below 1e-6 for finite x.</summary>
internal static class MatMulFunctions
{
    /// <summary>Coefficients of tanh(x) / x over x^2, fitted at Chebyshev nodes to |x| &lt; <see cref="TanhPolynomialEnd"/> (error 3e-9).</summary>
    private static ReadOnlySpan<float> TanhCoefficients =>
        [0.99999999750f, -0.33333282834f, 0.13331679635f, -0.05376798352f, 0.02075134914f, -0.00584964394f];

    private const float TanhPolynomialEnd = 0.6f;

    /// <summary>
    /// Coefficients of e^(z^2) erfc(z) / t over t = 1 / (1 + 0.4 z), fitted at Chebyshev nodes to z = 0 .. 20 / sqrt 2 (error 5e-9).
    /// </summary>
    private static ReadOnlySpan<float> ErfcCoefficients =>
    [
        0.22567987730f, 0.22556765889f, 0.20884406336f, 0.16390552172f, 0.15001759630f, 0.00390018463f,
        0.08994602440f, -0.01619325620f, -0.12648832457f, 0.09621952443f, -0.02139887202f,
    ];

    /// <summary>x / (1 + e^-x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector256<float> Silu(Vector256<float> x) => x / (Vector256<float>.One + Vector256.Exp(-x));

    /// <summary>x Phi(x) with the normal distribution Phi(x) = erfc(-x / sqrt 2) / 2.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector256<float> Gelu(Vector256<float> x)
    {
        // Beyond 20 standard deviations Phi is 0 or 1 in float32.
        Vector256<float> a = Vector256.Min(Vector256.Abs(x), Vector256.Create(20f));
        Vector256<float> t = Vector256<float>.One / Vector256.MultiplyAddEstimate(a, Vector256.Create(0.4f / MathF.Sqrt(2)), Vector256<float>.One);
        // e^(-a^2 / 2) with what rounding takes from a^2 put back, as it grows with a.
        Vector256<float> square = a * a;
        Vector256<float> rest = SquareError(a, square);
        Vector256<float> density = Vector256.Exp(square * -0.5f) * Vector256.MultiplyAddEstimate(rest, Vector256.Create(-0.5f), Vector256<float>.One);
        Vector256<float> upperTail = 0.5f * t * Polynomial(t, ErfcCoefficients) * density;
        return x * Vector256.ConditionalSelect(Vector256.LessThan(x, Vector256<float>.Zero), upperTail, Vector256<float>.One - upperTail);
    }

    /// <summary>x / 2 (1 + tanh u) = x / (1 + e^(-2 u)) with u = sqrt(2 / pi) (x + 0.044715 x^3).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector256<float> GeluTanh(Vector256<float> x)
    {
        // The exponent is computed in float64, since an error in it becomes a relative error of the result.
        (Vector256<double> lower, Vector256<double> upper) = Vector256.Widen(x);
        lower = GeluTanhExponent(lower);
        upper = GeluTanhExponent(upper);
        Vector256<float> exponent = Vector256.Narrow(lower, upper);
        (Vector256<double> roundedLower, Vector256<double> roundedUpper) = Vector256.Widen(exponent);
        Vector256<float> rest = Vector256.Narrow(lower - roundedLower, upper - roundedUpper);
        Vector256<float> power = Vector256.Exp(exponent);
        Vector256<float> denominator = Vector256.MultiplyAddEstimate(power, rest, power + Vector256<float>.One);
        // An infinite power has no rest worth adding: it would be a NaN.
        return x / Vector256.ConditionalSelect(Vector256.LessThan(power, Vector256.Create(float.PositiveInfinity)), denominator, power);
    }

    /// <summary>A polynomial near zero, where the other form would cancel, else 1 - 2 / (e^(2 |x|) + 1) with the sign of x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector256<float> Tanh(Vector256<float> x)
    {
        Vector256<float> magnitude = Vector256.Abs(x);
        Vector256<float> near = x * Polynomial(x * x, TanhCoefficients);
        Vector256<float> far = Vector256<float>.One - (Vector256.Create(2f) / (Vector256.Exp(magnitude + magnitude) + Vector256<float>.One));
        return Vector256.ConditionalSelect(
            Vector256.LessThan(magnitude, Vector256.Create(TanhPolynomialEnd)), near, Vector256.CopySign(far, x));
    }

    /// <summary>What rounding took from a * a: exact, also where products and sums are not fused.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> SquareError(Vector256<float> a, Vector256<float> square)
    {
        if (Fma.IsSupported || AdvSimd.IsSupported) return Vector256.FusedMultiplyAdd(a, a, -square);
        (Vector256<double> lower, Vector256<double> upper) = Vector256.Widen(a);
        (Vector256<double> lowerSquare, Vector256<double> upperSquare) = Vector256.Widen(square);
        return Vector256.Narrow((lower * lower) - lowerSquare, (upper * upper) - upperSquare);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> GeluTanhExponent(Vector256<double> x)
    {
        double scale = -2 * Math.Sqrt(2 / Math.PI);
        Vector256<double> exponent = x * Vector256.MultiplyAddEstimate(x * x, Vector256.Create(scale * 0.044715), Vector256.Create(scale));
        // Within what float32 holds; e^-200 is 0 there.
        return Vector256.Max(exponent, Vector256.Create(-200.0));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Polynomial(Vector256<float> x, ReadOnlySpan<float> coefficients)
    {
        Vector256<float> value = Vector256.Create(coefficients[^1]);
        for (int i = coefficients.Length - 2; i >= 0; i--) value = Vector256.MultiplyAddEstimate(value, x, Vector256.Create(coefficients[i]));
        return value;
    }
}
