using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// Kernels that overlap with the one in front of them on the stream, for <see cref="GpuKernel.StartsEarly"/> (PTX ISA, "griddepcontrol"; sm_90).
/// Without overlap both do nothing; so do the emulations, and on older architectures there is nothing in their place.
/// </summary>
internal static class GridDependency
{
    /// <summary>
    /// Waits until the kernel in front has ended and what it wrote is seen. A kernel that starts early calls this, in every group, before it touches
    /// anything that kernels before it read or write.
    /// </summary>
    [IntrinsicImplementation, Ptx("griddepcontrol.wait;", MinArchitecture = 90, IsOptional = true)]
    public static void Wait() { }

    /// <summary>The kernel behind may start once all groups have called this or ended.</summary>
    [IntrinsicImplementation, Ptx("griddepcontrol.launch_dependents;", MinArchitecture = 90, IsOptional = true)]
    public static void LaunchDependents() { }
}
