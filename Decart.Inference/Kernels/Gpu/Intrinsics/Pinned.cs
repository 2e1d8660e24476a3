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
}
