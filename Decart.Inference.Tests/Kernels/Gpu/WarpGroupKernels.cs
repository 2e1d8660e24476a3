using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Native.Cuda;
using ILGPU;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>C = A B': maps of A (64 rows) and B (n rows), the address of C (64 x n), and how many boxes of columns there are.</summary>
internal struct WarpGroupArguments
{
    public long A, B, C;
    public int Boxes;
}

/// <summary>
/// Kernels that multiply 64 rows with n rows by <c>wgmma</c>, three stages of boxes in turn so that copies and two groups of operations overlap. The
/// rows of a box are as long as the swizzle, or 8 columns without one.
/// </summary>
internal static class WarpGroupKernels
{
    public static readonly GpuKernel<WarpGroupArguments> Halves64 = Create(RunHalves64, 64), Halves128 = Create(RunHalves128, 128),
        Halves256 = Create(RunHalves256, 256), BFloats64 = Create(RunBFloats64, 64), BFloats128 = Create(RunBFloats128, 128),
        BFloats256 = Create(RunBFloats256, 256);

    /// <summary>Other layouts of shared memory.</summary>
    public static readonly GpuKernel<WarpGroupArguments> Plain = Create(RunPlain, 64), Swizzle32 = Create(RunSwizzle32, 64),
        Swizzle64 = Create(RunSwizzle64, 64);

    /// <summary>Wrong: accumulators are used again after an operation took them.</summary>
    public static readonly GpuKernel<WarpGroupArguments> Reuse = new(RunReuse, WarpGroup.Threads) { MinArchitecture = 90, ForOneArchitecture = true };

    private const int Stages = 3;

    /// <summary>Bytes of a row of 64 sums.</summary>
    private const int TileBytes = 64 * sizeof(float);

    public static GpuKernel[] All => [Halves64, Halves128, Halves256, BFloats64, BFloats128, BFloats256, Plain, Swizzle32, Swizzle64];

    private static GpuKernel<WarpGroupArguments> Create(Action<WarpGroupArguments> run, int n) => new(run, WarpGroup.Threads)
    {
        MinArchitecture = 90,
        ForOneArchitecture = true,
        SharedBytes = (Stages * (WarpGroup.Rows + n) * 128) + (Stages * MBarrier.Bytes),
    };

    private static void RunHalves64(WarpGroupArguments a) => Run64(a, CudaTensorSwizzle.Bytes128, bfloats: false);

    private static void RunBFloats64(WarpGroupArguments a) => Run64(a, CudaTensorSwizzle.Bytes128, bfloats: true);

    private static void RunPlain(WarpGroupArguments a) => Run64(a, CudaTensorSwizzle.None, bfloats: false);

    private static void RunSwizzle32(WarpGroupArguments a) => Run64(a, CudaTensorSwizzle.Bytes32, bfloats: false);

    private static void RunSwizzle64(WarpGroupArguments a) => Run64(a, CudaTensorSwizzle.Bytes64, bfloats: false);

    private static void RunHalves128(WarpGroupArguments a) => Run128(a, bfloats: false);

    private static void RunBFloats128(WarpGroupArguments a) => Run128(a, bfloats: true);

    private static void RunHalves256(WarpGroupArguments a) => Run256(a, bfloats: false);

    private static void RunBFloats256(WarpGroupArguments a) => Run256(a, bfloats: true);

    private static void RunReuse(WarpGroupArguments a)
    {
        Tile64 first = WarpGroup.MultiplyHalves64(default, a.A, a.B, 0);
        Tile64 second = WarpGroup.MultiplyHalves64(first, a.A, a.B, 1), third = WarpGroup.MultiplyHalves64(first, a.B, a.A, 1);
        Store(second, a.C, 64);
        Store(third, a.C, 64);
    }

    private static void Run64(WarpGroupArguments a, CudaTensorSwizzle swizzle, bool bfloats)
    {
        Begin(a, swizzle, 64);
        Tile64 c = default;
        for (int stage = 0; stage < a.Boxes; stage++)
        {
            int left = Await(stage, swizzle, 64), right = left + BoxBytes(swizzle, WarpGroup.Rows);
            long x = Describe(left, swizzle, WarpGroup.Rows), y = Describe(right, swizzle, 64);
            WarpGroup.Fence();
            c = Multiply(c, x, y, stage, bfloats);
            if (swizzle >= CudaTensorSwizzle.Bytes64) c = Multiply(c, x + MatrixDescriptor.Step, y + MatrixDescriptor.Step, 1, bfloats);
            if (swizzle == CudaTensorSwizzle.Bytes128)
            {
                c = Multiply(c, x + (2 * MatrixDescriptor.Step), y + (2 * MatrixDescriptor.Step), 1, bfloats);
                c = Multiply(c, x + (3 * MatrixDescriptor.Step), y + (3 * MatrixDescriptor.Step), 1, bfloats);
            }
            WarpGroup.Commit();
            WarpGroup.Wait(1);
            Refill(a, stage - 1, swizzle, 64);
        }
        WarpGroup.Wait(0);
        Store(c, Destination(a, 64), 64);
    }

