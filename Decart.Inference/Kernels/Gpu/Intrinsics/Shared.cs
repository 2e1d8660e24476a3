using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// The dynamic shared memory of a group by address (PTX ISA, "ld", "st"), for kernels with <see cref="GpuKernel.SharedBytes"/>. An address is a
/// number of 32 bits in the shared window, in an emulation the distance from the memory's begin; both are multiples of the access's size.
/// </summary>
internal static unsafe class Shared
{
    /// <summary>What <see cref="Base"/> is a multiple of: the pattern of the widest swizzle repeats after as many bytes.</summary>
    public const int Alignment = 1024;

    /// <summary>What a group of a Hopper GPU may have, in bytes: all of a multiprocessor's but what the system keeps.</summary>
    public const int MostBytes = 227 * 1024;

    /// <summary>The memory's name in PTX.</summary>
    public const string Symbol = "dynamic_shared";

    /// <summary>
    /// For emulations: the memory of the group that is running, on all its threads; no other group of the process may use dynamic shared memory
    /// meanwhile.
    /// </summary>
    public static byte* Emulated { get; set; }

    /// <summary>Where the memory begins.</summary>
    [IntrinsicImplementation, Ptx("mov.u32 $r, " + Symbol + ";")]
    public static int Base() => 0;

    [IntrinsicImplementation, Ptx("ld.shared.b32 $r, [$0];")]
    public static int LoadInt(int address) => *(int*)Pointer(address);

    [IntrinsicImplementation, Ptx("ld.shared.b32 $r, [$0];")]
    public static float LoadFloat(int address) => *(float*)Pointer(address);

    [IntrinsicImplementation, Ptx("ld.shared.b64 $r, [$0];")]
    public static long LoadLong(int address) => *(long*)Pointer(address);

    [IntrinsicImplementation, Ptx("ld.shared.v4.b32 {$r}, [$0];")]
    public static UInt4 Load16(int address) => *(UInt4*)Pointer(address);

    [IntrinsicImplementation, Ptx("ld.shared.v4.b32 {$r}, [$0];")]
    public static Float4 LoadFloat4(int address) => *(Float4*)Pointer(address);

    [IntrinsicImplementation, Ptx("st.shared.b32 [$0], $1;")]
    public static void StoreInt(int address, int value) => *(int*)Pointer(address) = value;

    [IntrinsicImplementation, Ptx("st.shared.b32 [$0], $1;")]
    public static void StoreFloat(int address, float value) => *(float*)Pointer(address) = value;

    [IntrinsicImplementation, Ptx("st.shared.b64 [$0], $1;")]
    public static void StoreLong(int address, long value) => *(long*)Pointer(address) = value;

    [IntrinsicImplementation, Ptx("st.shared.v4.b32 [$0], {$1};")]
    public static void Store16(int address, UInt4 value) => *(UInt4*)Pointer(address) = value;

    [IntrinsicImplementation, Ptx("st.shared.v4.b32 [$0], {$1};")]
    public static void StoreFloat4(int address, Float4 value) => *(Float4*)Pointer(address) = value;

    /// <summary>For emulations: the host's address of an address of the running group.</summary>
    internal static byte* Pointer(int address) => Emulated + address;
}
