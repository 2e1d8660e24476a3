using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Memory;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct Fp8RoundArguments
{
    /// <summary>Address of the number of rows (int).</summary>
    public long Count;

    /// <summary>An operand of halves, see <see cref="CoreTiles"/>, and one of codes, see <see cref="Fp8Tiles"/>.</summary>
    public long X, Y;

    /// <summary>Where the scales of rows go, float32.</summary>
    public long Scales;

    /// <summary>Padded columns of both.</summary>
    public int Stride;

    public int XBlockRows, YBlockRows;
}

/// <summary>An operand of halves becomes one of floats of 8 bits, each row with a scale (<see cref="Fp8Codes.ScaleOf"/>). One group a row; a thread keeps what it has loaded of up to 32,768 columns.</summary>
internal static class GpuFp8Round
{
    public static readonly GpuKernel<Fp8RoundArguments> Kernel = new(Run, groupSize: 1024) { MinArchitecture = 90, StartsEarly = true };

    private static void Run(Fp8RoundArguments a)
    {
        ArrayView<float> memory = SharedMemory.Allocate1D<float>(Reduce.MaxWarps).BaseView;
        GridDependency.LaunchDependents();
        int row = Grid.IdxX, rows = Global.LoadInt(a.Count), first = Group.IdxX * CoreRow.Columns, step = Group.DimX * CoreRow.Columns;
        GridDependency.Wait();
        if (row >= rows) return;
        Chunks chunks = Load(a, row, first, step);
        int largest = LargestMagnitude(chunks);
        for (int column = first + (4 * step); column < a.Stride; column += 4 * step) largest = Math.Max(largest, LargestMagnitude(Load(a, row, column, step)));
        int scale = Fp8Codes.ScaleOf(Reduce.GroupMax(largest, memory, 0));
        float inverse = Interop.IntAsFloat((uint)Fp8Codes.InverseOf(scale));
        Store(a, row, first, step, chunks, inverse);
        for (int column = first + (4 * step); column < a.Stride; column += 4 * step) Store(a, row, column, step, Load(a, row, column, step), inverse);
        if (Group.IdxX == 0) Global.StoreFloat(a.Scales + ((long)row * sizeof(float)), Halves.Low((uint)scale));
    }

    private static Chunks Load(Fp8RoundArguments a, int row, int column, int step) => new()
    {
        A = Load(a, row, column),
        B = Load(a, row, column + step),
        C = Load(a, row, column + (2 * step)),
        D = Load(a, row, column + (3 * step)),
    };

    private static UInt4 Load(Fp8RoundArguments a, int row, int column)
    {
        UInt4 halves = default;
        if (column < a.Stride) halves = Global.Load16(a.X + CoreTiles.OperandOffset(row, column, a.Stride, a.XBlockRows));
        return halves;
    }

    private static int LargestMagnitude(Chunks chunks) => Math.Max(
        Math.Max(CoreRow.LargestMagnitude(CoreRow.Widen(chunks.A)), CoreRow.LargestMagnitude(CoreRow.Widen(chunks.B))),
        Math.Max(CoreRow.LargestMagnitude(CoreRow.Widen(chunks.C)), CoreRow.LargestMagnitude(CoreRow.Widen(chunks.D))));

    private static void Store(Fp8RoundArguments a, int row, int column, int step, Chunks chunks, float inverse)
    {
        Store(a, row, column, chunks.A, inverse);
        Store(a, row, column + step, chunks.B, inverse);
        Store(a, row, column + (2 * step), chunks.C, inverse);
        Store(a, row, column + (3 * step), chunks.D, inverse);
    }

    private static void Store(Fp8RoundArguments a, int row, int column, UInt4 halves, float inverse)
    {
        if (column >= a.Stride) return;
        long codes = (long)CoreRow.Codes(CoreRow.Multiply(CoreRow.Widen(halves), inverse));
        Global.StoreLong(a.Y + Fp8Tiles.OperandOffset(row, column, a.Stride, a.YBlockRows), codes);
    }

    /// <summary>Four times eight neighbours of a row.</summary>
    private struct Chunks
    {
        public UInt4 A, B, C, D;
    }
}
