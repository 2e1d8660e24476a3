using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// Loads and stores of the device's memory by address (PTX ISA, "ld", "ld.global.nc", "st", "atom"). Addresses are multiples of the access's size. 16-bit
/// values travel in the low half of a register.
/// </summary>
internal static unsafe class Global
{
    [IntrinsicImplementation, Ptx("ld.global.b32 $r, [$0];")]
    public static float LoadFloat(long address) => *(float*)address;

    [IntrinsicImplementation, Ptx("ld.global.b32 $r, [$0];")]
    public static int LoadInt(long address) => *(int*)address;

    [IntrinsicImplementation, Ptx("ld.global.b64 $r, [$0];")]
    public static long LoadLong(long address) => *(long*)address;

    [IntrinsicImplementation, Ptx("ld.global.u8 $r, [$0];")]
    public static uint LoadByte(long address) => *(byte*)address;

    [IntrinsicImplementation, Ptx("ld.global.u16 $r, [$0];")]
    public static uint Load2(long address) => *(ushort*)address;

    [IntrinsicImplementation, Ptx("ld.global.v4.b32 {$r}, [$0];")]
    public static UInt4 Load16(long address) => *(UInt4*)address;

    [IntrinsicImplementation, Ptx("ld.global.v4.b32 {$r}, [$0];")]
    public static Float4 LoadFloat4(long address) => *(Float4*)address;

    /// <summary>For memory that no running kernel writes: weights.</summary>
    [IntrinsicImplementation, Ptx("ld.global.nc.v4.b32 {$r}, [$0];")]
    public static UInt4 LoadConstant16(long address) => *(UInt4*)address;

    [IntrinsicImplementation, Ptx("st.global.b32 [$0], $1;")]
    public static void StoreFloat(long address, float value) => *(float*)address = value;

    [IntrinsicImplementation, Ptx("st.global.b32 [$0], $1;")]
    public static void StoreInt(long address, int value) => *(int*)address = value;

    [IntrinsicImplementation, Ptx("st.global.b64 [$0], $1;")]
    public static void StoreLong(long address, long value) => *(long*)address = value;

    [IntrinsicImplementation, Ptx("st.global.u8 [$0], $1;")]
    public static void StoreByte(long address, uint value) => *(byte*)address = (byte)value;

    [IntrinsicImplementation, Ptx("st.global.u16 [$0], $1;")]
    public static void Store2(long address, uint value) => *(ushort*)address = (ushort)value;

    [IntrinsicImplementation, Ptx("st.global.v4.b32 [$0], {$1};")]
    public static void Store16(long address, UInt4 value) => *(UInt4*)address = value;

    [IntrinsicImplementation, Ptx("st.global.v4.b32 [$0], {$1};")]
    public static void StoreFloat4(long address, Float4 value) => *(Float4*)address = value;

    /// <summary>Fetches the 128 bytes around an address into the second-level cache (PTX ISA, "prefetch").</summary>
    [IntrinsicImplementation, Ptx("prefetch.global.L2 [$0];")]
    public static void Prefetch(long address) => _ = address;

    /// <summary>Adds, rounded to nearest, and waits for nothing (PTX ISA, "red"). Subnormal numbers count as 0.</summary>
    [IntrinsicImplementation, Ptx("red.global.add.f32 [$0], $1;")]
    public static void AddFloat(long address, float value) => *(float*)address += value;

    /// <summary>Sets bits of an integer of which other threads may set others, and waits for nothing (PTX ISA, "red").</summary>
    [IntrinsicImplementation, Ptx("red.global.or.b32 [$0], $1;")]
    public static void Merge(long address, int bits) => Interlocked.Or(ref *(int*)address, bits);

    /// <summary>Replaces an integer by a larger one, and waits for nothing (PTX ISA, "red").</summary>
    [IntrinsicImplementation, Ptx("red.global.max.s32 [$0], $1;")]
    public static void Raise(long address, int value)
    {
        ref int place = ref *(int*)address;
        for (int old = Volatile.Read(ref place); value > old;)
        {
            int found = Interlocked.CompareExchange(ref place, value, old);
            if (found == old) return;
            old = found;
        }
    }

    /// <summary>
    /// Adds to an integer and returns what it was before. What the thread knows to be stored before is stored for whoever adds later, and what others had
    /// stored before they added the calling thread sees from here on (PTX ISA, "atom", acquire and release at the scope of the GPU).
    /// </summary>
    [IntrinsicImplementation, Ptx("atom.acq_rel.gpu.global.add.s32 $r, [$0], $1;")]
    public static int AddOrdered(long address, int value) => Interlocked.Add(ref *(int*)address, value) - value;

    /// <summary>
    /// Stores an integer, in the memory of any GPU, for whoever loads it by <see cref="LoadAcquire"/>: it then also sees what the thread knows to be stored before (PTX ISA, "st",
    /// release at the scope of the system).
    /// </summary>
    [IntrinsicImplementation, Ptx("st.release.sys.global.b32 [$0], $1;")]
    public static void StoreRelease(long address, int value) => Volatile.Write(ref *(int*)address, value);

    /// <summary>Loads an integer that another GPU may store; what that had stored before the thread sees from here on (PTX ISA, "ld", acquire at the scope of the system).</summary>
    [IntrinsicImplementation, Ptx("ld.acquire.sys.global.b32 $r, [$0];")]
    public static int LoadAcquire(long address)
    {
        Thread.Yield(); // it is called again and again
        return Volatile.Read(ref *(int*)address);
    }

    /// <summary>Loads what another GPU has stored during the kernel, from where that is and no cache of the multiprocessor.</summary>
    [IntrinsicImplementation, Ptx("ld.volatile.global.v4.b32 {$r}, [$0];")]
    public static UInt4 LoadNewest(long address)
    {
        Thread.Yield(); // it is called again and again
        ulong low = Volatile.Read(ref *(ulong*)address), high = Volatile.Read(ref *(ulong*)(address + sizeof(ulong)));
        return new UInt4 { A = (uint)low, B = (uint)(low >> 32), C = (uint)high, D = (uint)(high >> 32) };
    }

    /// <summary>Stores what another GPU waits for; 8 bytes of it are seen at once.</summary>
    [IntrinsicImplementation, Ptx("st.volatile.global.v4.b32 [$0], {$1};")]
    public static void StoreNow(long address, UInt4 value)
    {
        Volatile.Write(ref *(ulong*)address, value.A | ((ulong)value.B << 32));
        Volatile.Write(ref *(ulong*)(address + sizeof(ulong)), value.C | ((ulong)value.D << 32));
    }
}
