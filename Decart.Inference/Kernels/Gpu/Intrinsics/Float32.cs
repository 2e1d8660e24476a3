using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// Float32 operations (PTX ISA, "fma", "max", "ex2", "rsqrt"). Sums and products written with operators are rounded each: nothing is fused that is not fused here.
/// </summary>
internal static class Float32
{
    [IntrinsicImplementation, Ptx("fma.rn.f32 $r, $0, $1, $2;")]
    public static float Fma(float a, float b, float c) => MathF.FusedMultiplyAdd(a, b, c);

    /// <summary>
    /// a / b to 2 units in the last place, for all numbers (PTX ISA, "div.full"). The operator's division calls a function for unusual numbers, and the driver's
    /// compiler makes each <see cref="WarpGroup"/> operation wait for the one before where it sees a call in the kernel (its message C7509).
    /// </summary>
    [IntrinsicImplementation, Ptx("div.full.f32 $r, $0, $1;")]
    public static float Divide(float a, float b) => a / b;

    /// <summary>1 / sqrt(x) to 2 units in the last place (PTX ISA, "rsqrt").</summary>
    [IntrinsicImplementation, Ptx("rsqrt.approx.f32 $r, $0;")]
    public static float ReciprocalSqrt(float x) => 1 / MathF.Sqrt(x);

    /// <summary>The larger of two numbers, or the one that is a number.</summary>
    [IntrinsicImplementation, Ptx("max.f32 $r, $0, $1;")]
    public static float Max(float a, float b) => float.MaxNumber(a, b);

    /// <summary>2^x to 2 units in the last place; results below the normal numbers are 0 (PTX ISA, "ex2").</summary>
    [IntrinsicImplementation, Ptx("ex2.approx.ftz.f32 $r, $0;")]
    public static float Exp2(float x) => float.Exp2(x);
}
