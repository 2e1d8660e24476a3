using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// Values that ILGPU takes for new ones where they stand, so that it computes what follows from them there and not before the outermost loop, where
/// hundreds of addresses would occupy registers all along.
/// </summary>
internal static class Pinned
{
    [IntrinsicImplementation, Ptx("mov.b32 $r, $0;")]
    public static int Int(int value) => value;

    /// <summary>
    /// A value that is the same for all lanes, though the driver's compiler does not see it: what depends on it, predicates above all, stays out of the scalar
    /// unit, from where each use by a lane would be an instruction.
    /// </summary>
    [IntrinsicImplementation, Ptx("{ .reg .b32 m; mov.u32 m, %lanemask_lt; shr.u32 m, m, 31; add.s32 $r, $0, m; }")]
    public static int Varying(int value) => value;
}
