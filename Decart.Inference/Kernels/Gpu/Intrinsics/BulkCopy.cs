using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// Copies of whole ranges that one thread starts (PTX ISA, "cp.async.bulk"; sm_90). Addresses and numbers of bytes are multiples of 16. They go
/// through the asynchronous proxy: <see cref="Fence"/> lies between a thread's own accesses to shared memory and copies of the same bytes.
/// </summary>
internal static unsafe class BulkCopy
{
    /// <summary>Starts a copy from the device's memory to shared memory, whose bytes an <see cref="MBarrier"/> counts.</summary>
    [IntrinsicImplementation, Ptx("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1], $2, [$3];", MinArchitecture = 90)]
    public static void Load(int destination, long source, int bytes, int barrier)
    {
        Buffer.MemoryCopy((void*)source, Shared.Pointer(destination), bytes, bytes);
        MBarrier.Complete(barrier, bytes);
    }

    /// <summary>Starts a copy from shared memory to the device's memory, of the thread's open group.</summary>
    [IntrinsicImplementation, Ptx("cp.async.bulk.global.shared::cta.bulk_group [$0], [$1], $2;", MinArchitecture = 90)]
    public static void Store(long destination, int source, int bytes) => Buffer.MemoryCopy(Shared.Pointer(source), (void*)destination, bytes, bytes);

    /// <summary>Closes the group of stores that the thread started since the last one.</summary>
    [IntrinsicImplementation, Ptx("cp.async.bulk.commit_group;", MinArchitecture = 90)]
    public static void Commit() { }

    /// <summary>Waits until at most that many of the thread's groups, the latest, have not been written.</summary>
    /// <param name="groups">A constant.</param>
    [IntrinsicImplementation, Ptx("cp.async.bulk.wait_group #0;", MinArchitecture = 90)]
    public static void Wait(int groups) => _ = groups;

    /// <summary>Waits until at most that many of the thread's groups, the latest, have not been read, so that shared memory may change.</summary>
    /// <param name="groups">A constant.</param>
    [IntrinsicImplementation, Ptx("cp.async.bulk.wait_group.read #0;", MinArchitecture = 90)]
    public static void WaitRead(int groups) => _ = groups;

    /// <summary>
    /// Orders what the thread, and whoever it has synchronised with, did in shared memory before copies and matrix operations of the asynchronous
    /// proxy that follow ("fence.proxy.async").
    /// </summary>
    [IntrinsicImplementation, Ptx("fence.proxy.async.shared::cta;", MinArchitecture = 90)]
    public static void Fence() { }
}
