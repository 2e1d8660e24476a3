using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// Matrix operations of four warps, threads 128 i to 128 i + 127 of a group, all of which take part (PTX ISA, "Asynchronous Warpgroup Level Matrix
/// Instructions"; sm_90a alone): c += a b', float32, with a of 64 rows and b of 8 to 256, both 16 columns of shared memory that
/// <see cref="MatrixDescriptor"/> describes; or c += a b with a in registers. Kernels have <see cref="GpuKernel.ForOneArchitecture"/>.
/// </summary>
/// <remarks>
/// In order: the matrices are written (by threads: then <see cref="BulkCopy.Fence"/> and a barrier), <see cref="Fence"/>, operations,
/// <see cref="Commit"/>, <see cref="Wait"/>. Accumulators are touched, and the matrices changed, only after the wait. The emulations are done at once.
/// </remarks>
internal static unsafe class WarpGroup
{
    public const int Threads = 128, Rows = 64, Columns = 16;

    private const string RegisterScale = "{ .reg .pred p; setp.ne.b32 p, $3, 0; wgmma.mma_async.sync.aligned.", RegisterEnd = " {$r}, {$1}, $2, p, 1, 1, 0; }",
        TransposedEnd = " {$r}, {$1}, $2, p, 1, 1, 1; }";

    private const string Scale = "{ .reg .pred p; setp.ne.b32 p, $3, 0; wgmma.mma_async.sync.aligned.", End = " {$r}, $1, $2, p, 1, 1, 0, 0; }";

    /// <summary>Orders earlier accesses to accumulators before the operations that follow ("wgmma.fence").</summary>
    [IntrinsicImplementation, Ptx("wgmma.fence.sync.aligned;", MinArchitecture = 90)]
    public static void Fence() { }

    /// <summary>Closes a group of operations.</summary>
    [IntrinsicImplementation, Ptx("wgmma.commit_group.sync.aligned;", MinArchitecture = 90)]
    public static void Commit() { }

    /// <summary>Waits until at most that many groups, the latest, are under way.</summary>
    /// <param name="groups">A constant.</param>
    [IntrinsicImplementation, Ptx("wgmma.wait_group.sync.aligned #0;", MinArchitecture = 90)]
    public static void Wait(int groups) => _ = groups;

    /// <summary>Gives registers back, down to that many for each thread of the warp group ("setmaxnreg").</summary>
    /// <param name="count">A constant, a multiple of 8.</param>
    [IntrinsicImplementation, Ptx("setmaxnreg.dec.sync.aligned.u32 #0;", MinArchitecture = 90)]
    public static void LowerRegisters(int count) => _ = count;

    /// <summary>Takes registers that others have given back, up to that many for each thread of the warp group; waits for them.</summary>
    /// <param name="count">A constant, a multiple of 8.</param>
    [IntrinsicImplementation, Ptx("setmaxnreg.inc.sync.aligned.u32 #0;", MinArchitecture = 90)]
    public static void RaiseRegisters(int count) => _ = count;

    /// <summary>
    /// Keeps a <see cref="Wait"/> that follows behind what values without a sign are computed from: the driver's compiler moves computations behind a wait, where
    /// they no longer overlap with operations.
    /// </summary>
    [IntrinsicImplementation, Ptx("{ .reg .b32 m; shr.s32 m, $0, 31; not.b32 m, m; bar.warp.sync m; }", MinArchitecture = 90)]
    public static void ComputeFirst(uint values) => _ = values;

