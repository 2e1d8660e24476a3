using Decart.Inference.Native.Cuda;
using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// Copies of boxes of a tensor that one thread starts (PTX ISA, "cp.async.bulk.tensor", tiled mode; sm_90). A map (<see cref="CudaTensorMap"/>, 128
/// bytes of the device's memory, 64-byte aligned) says where the tensor lies and how large a box is. Coordinates count elements, x along the innermost
/// dimension, may be negative or past the end, and what lies outside the tensor comes as zero. An x that is not a multiple of 16 bytes is an illegal
/// instruction: the manual does not say so, an H200 does.
/// </summary>
/// <remarks>Maps of an emulation are <see cref="EmulatedTensorMap"/>.</remarks>
internal static unsafe class TensorCopy
{
    /// <summary>
    /// Starts a copy of a box to shared memory, rows one after another, swizzled as the map says. All bytes of the box are counted by the barrier.
    /// </summary>
    /// <param name="destination">A multiple of 128; of the pattern's length where the box is swizzled.</param>
    /// <param name="map">The map's address.</param>
    /// <param name="x">The box's first element of a row.</param>
    /// <param name="y">The box's first row.</param>
    /// <param name="barrier">An <see cref="MBarrier"/>.</param>
    [IntrinsicImplementation, Ptx(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [$0], [$1, {$2, $3}], [$4];", MinArchitecture = 90)]
    public static void Load2(int destination, long map, int x, int y, int barrier) =>
        MBarrier.Complete(barrier, ((EmulatedTensorMap*)map)->Load(destination, x, y, 0));

    /// <inheritdoc cref="Load2"/>
    /// <param name="destination">A multiple of 128; of the pattern's length where the box is swizzled.</param>
    /// <param name="map">The map's address.</param>
    /// <param name="x">The box's first element of a row.</param>
    /// <param name="y">The box's first row of a plane.</param>
    /// <param name="z">The box's first plane.</param>
    /// <param name="barrier">An <see cref="MBarrier"/>.</param>
    [IntrinsicImplementation, Ptx(
        "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [$0], [$1, {$2, $3, $4}], [$5];", MinArchitecture = 90)]
    public static void Load3(int destination, long map, int x, int y, int z, int barrier) =>
        MBarrier.Complete(barrier, ((EmulatedTensorMap*)map)->Load(destination, x, y, z));

    /// <summary>
    /// Makes the thread see a map that was written to the device's memory before the kernel started; once before the map's first use ("fence.proxy",
    /// PTX ISA 8.3).
    /// </summary>
    [IntrinsicImplementation, Ptx("fence.proxy.tensormap::generic.acquire.sys [$0], 128;", MinArchitecture = 90)]
    public static void Acquire(long map) => _ = map;

    /// <summary>Fetches a map that will be used soon ("prefetch.tensormap").</summary>
    [IntrinsicImplementation, Ptx("prefetch.tensormap [$0];", MinArchitecture = 90)]
    public static void Prefetch(long map) => _ = map;
}