    private static void Run128(WarpGroupArguments a, bool bfloats)
    {
        Begin(a, CudaTensorSwizzle.Bytes128, 128);
        Tile128 c = default;
        for (int stage = 0; stage < a.Boxes; stage++)
        {
            int left = Await(stage, CudaTensorSwizzle.Bytes128, 128), right = left + BoxBytes(CudaTensorSwizzle.Bytes128, WarpGroup.Rows);
            long x = Describe(left, CudaTensorSwizzle.Bytes128, WarpGroup.Rows), y = Describe(right, CudaTensorSwizzle.Bytes128, 128);
            WarpGroup.Fence();
            c = Multiply(c, x, y, stage, bfloats);
            c = Multiply(c, x + MatrixDescriptor.Step, y + MatrixDescriptor.Step, 1, bfloats);
            c = Multiply(c, x + (2 * MatrixDescriptor.Step), y + (2 * MatrixDescriptor.Step), 1, bfloats);
            c = Multiply(c, x + (3 * MatrixDescriptor.Step), y + (3 * MatrixDescriptor.Step), 1, bfloats);
            WarpGroup.Commit();
            WarpGroup.Wait(1);
            Refill(a, stage - 1, CudaTensorSwizzle.Bytes128, 128);
        }
        WarpGroup.Wait(0);
        long destination = Destination(a, 128);
        Store(c.Left, destination, 128);
        Store(c.Right, destination + TileBytes, 128);
    }

    private static void Run256(WarpGroupArguments a, bool bfloats)
    {
        Begin(a, CudaTensorSwizzle.Bytes128, 256);
        Tile256 c = default;
        for (int stage = 0; stage < a.Boxes; stage++)
        {
            int left = Await(stage, CudaTensorSwizzle.Bytes128, 256), right = left + BoxBytes(CudaTensorSwizzle.Bytes128, WarpGroup.Rows);
            long x = Describe(left, CudaTensorSwizzle.Bytes128, WarpGroup.Rows), y = Describe(right, CudaTensorSwizzle.Bytes128, 256);
            WarpGroup.Fence();
            c = Multiply(c, x, y, stage, bfloats);
            c = Multiply(c, x + MatrixDescriptor.Step, y + MatrixDescriptor.Step, 1, bfloats);
            c = Multiply(c, x + (2 * MatrixDescriptor.Step), y + (2 * MatrixDescriptor.Step), 1, bfloats);
            c = Multiply(c, x + (3 * MatrixDescriptor.Step), y + (3 * MatrixDescriptor.Step), 1, bfloats);
            WarpGroup.Commit();
            WarpGroup.Wait(1);
            Refill(a, stage - 1, CudaTensorSwizzle.Bytes128, 256);
        }
        WarpGroup.Wait(0);
        long destination = Destination(a, 256);
        Store(c.Left.Left, destination, 256);
        Store(c.Left.Right, destination + TileBytes, 256);
        Store(c.Right.Left, destination + (2 * TileBytes), 256);
        Store(c.Right.Right, destination + (3 * TileBytes), 256);
    }

    private static Tile64 Multiply(Tile64 c, long x, long y, int accumulate, bool bfloats) =>
        bfloats ? WarpGroup.MultiplyBFloats64(c, x, y, accumulate) : WarpGroup.MultiplyHalves64(c, x, y, accumulate);

    private static Tile128 Multiply(Tile128 c, long x, long y, int accumulate, bool bfloats) =>
        bfloats ? WarpGroup.MultiplyBFloats128(c, x, y, accumulate) : WarpGroup.MultiplyHalves128(c, x, y, accumulate);

    private static Tile256 Multiply(Tile256 c, long x, long y, int accumulate, bool bfloats) =>
        bfloats ? WarpGroup.MultiplyBFloats256(c, x, y, accumulate) : WarpGroup.MultiplyHalves256(c, x, y, accumulate);

