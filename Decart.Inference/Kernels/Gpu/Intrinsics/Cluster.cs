using ILGPU;
using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// Groups that run at the same time and reach each other's shared memory, for launches with <see cref="GpuGrid.ClusterSize"/> (PTX ISA,
/// "barrier.cluster", "mapa", "%cluster_ctarank"; sm_90). A group must not end while another may still access its shared memory. Clusters of one group
/// are emulated.
/// </summary>
internal static unsafe class Cluster
{
    /// <summary>The group's number in its cluster.</summary>
    [IntrinsicImplementation, Ptx("mov.u32 $r, %cluster_ctarank;", MinArchitecture = 90)]
    public static int Rank() => 0;

    /// <summary>Number of groups of a cluster.</summary>
    [IntrinsicImplementation, Ptx("mov.u32 $r, %cluster_nctarank;", MinArchitecture = 90)]
    public static int Size() => 1;

    /// <summary>Arrives at the cluster's barrier, whole warps at a time; what the threads wrote is seen by all after <see cref="Wait"/>.</summary>
    [IntrinsicImplementation, Ptx("barrier.cluster.arrive.release.aligned;", MinArchitecture = 90)]
    public static void Arrive() => Group.Barrier();

    /// <summary>Waits until all threads of the cluster have arrived; each thread that arrived does so before it arrives again.</summary>
    [IntrinsicImplementation, Ptx("barrier.cluster.wait.acquire.aligned;", MinArchitecture = 90)]
    public static void Wait() { }

    /// <summary>The address, for the methods of this class, of another group's shared memory.</summary>
    /// <param name="address">Of shared memory of the own group; the other group has the same layout.</param>
    /// <param name="rank">The other group.</param>
    [IntrinsicImplementation, Ptx("mapa.shared::cluster.u32 $r, $0, $1;", MinArchitecture = 90)]
    public static int Map(int address, int rank) => rank == 0
        ? address
        : throw new NotSupportedException("Clusters of several groups are not emulated.");

    [IntrinsicImplementation, Ptx("ld.shared::cluster.b32 $r, [$0];", MinArchitecture = 90)]
    public static float LoadFloat(int address) => *(float*)Shared.Pointer(address);

    [IntrinsicImplementation, Ptx("ld.shared::cluster.b32 $r, [$0];", MinArchitecture = 90)]
    public static int LoadInt(int address) => *(int*)Shared.Pointer(address);

    [IntrinsicImplementation, Ptx("st.shared::cluster.b32 [$0], $1;", MinArchitecture = 90)]
    public static void StoreFloat(int address, float value) => *(float*)Shared.Pointer(address) = value;
}
