using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// Float32 operations with one rounding each, which the driver's compiler may neither fuse nor split (PTX ISA, "fma", "mul", "add"): where two kernels must give
/// the same bits, or one kernel in two places.
/// </summary>
internal static class Float32
{
    [IntrinsicImplementation, Ptx("fma.rn.f32 $r, $0, $1, $2;")]
    public static float Fma(float a, float b, float c) => MathF.FusedMultiplyAdd(a, b, c);

    [IntrinsicImplementation, Ptx("mul.rn.f32 $r, $0, $1;")]
    public static float Multiply(float a, float b) => a * b;

    [IntrinsicImplementation, Ptx("add.rn.f32 $r, $0, $1;")]
    public static float Add(float a, float b) => a + b;

    /// <summary>2^x to 2 units in the last place; results below the normal numbers are 0 (PTX ISA, "ex2").</summary>
    [IntrinsicImplementation, Ptx("ex2.approx.ftz.f32 $r, $0;")]
    public static float Exp2(float x) => float.Exp2(x);
}
