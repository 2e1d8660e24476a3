using System.Runtime.CompilerServices;
using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// Copies from the device's memory to shared memory that a thread starts and later waits for (PTX ISA, "cp.async"; sm_80). They are ordered in
/// groups: what a thread started since its last <see cref="Commit"/>. Other threads see the data after a barrier that follows the wait.
/// </summary>
internal static unsafe class AsyncCopy
{
    /// <summary>Starts a copy of 16 bytes, past the first-level cache; both addresses are multiples of 16.</summary>
    /// <param name="destination">The first of the bytes in shared memory.</param>
    /// <param name="source">Address in the device's memory.</param>
    [IntrinsicImplementation, Ptx("cp.async.cg.shared.global.L2::256B [@0], [$1], 16;")]
    public static void Start16(ref uint destination, long source) => *(UInt4*)Unsafe.AsPointer(ref destination) = *(UInt4*)source;

    /// <summary>Starts a copy of 16 bytes to the dynamic shared memory.</summary>
    /// <param name="destination">An address of <see cref="Shared"/>, as the next a multiple of 16.</param>
    /// <param name="source">Address in the device's memory.</param>
    [IntrinsicImplementation, Ptx("cp.async.cg.shared.global.L2::256B [$0], [$1], 16;")]
    public static void Start16(int destination, long source) => *(UInt4*)Shared.Pointer(destination) = *(UInt4*)source;

    /// <summary>As <see cref="Start16(int, long)"/>, but the second-level cache fetches no more than is asked for: not what lies beside it.</summary>
    [IntrinsicImplementation, Ptx("cp.async.cg.shared.global [$0], [$1], 16;")]
    public static void Start16Alone(int destination, long source) => *(UInt4*)Shared.Pointer(destination) = *(UInt4*)source;

    /// <summary>Starts a copy of 4 bytes to the dynamic shared memory; both addresses are multiples of 4.</summary>
    [IntrinsicImplementation, Ptx("cp.async.ca.shared.global [$0], [$1], 4;")]
    public static void Start4(int destination, long source) => *(uint*)Shared.Pointer(destination) = *(uint*)source;

    /// <summary>
    /// Arrives at a barrier when all copies that the thread has started are done: one of the arrivals that the barrier was made for ("cp.async.mbarrier.arrive.noinc"; sm_90).
    /// </summary>
    /// <param name="barrier">See <see cref="MBarrier"/>.</param>
    [IntrinsicImplementation, Ptx("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [$0];", MinArchitecture = 90)]
    public static void Arrive(int barrier) => MBarrier.Arrive(barrier);

    /// <summary>Closes a group.</summary>
    [IntrinsicImplementation, Ptx("cp.async.commit_group;")]
    public static void Commit() { }

    /// <summary>Waits until at most that many of the thread's groups, the latest, are under way.</summary>
    /// <param name="groups">A constant.</param>
    [IntrinsicImplementation, Ptx("cp.async.wait_group #0;")]
    public static void Wait(int groups) => _ = groups;
}