    /// <summary>c + a b' for halves and 8 rows of b.</summary>
    /// <param name="c">The accumulators.</param>
    /// <param name="a">Descriptor of 64 rows.</param>
    /// <param name="b">Descriptor of as many rows as c has columns.</param>
    /// <param name="accumulate">0 to take c as zero.</param>
    [IntrinsicImplementation, Ptx(Scale + "m64n8k16.f32.f16.f16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile8 MultiplyHalves8(Tile8 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves.Low);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for halves and 16 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n16k16.f32.f16.f16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile16 MultiplyHalves16(Tile16 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves.Low);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for halves and 32 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n32k16.f32.f16.f16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile32 MultiplyHalves32(Tile32 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves.Low);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for halves and 64 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n64k16.f32.f16.f16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile64 MultiplyHalves64(Tile64 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves.Low);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for halves and 128 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n128k16.f32.f16.f16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile128 MultiplyHalves128(Tile128 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves.Low);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for halves and 256 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n256k16.f32.f16.f16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile256 MultiplyHalves256(Tile256 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves.Low);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for bfloat16 and 64 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n64k16.f32.bf16.bf16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile64 MultiplyBFloats64(Tile64 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &BFloats.Low);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for bfloat16 and 128 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n128k16.f32.bf16.bf16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile128 MultiplyBFloats128(Tile128 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &BFloats.Low);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for bfloat16 and 256 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n256k16.f32.bf16.bf16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile256 MultiplyBFloats256(Tile256 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &BFloats.Low);

    /// <summary>c + a b' for halves, a of 64 rows in registers and b of 64 rows.</summary>
    /// <param name="c">The accumulators.</param>
    /// <param name="a">
    /// 16 columns of the warp's 16 rows as <see cref="TensorCore"/> has them. The registers do not change before the operation is done.
    /// </param>
    /// <param name="b">Descriptor of as many rows as c has columns.</param>
    /// <param name="accumulate">0 to take c as zero.</param>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n64k16.f32.f16.f16" + RegisterEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile64 MultiplyRows64(Tile64 c, UInt4 a, long b, int accumulate) => Multiply(c, a, b, accumulate, &RowElement);

    /// <inheritdoc cref="MultiplyRows64"/>
    /// <summary>c + a b for halves, a of 64 rows in registers and b of 16 rows and 64 columns.</summary>
    /// <param name="c">The accumulators.</param>
    /// <param name="a">As in <see cref="MultiplyRows64"/>.</param>
    /// <param name="b"><see cref="MatrixDescriptor.CreateTransposed"/>.</param>
    /// <param name="accumulate">0 to take c as zero.</param>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n64k16.f32.f16.f16" + TransposedEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile64 MultiplyTransposed64(Tile64 c, UInt4 a, long b, int accumulate) => Multiply(c, a, b, accumulate, &TransposedElement);

    /// <inheritdoc cref="MultiplyTransposed64"/>
    /// <summary>c + a b for halves, a of 64 rows in registers and b of 16 rows and 128 columns.</summary>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n128k16.f32.f16.f16" + TransposedEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile128 MultiplyTransposed128(Tile128 c, UInt4 a, long b, int accumulate) => Multiply(c, a, b, accumulate, &TransposedElement);

    /// <param name="c">The accumulators.</param>
    /// <param name="a">The left operand.</param>
    /// <param name="b">The right one's descriptor.</param>
    /// <param name="accumulate">0 to take c as zero.</param>
    /// <param name="element">Element (k, n) of the right operand.</param>
    private static TTile Multiply<TTile>(TTile c, UInt4 a, long b, int accumulate, delegate*<long, int, int, uint> element)
        where TTile : unmanaged
    {
        float* sums = (float*)&c, rows = stackalloc float[2 * Columns];
        TensorCore.Gather(a, rows, rows + Columns);
        for (int i = 0; i < Unsafe.SizeOf<TTile>() / sizeof(float); i++)
        {
            float* row = rows + (i / 2 % 2 * Columns);
            float sum = accumulate != 0 ? sums[i] : 0;
            int column = (i / 4 * 8) + (2 * (Group.IdxX % 4)) + (i % 2);
            for (int k = 0; k < Columns; k++) sum += row[k] * Halves.Low(element(b, k, column));
            sums[i] = sum;
        }
        return c;
    }

    private static uint RowElement(long b, int k, int n) => *(ushort*)Shared.Pointer(MatrixDescriptor.AddressOf(b, n, k));

    private static uint TransposedElement(long b, int k, int n) => *(ushort*)Shared.Pointer(MatrixDescriptor.AddressOfTransposed(b, k, n));

    private static TTile Multiply<TTile>(TTile c, long a, long b, int accumulate, delegate*<uint, float> widen)
        where TTile : unmanaged
    {
        float* sums = (float*)&c;
        int lane = Group.IdxX % 32, row = (Group.IdxX % Threads / 32 * 16) + (lane / 4);
        for (int i = 0; i < Unsafe.SizeOf<TTile>() / sizeof(float); i++)
        {
            int sumRow = row + (i / 2 % 2 * 8), sumColumn = (i / 4 * 8) + (2 * (lane % 4)) + (i % 2);
            float sum = accumulate != 0 ? sums[i] : 0;
            for (int k = 0; k < Columns; k++) sum += Element(a, sumRow, k, widen) * Element(b, sumColumn, k, widen);
            sums[i] = sum;
        }
        return c;
    }

    private static float Element(long descriptor, int row, int column, delegate*<uint, float> widen) =>
        widen(*(ushort*)Shared.Pointer(MatrixDescriptor.AddressOf(descriptor, row, column)));
}
