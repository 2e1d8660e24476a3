using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// Matrix operations of four warps, threads 128 i to 128 i + 127 of a group, all of which take part (PTX ISA, "Asynchronous Warpgroup Level Matrix
/// Instructions"; sm_90a alone): c += a b', float32, with a of 64 rows and b of 8 to 256, both 16 columns of shared memory that
/// <see cref="MatrixDescriptor"/> describes; or c += a b with a in registers; or 32 columns of floats or integers of 8 bits, in the bytes of 16 halves. Kernels have
/// <see cref="GpuKernel.ForOneArchitecture"/>.
/// </summary>
/// <remarks>
/// In order: the matrices are written (by threads: then <see cref="BulkCopy.Fence"/> and a barrier), <see cref="Fence"/>, operations,
/// <see cref="Commit"/>, <see cref="Wait"/>. Accumulators are touched, and the matrices changed, only after the wait. The emulations are done at once.
/// </remarks>
internal static unsafe class WarpGroup
{
    public const int Threads = 128, Rows = 64, Columns = 16;

    /// <summary>What products of integers have in their names.</summary>
    public const string IntegerProducts = ".s32.s8.s8";

    private const string RegisterScale = "{ .reg .pred p; setp.ne.b32 p, $3, 0; wgmma.mma_async.sync.aligned.", RegisterEnd = " {$r}, {$1}, $2, p, 1, 1, 0; }",
        TransposedEnd = " {$r}, {$1}, $2, p, 1, 1, 1; }";

    private const string Scale = "{ .reg .pred p; setp.ne.b32 p, $3, 0; wgmma.mma_async.sync.aligned.", End = " {$r}, $1, $2, p, 1, 1, 0, 0; }", CodesEnd = " {$r}, $1, $2, p, 1, 1; }", IntegersEnd = " {$r}, $1, $2, p; }",
        IntegerRowsEnd = " {$r}, {$1}, $2, p; }";

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
    public static Tile8 MultiplyHalves8(Tile8 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves16);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for halves and 16 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n16k16.f32.f16.f16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile16 MultiplyHalves16(Tile16 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves16);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for halves and 32 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n32k16.f32.f16.f16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile32 MultiplyHalves32(Tile32 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves16);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for halves and 64 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n64k16.f32.f16.f16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile64 MultiplyHalves64(Tile64 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves16);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for halves and 128 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n128k16.f32.f16.f16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile128 MultiplyHalves128(Tile128 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves16);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for halves and 192 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n192k16.f32.f16.f16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile192 MultiplyHalves192(Tile192 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves16);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for halves and 256 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n256k16.f32.f16.f16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile256 MultiplyHalves256(Tile256 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves16);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for bfloat16 and 64 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n64k16.f32.bf16.bf16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile64 MultiplyBFloats64(Tile64 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &BFloats16);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for bfloat16 and 128 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n128k16.f32.bf16.bf16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile128 MultiplyBFloats128(Tile128 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &BFloats16);

    /// <inheritdoc cref="MultiplyHalves8"/>
    /// <summary>c + a b' for bfloat16 and 256 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n256k16.f32.bf16.bf16" + End, MinArchitecture = 90, InPlace = true)]
    public static Tile256 MultiplyBFloats256(Tile256 c, long a, long b, int accumulate) => Multiply(c, a, b, accumulate, &BFloats16);

