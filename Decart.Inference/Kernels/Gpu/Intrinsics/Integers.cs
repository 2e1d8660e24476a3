using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>Operations on integers (PTX ISA, "mul").</summary>
internal static class Integers
{
    /// <summary>The upper 64 bits of the product of two numbers without sign.</summary>
    [IntrinsicImplementation, Ptx("mul.hi.u64 $r, $0, $1;")]
    public static ulong MultiplyHigh(ulong a, ulong b) => Math.BigMul(a, b, out _);
}
