using ILGPU;
using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>Barriers of some warps of a group (PTX ISA, "barrier.sync"). Only one for all threads of a group is emulated.</summary>
internal static class NamedBarrier
{
    /// <summary>Waits until all threads of the barrier have come; what they wrote is seen by all. Whole warps take part.</summary>
    /// <param name="number">Which: 1 to 15, as the group's own is 0.</param>
    /// <param name="threads">How many threads it has.</param>
    [IntrinsicImplementation, Ptx("barrier.sync.aligned $0, $1;")]
    public static void Wait(int number, int threads)
    {
        if (threads != Group.DimX) throw new NotSupportedException($"A barrier of {threads} of {Group.DimX} threads is not emulated (number {number}).");
        Group.Barrier();
    }
}