    /// <summary>c + a b' for floats of 8 bits (e4m3), 32 columns and 8 rows of b. Sums of 32 products are cut to some 13 bits: long ones are to be added up elsewhere.</summary>
    /// <param name="c">The accumulators.</param>
    /// <param name="a">Descriptor of 64 rows.</param>
    /// <param name="b">Descriptor of as many rows as c has columns.</param>
    /// <param name="accumulate">0 to take c as zero.</param>
    [IntrinsicImplementation, Ptx(Scale + "m64n8k32.f32.e4m3.e4m3" + CodesEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile8 MultiplyCodes8(Tile8 c, long a, long b, int accumulate)
    {
        c = Multiply(c, a, b, accumulate, &FirstCodes);
        return Multiply(c, a, b, accumulate: 1, &LastCodes);
    }

    /// <inheritdoc cref="MultiplyCodes8"/>
    /// <summary>c + a b' for floats of 8 bits (e4m3), 32 columns and 16 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n16k32.f32.e4m3.e4m3" + CodesEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile16 MultiplyCodes16(Tile16 c, long a, long b, int accumulate)
    {
        c = Multiply(c, a, b, accumulate, &FirstCodes);
        return Multiply(c, a, b, accumulate: 1, &LastCodes);
    }

    /// <inheritdoc cref="MultiplyCodes8"/>
    /// <summary>c + a b' for floats of 8 bits (e4m3), 32 columns and 32 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n32k32.f32.e4m3.e4m3" + CodesEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile32 MultiplyCodes32(Tile32 c, long a, long b, int accumulate)
    {
        c = Multiply(c, a, b, accumulate, &FirstCodes);
        return Multiply(c, a, b, accumulate: 1, &LastCodes);
    }

    /// <inheritdoc cref="MultiplyCodes8"/>
    /// <summary>c + a b' for floats of 8 bits (e4m3), 32 columns and 64 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n64k32.f32.e4m3.e4m3" + CodesEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile64 MultiplyCodes64(Tile64 c, long a, long b, int accumulate)
    {
        c = Multiply(c, a, b, accumulate, &FirstCodes);
        return Multiply(c, a, b, accumulate: 1, &LastCodes);
    }

    /// <inheritdoc cref="MultiplyCodes8"/>
    /// <summary>c + a b' for floats of 8 bits (e4m3), 32 columns and 128 rows of b.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n128k32.f32.e4m3.e4m3" + CodesEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile128 MultiplyCodes128(Tile128 c, long a, long b, int accumulate)
    {
        c = Multiply(c, a, b, accumulate, &FirstCodes);
        return Multiply(c, a, b, accumulate: 1, &LastCodes);
    }

    /// <summary>c + a b' for halves, a of 64 rows in registers and b of 64 rows.</summary>
    /// <param name="c">The accumulators.</param>
    /// <param name="a">
    /// 16 columns of the warp's 16 rows as <see cref="TensorCore"/> has them. The registers do not change before the operation is done.
    /// </param>
    /// <param name="b">Descriptor of as many rows as c has columns.</param>
    /// <param name="accumulate">0 to take c as zero.</param>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n64k16.f32.f16.f16" + RegisterEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile64 MultiplyRows64(Tile64 c, UInt4 a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves16);

    /// <inheritdoc cref="MultiplyRows64"/>
    /// <summary>c + a b' for halves, a of 64 rows in registers and b of 8 rows.</summary>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n8k16.f32.f16.f16" + RegisterEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile8 MultiplyRows8(Tile8 c, UInt4 a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves16);

    /// <inheritdoc cref="MultiplyRows64"/>
    /// <summary>c + a b' for halves, a of 64 rows in registers and b of 16 rows.</summary>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n16k16.f32.f16.f16" + RegisterEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile16 MultiplyRows16(Tile16 c, UInt4 a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves16);

    /// <inheritdoc cref="MultiplyRows64"/>
    /// <summary>c + a b' for halves, a of 64 rows in registers and b of 32 rows.</summary>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n32k16.f32.f16.f16" + RegisterEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile32 MultiplyRows32(Tile32 c, UInt4 a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves16);

    /// <inheritdoc cref="MultiplyRows64"/>
    /// <summary>c + a b' for halves, a of 64 rows in registers and b of 128 rows.</summary>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n128k16.f32.f16.f16" + RegisterEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile128 MultiplyRows128(Tile128 c, UInt4 a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves16);

    /// <inheritdoc cref="MultiplyRows64"/>
    /// <summary>c + a b' for halves, a of 64 rows in registers and b of 192 rows.</summary>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n192k16.f32.f16.f16" + RegisterEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile192 MultiplyRows192(Tile192 c, UInt4 a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves16);

    /// <inheritdoc cref="MultiplyRows64"/>
    /// <summary>c + a b' for halves, a of 64 rows in registers and b of 256 rows.</summary>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n256k16.f32.f16.f16" + RegisterEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile256 MultiplyRows256(Tile256 c, UInt4 a, long b, int accumulate) => Multiply(c, a, b, accumulate, &Halves16);

    /// <inheritdoc cref="MultiplyRows64"/>
    /// <summary>c + a b for halves, a of 64 rows in registers and b of 16 rows and 64 columns.</summary>
    /// <param name="c">The accumulators.</param>
    /// <param name="a">As in <see cref="MultiplyRows64"/>.</param>
    /// <param name="b"><see cref="MatrixDescriptor.CreateTransposed"/>.</param>
    /// <param name="accumulate">0 to take c as zero.</param>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n64k16.f32.f16.f16" + TransposedEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile64 MultiplyTransposed64(Tile64 c, UInt4 a, long b, int accumulate) => Multiply(c, a, b, accumulate, &TransposedHalves16);

    /// <inheritdoc cref="MultiplyTransposed64"/>
    /// <summary>c + a b for halves, a of 64 rows in registers and b of 16 rows and 128 columns.</summary>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n128k16.f32.f16.f16" + TransposedEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile128 MultiplyTransposed128(Tile128 c, UInt4 a, long b, int accumulate) => Multiply(c, a, b, accumulate, &TransposedHalves16);

    /// <summary>c + a b' for signed integers of 8 bits, 32 columns and 8 rows of b, exactly.</summary>
    /// <param name="c">The accumulators: integers of 32 bits in the place of floats.</param>
    /// <param name="a">Descriptor of 64 rows.</param>
    /// <param name="b">Descriptor of as many rows as c has columns.</param>
    /// <param name="accumulate">0 to take c as zero.</param>
    [IntrinsicImplementation, Ptx(Scale + "m64n8k32" + IntegerProducts + IntegersEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile8 MultiplyIntegers8(Tile8 c, long a, long b, int accumulate) => MultiplyIntegers(c, a, b, accumulate);

    /// <inheritdoc cref="MultiplyIntegers8"/>
    /// <summary>c + a b' for signed integers of 8 bits, 32 columns and 16 rows of b, exactly.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n16k32" + IntegerProducts + IntegersEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile16 MultiplyIntegers16(Tile16 c, long a, long b, int accumulate) => MultiplyIntegers(c, a, b, accumulate);

    /// <inheritdoc cref="MultiplyIntegers8"/>
    /// <summary>c + a b' for signed integers of 8 bits, 32 columns and 32 rows of b, exactly.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n32k32" + IntegerProducts + IntegersEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile32 MultiplyIntegers32(Tile32 c, long a, long b, int accumulate) => MultiplyIntegers(c, a, b, accumulate);

    /// <inheritdoc cref="MultiplyIntegers8"/>
    /// <summary>c + a b' for signed integers of 8 bits, 32 columns and 64 rows of b, exactly.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n64k32" + IntegerProducts + IntegersEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile64 MultiplyIntegers64(Tile64 c, long a, long b, int accumulate) => MultiplyIntegers(c, a, b, accumulate);

    /// <inheritdoc cref="MultiplyIntegers8"/>
    /// <summary>c + a b' for signed integers of 8 bits, 32 columns and 128 rows of b, exactly.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n128k32" + IntegerProducts + IntegersEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile128 MultiplyIntegers128(Tile128 c, long a, long b, int accumulate) => MultiplyIntegers(c, a, b, accumulate);

    /// <inheritdoc cref="MultiplyIntegers8"/>
    /// <summary>c + a b' for signed integers of 8 bits, 32 columns and 192 rows of b, exactly.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n192k32" + IntegerProducts + IntegersEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile192 MultiplyIntegers192(Tile192 c, long a, long b, int accumulate) => MultiplyIntegers(c, a, b, accumulate);

    /// <inheritdoc cref="MultiplyIntegers8"/>
    /// <summary>c + a b' for signed integers of 8 bits, 32 columns and 256 rows of b, exactly.</summary>
    [IntrinsicImplementation, Ptx(Scale + "m64n256k32" + IntegerProducts + IntegersEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile256 MultiplyIntegers256(Tile256 c, long a, long b, int accumulate) => MultiplyIntegers(c, a, b, accumulate);

    /// <summary>c + a b' for signed integers of 8 bits, 32 columns of a in registers and 8 rows of b, exactly.</summary>
    /// <param name="c">The accumulators: integers of 32 bits in the place of floats.</param>
    /// <param name="a">
    /// 32 columns of the warp's 16 rows: with g = lane / 4 and t = lane % 4 columns 4 t to 4 t + 3 of A: row g, B: row g + 8; C, D: the columns 16 further. The registers do not change before the operation is done.
    /// </param>
    /// <param name="b">Descriptor of as many rows as c has columns.</param>
    /// <param name="accumulate">0 to take c as zero.</param>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n8k32" + IntegerProducts + IntegerRowsEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile8 MultiplyIntegerRows8(Tile8 c, UInt4 a, long b, int accumulate) => MultiplyIntegers(c, a, b, accumulate);

    /// <inheritdoc cref="MultiplyIntegerRows8"/>
    /// <summary>c + a b' for signed integers of 8 bits, 32 columns of a in registers and 16 rows of b, exactly.</summary>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n16k32" + IntegerProducts + IntegerRowsEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile16 MultiplyIntegerRows16(Tile16 c, UInt4 a, long b, int accumulate) => MultiplyIntegers(c, a, b, accumulate);

    /// <inheritdoc cref="MultiplyIntegerRows8"/>
    /// <summary>c + a b' for signed integers of 8 bits, 32 columns of a in registers and 32 rows of b, exactly.</summary>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n32k32" + IntegerProducts + IntegerRowsEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile32 MultiplyIntegerRows32(Tile32 c, UInt4 a, long b, int accumulate) => MultiplyIntegers(c, a, b, accumulate);

    /// <inheritdoc cref="MultiplyIntegerRows8"/>
    /// <summary>c + a b' for signed integers of 8 bits, 32 columns of a in registers and 64 rows of b, exactly.</summary>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n64k32" + IntegerProducts + IntegerRowsEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile64 MultiplyIntegerRows64(Tile64 c, UInt4 a, long b, int accumulate) => MultiplyIntegers(c, a, b, accumulate);

    /// <inheritdoc cref="MultiplyIntegerRows8"/>
    /// <summary>c + a b' for signed integers of 8 bits, 32 columns of a in registers and 128 rows of b, exactly.</summary>
    [IntrinsicImplementation, Ptx(RegisterScale + "m64n128k32" + IntegerProducts + IntegerRowsEnd, MinArchitecture = 90, InPlace = true)]
    public static Tile128 MultiplyIntegerRows128(Tile128 c, UInt4 a, long b, int accumulate) => MultiplyIntegers(c, a, b, accumulate);

    private static TTile Multiply<TTile>(TTile c, UInt4 a, long b, int accumulate, delegate*<long, int, float*, void> column)
        where TTile : unmanaged
    {
        float* rows = stackalloc float[2 * Columns];
        TensorCore.Gather(a, rows, rows + Columns);
        return Multiply(c, rows, b, accumulate, column);
    }

    private static TTile Multiply<TTile>(TTile c, long a, long b, int accumulate, delegate*<long, int, float*, void> read)
        where TTile : unmanaged
    {
        float* rows = stackalloc float[2 * Columns];
        int row = (Group.IdxX % Threads / 32 * 16) + (Group.IdxX % 32 / 4);
        read(a, row, rows);
        read(a, row + 8, rows + Columns);
        return Multiply(c, rows, b, accumulate, read);
    }

    /// <summary>What a thread computes: in each 8 columns two neighbours of two rows, in the order of <see cref="TensorCore"/>'s accumulators.</summary>
    /// <param name="c">The accumulators.</param>
    /// <param name="rows">16 elements of the upper row, then 16 of the lower.</param>
    /// <param name="b">The right operand's descriptor.</param>
    /// <param name="accumulate">0 to take c as zero.</param>
    /// <param name="column">Reads the 16 elements of one of its columns.</param>
    private static TTile Multiply<TTile>(TTile c, float* rows, long b, int accumulate, delegate*<long, int, float*, void> column)
        where TTile : unmanaged
    {
        float* sums = (float*)&c, left = stackalloc float[Columns], right = stackalloc float[Columns];
        for (int block = 0; block < Unsafe.SizeOf<TTile>() / sizeof(Vector128<float>); block++)
        {
            int first = (block * 8) + (2 * (Group.IdxX % 4));
            column(b, first, left);
            column(b, first + 1, right);
            Vector128<float> sum = accumulate != 0 ? Vector128.Load(sums + (4 * block)) : Vector128<float>.Zero;
            for (int k = 0; k < Columns; k++)
            {
                float upper = rows[k], lower = rows[Columns + k];
                sum += Vector128.Create(upper, upper, lower, lower) * Vector128.Create(left[k], right[k], left[k], right[k]);
            }
            sum.Store(sums + (4 * block));
        }
        return c;
    }

    private static TTile MultiplyIntegers<TTile>(TTile c, long a, long b, int accumulate)
        where TTile : unmanaged
    {
        sbyte* rows = stackalloc sbyte[4 * Columns];
        int row = (Group.IdxX % Threads / 32 * 16) + (Group.IdxX % 32 / 4);
        for (int half = 0; half < 4; half++)
        {
            sbyte* run = (sbyte*)Run(a, row + (half / 2 * 8), half % 2 * 8);
            for (int k = 0; k < Columns; k++) rows[(half * Columns) + k] = run[k];
        }
        return MultiplyIntegers(c, rows, b, accumulate);
    }

    private static TTile MultiplyIntegers<TTile>(TTile c, UInt4 a, long b, int accumulate)
        where TTile : unmanaged
    {
        sbyte* rows = stackalloc sbyte[4 * Columns];
        TensorCore.GatherBytes(a, rows, rows + (2 * Columns));
        return MultiplyIntegers(c, rows, b, accumulate);
    }

    /// <summary>What a thread computes of integers, its accumulators in the same order.</summary>
    /// <param name="c">The accumulators.</param>
    /// <param name="rows">32 elements of the upper row, then 32 of the lower.</param>
    /// <param name="b">The right operand's descriptor.</param>
    /// <param name="accumulate">0 to take c as zero.</param>
    private static TTile MultiplyIntegers<TTile>(TTile c, sbyte* rows, long b, int accumulate)
        where TTile : unmanaged
    {
        int* sums = (int*)&c;
        for (int index = 0; index < Unsafe.SizeOf<TTile>() / sizeof(int); index++)
        {
            int column = (index / 4 * 8) + (2 * (Group.IdxX % 4)) + (index % 2), sum = accumulate != 0 ? sums[index] : 0;
            for (int half = 0; half < 2; half++)
            {
                sbyte* left = rows + (((index / 2 % 2 * 2) + half) * Columns), right = (sbyte*)Run(b, column, half * Columns / 2);
                for (int k = 0; k < Columns; k++) sum += left[k] * right[k];
            }
            sums[index] = sum;
        }
        return c;
    }

    private static void Halves16(long descriptor, int row, float* elements)
    {
        ushort* low = Run(descriptor, row, 0), high = Run(descriptor, row, 8);
        for (int k = 0; k < 8; k++) (elements[k], elements[k + 8]) = (Halves.Low(low[k]), Halves.Low(high[k]));
    }

    private static void BFloats16(long descriptor, int row, float* elements)
    {
        ushort* low = Run(descriptor, row, 0), high = Run(descriptor, row, 8);
        for (int k = 0; k < 8; k++) (elements[k], elements[k + 8]) = (BFloats.Low(low[k]), BFloats.Low(high[k]));
    }

    /// <summary>The first 16 of 32 codes: where eight halves would be.</summary>
    private static void FirstCodes(long descriptor, int row, float* elements) => Codes16((byte*)Run(descriptor, row, 0), elements);

    private static void LastCodes(long descriptor, int row, float* elements) => Codes16((byte*)Run(descriptor, row, 8), elements);

    private static void Codes16(byte* codes, float* elements)
    {
        for (int k = 0; k < Columns; k++) elements[k] = E4M3.Numbers[codes[k]];
    }

    private static void TransposedHalves16(long descriptor, int column, float* elements)
    {
        for (int k = 0; k < Columns; k++) elements[k] = Halves.Low(*(ushort*)Shared.Pointer(MatrixDescriptor.AddressOfTransposed(descriptor, k, column)));
    }

    /// <summary>Eight neighbouring elements of a row, from a column that is a multiple of 8.</summary>
    private static ushort* Run(long descriptor, int row, int column) => (ushort*)Shared.Pointer(MatrixDescriptor.AddressOf(descriptor, row, column));
}