    /// <summary>Bytes of a box of rows; without swizzle there are two boxes of 8 columns.</summary>
    private static int BoxBytes(CudaTensorSwizzle swizzle, int rows) => swizzle == CudaTensorSwizzle.None ? 32 * rows : rows * (16 << (int)swizzle);

    private static long Describe(int address, CudaTensorSwizzle swizzle, int rows) => MatrixDescriptor.Create(address, swizzle, leadingBytes: 16 * rows);

    private static int Stage(int stage, CudaTensorSwizzle swizzle, int n) => Shared.Base() + (stage % Stages * BoxBytes(swizzle, WarpGroup.Rows + n));

    private static int Barrier(int stage, CudaTensorSwizzle swizzle, int n) =>
        Shared.Base() + (Stages * BoxBytes(swizzle, WarpGroup.Rows + n)) + (stage % Stages * MBarrier.Bytes);

    private static void Begin(WarpGroupArguments a, CudaTensorSwizzle swizzle, int n)
    {
        if (Group.IdxX == 0)
        {
            for (int stage = 0; stage < Stages; stage++) MBarrier.Init(Barrier(stage, swizzle, n), 1);
            MBarrier.PublishInit();
            TensorCopy.Acquire(a.A);
            TensorCopy.Acquire(a.B);
            for (int stage = 0; stage < Stages && stage < a.Boxes; stage++) Fill(a, stage, swizzle, n);
        }
        Group.Barrier();
    }

    private static void Fill(WarpGroupArguments a, int stage, CudaTensorSwizzle swizzle, int n)
    {
        int barrier = Barrier(stage, swizzle, n), left = Stage(stage, swizzle, n), right = left + BoxBytes(swizzle, WarpGroup.Rows);
        MBarrier.ArriveExpecting(barrier, BoxBytes(swizzle, WarpGroup.Rows + n));
        if (swizzle == CudaTensorSwizzle.None)
        {
            TensorCopy.Load2(left, a.A, 16 * stage, 0, barrier);
            TensorCopy.Load2(left + (16 * WarpGroup.Rows), a.A, (16 * stage) + 8, 0, barrier);
            TensorCopy.Load2(right, a.B, 16 * stage, 0, barrier);
            TensorCopy.Load2(right + (16 * n), a.B, (16 * stage) + 8, 0, barrier);
            return;
        }
        TensorCopy.Load2(left, a.A, stage * (8 << (int)swizzle), 0, barrier);
        TensorCopy.Load2(right, a.B, stage * (8 << (int)swizzle), 0, barrier);
    }

    /// <summary>Where the stage's matrices lie, once they are there.</summary>
    private static int Await(int stage, CudaTensorSwizzle swizzle, int n)
    {
        MBarrier.Wait(Barrier(stage, swizzle, n), stage / Stages % 2);
        return Stage(stage, swizzle, n);
    }

    /// <summary>Reuses the memory of a stage whose operations are done.</summary>
    private static void Refill(WarpGroupArguments a, int stage, CudaTensorSwizzle swizzle, int n)
    {
        Group.Barrier();
        if (Group.IdxX == 0 && stage >= 0 && stage + Stages < a.Boxes) Fill(a, stage + Stages, swizzle, n);
    }

    /// <summary>Where the thread's first accumulator comes to lie.</summary>
    private static long Destination(WarpGroupArguments a, int n)
    {
        int lane = Group.IdxX % 32, row = (Group.IdxX / 32 * 16) + (lane / 4);
        return a.C + (((row * n) + (2 * (lane % 4))) * sizeof(float));
    }

    private static void Store(Tile64 tile, long c, int n)
    {
        Store(tile.T0, c, n);
        Store(tile.T1, c + 32, n);
        Store(tile.T2, c + 64, n);
        Store(tile.T3, c + 96, n);
        Store(tile.T4, c + 128, n);
        Store(tile.T5, c + 160, n);
        Store(tile.T6, c + 192, n);
        Store(tile.T7, c + 224, n);
    }

    private static void Store(Float4 tile, long c, int n)
    {
        Global.StoreFloat(c, tile.A);
        Global.StoreFloat(c + sizeof(float), tile.B);
        Global.StoreFloat(c + (8 * n * sizeof(float)), tile.C);
        Global.StoreFloat(c + (8 * n * sizeof(float)) + sizeof(float), tile.D);
    }
}
