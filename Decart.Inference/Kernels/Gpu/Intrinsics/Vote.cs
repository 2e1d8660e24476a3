using ILGPU;
using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>What the lanes of a warp of 32 find together; all of them take part (PTX ISA, "vote.sync").</summary>
internal static class Vote
{
    /// <summary>1 for every lane if some lane's value is not 0, else 0.</summary>
    [IntrinsicImplementation, Ptx("{ .reg .pred p; setp.ne.b32 p, $0, 0; vote.sync.any.pred p, p, 0xffffffff; selp.b32 $r, 1, 0, p; }")]
    public static int Any(int value)
    {
        for (int distance = 16; distance > 0; distance >>= 1) value |= Warp.ShuffleXor(value, distance);
        return value != 0 ? 1 : 0;
    }
}
