using System.Runtime.CompilerServices;
using static Decart.Inference.Kernels.Cpu.MatMulShape;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// The inner loops over encoded weights, which stream from memory: half a panel of weight rows times few rows of x, adding to accumulators in
/// memory (for each row of x a panel's 8, one after another). Each accumulator takes its row's products in ascending order whatever the
/// loop around it, so all loops agree bit for bit.
/// </summary>
internal static unsafe class MatMulDotKernel<TLanes, TVector>
    where TLanes : IMatMulLanes<TVector>
    where TVector : unmanaged
{
    /// <summary>
    /// One row of x times encoded weights, widened in registers, two weight rows at a time: nearly the order in which they lie, which memory likes best.
    /// </summary>
    /// <param name="rows">The first block of each of <see cref="DotRows"/> weight rows of the same format.</param>
    /// <param name="blocks">Number of blocks.</param>
    /// <param name="x">As many elements.</param>
    /// <param name="accumulators">One for each weight row.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void DotByTwo<TFormat>(MatMulRow* rows, int blocks, float* x, void* accumulators)
        where TFormat : IWeightFormat
    {
        for (int i = 0; i < DotRows; i += 2) DotTwo<TFormat>(rows + i, (nint)blocks * TFormat.BlockBytes, x, (TVector*)accumulators + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void DotTwo<TFormat>(MatMulRow* rows, nint bytes, float* x, TVector* a)
        where TFormat : IWeightFormat
    {
        byte* r0 = rows[0].Data, r1 = rows[1].Data;
        TVector a0 = a[0], a1 = a[1];
        nint next = 2 * rows->RowBytes;
        for (nint start = 0; start < bytes; start += FetchStep<TFormat>())
        {
            nint end = Math.Min(start + FetchStep<TFormat>(), bytes);
            nint ahead = FetchOffset(start, bytes, next, FetchDistance / 2);
            MatMulRow.Fetch(r0 + ahead, end - start);
            MatMulRow.Fetch(r1 + ahead, end - start);
            for (nint offset = start; offset < end; offset += TFormat.BlockBytes, x += TFormat.BlockLength)
            {
                a0 = TLanes.MultiplyAdd<TFormat>(a0, r0 + offset, x);
                a1 = TLanes.MultiplyAdd<TFormat>(a1, r1 + offset, x);
            }
        }
        (a[0], a[1]) = (a0, a1);
    }

    /// <summary>As <see cref="DotByTwo"/>, four weight rows at a time: for blocks that are long chains of dependent additions.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void DotByFour<TFormat>(MatMulRow* rows, int blocks, float* x, void* accumulators)
        where TFormat : IWeightFormat
    {
        var a = (TVector*)accumulators;
        nint bytes = (nint)blocks * TFormat.BlockBytes;
        byte* r0 = rows[0].Data, r1 = rows[1].Data, r2 = rows[2].Data, r3 = rows[3].Data;
        TVector a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
        nint next = 4 * rows->RowBytes;
        for (nint start = 0; start < bytes; start += FetchStep<TFormat>())
        {
            nint end = Math.Min(start + FetchStep<TFormat>(), bytes);
            nint ahead = FetchOffset(start, bytes, next, FetchDistance / 4);
            MatMulRow.Fetch(r0 + ahead, end - start);
            MatMulRow.Fetch(r1 + ahead, end - start);
            MatMulRow.Fetch(r2 + ahead, end - start);
            MatMulRow.Fetch(r3 + ahead, end - start);
            for (nint offset = start; offset < end; offset += TFormat.BlockBytes, x += TFormat.BlockLength)
            {
                a0 = TLanes.MultiplyAdd<TFormat>(a0, r0 + offset, x);
                a1 = TLanes.MultiplyAdd<TFormat>(a1, r1 + offset, x);
                a2 = TLanes.MultiplyAdd<TFormat>(a2, r2 + offset, x);
                a3 = TLanes.MultiplyAdd<TFormat>(a3, r3 + offset, x);
            }
        }
        (a[0], a[1], a[2], a[3]) = (a0, a1, a2, a3);
    }

    /// <summary>2 to 4 rows of x times encoded weights, which are widened in registers once for all: 16 accumulators.</summary>
    /// <param name="rows">The first block of each of <see cref="DotRows"/> weight rows of the same format.</param>
    /// <param name="blocks">Number of blocks.</param>
    /// <param name="x">As many elements of the first row.</param>
    /// <param name="xStride">Elements from one row of x to the next.</param>
    /// <param name="xRows">Rows of x; fewer than <see cref="DotTileRows"/> leave anything in the other rows' accumulators.</param>
    /// <param name="accumulators">One for each weight row and, a panel later, for the next row of x; for 4 rows of x in any case.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void DotTile<TFormat>(MatMulRow* rows, int blocks, float* x, nint xStride, int xRows, void* accumulators)
        where TFormat : IWeightFormat
    {
        var a = (TVector*)accumulators;
        byte* r0 = rows[0].Data, r1 = rows[1].Data, r2 = rows[2].Data, r3 = rows[3].Data;
        float* x1 = x + (Math.Min(1, xRows - 1) * xStride);
        float* x2 = x + (Math.Min(2, xRows - 1) * xStride);
        float* x3 = x + (Math.Min(3, xRows - 1) * xStride);
        TVector a00 = a[0], a01 = a[1], a02 = a[2], a03 = a[3];
        TVector a10 = a[8], a11 = a[9], a12 = a[10], a13 = a[11];
        TVector a20 = a[16], a21 = a[17], a22 = a[18], a23 = a[19];
        TVector a30 = a[24], a31 = a[25], a32 = a[26], a33 = a[27];
        nint bytes = (nint)blocks * TFormat.BlockBytes;
        nint next = DotRows * rows->RowBytes;
        for (nint start = 0; start < bytes; start += FetchStep<TFormat>())
        {
            nint end = Math.Min(start + FetchStep<TFormat>(), bytes);
            nint ahead = FetchOffset(start, bytes, next, FetchDistance / DotRows);
            MatMulRow.Fetch(r0 + ahead, end - start);
            MatMulRow.Fetch(r1 + ahead, end - start);
            MatMulRow.Fetch(r2 + ahead, end - start);
            MatMulRow.Fetch(r3 + ahead, end - start);
            for (nint offset = start; offset < end; offset += TFormat.BlockBytes)
            {
                a00 = TLanes.MultiplyAdd<TFormat>(a00, r0 + offset, x);
                a10 = TLanes.MultiplyAdd<TFormat>(a10, r0 + offset, x1);
                a20 = TLanes.MultiplyAdd<TFormat>(a20, r0 + offset, x2);
                a30 = TLanes.MultiplyAdd<TFormat>(a30, r0 + offset, x3);
                a01 = TLanes.MultiplyAdd<TFormat>(a01, r1 + offset, x);
                a11 = TLanes.MultiplyAdd<TFormat>(a11, r1 + offset, x1);
                a21 = TLanes.MultiplyAdd<TFormat>(a21, r1 + offset, x2);
                a31 = TLanes.MultiplyAdd<TFormat>(a31, r1 + offset, x3);
                a02 = TLanes.MultiplyAdd<TFormat>(a02, r2 + offset, x);
                a12 = TLanes.MultiplyAdd<TFormat>(a12, r2 + offset, x1);
                a22 = TLanes.MultiplyAdd<TFormat>(a22, r2 + offset, x2);
                a32 = TLanes.MultiplyAdd<TFormat>(a32, r2 + offset, x3);
                a03 = TLanes.MultiplyAdd<TFormat>(a03, r3 + offset, x);
                a13 = TLanes.MultiplyAdd<TFormat>(a13, r3 + offset, x1);
                a23 = TLanes.MultiplyAdd<TFormat>(a23, r3 + offset, x2);
                a33 = TLanes.MultiplyAdd<TFormat>(a33, r3 + offset, x3);
                x += TFormat.BlockLength;
                x1 += TFormat.BlockLength;
                x2 += TFormat.BlockLength;
                x3 += TFormat.BlockLength;
            }
        }
        (a[0], a[1], a[2], a[3]) = (a00, a01, a02, a03);
        (a[8], a[9], a[10], a[11]) = (a10, a11, a12, a13);
        (a[16], a[17], a[18], a[19]) = (a20, a21, a22, a23);
        (a[24], a[25], a[26], a[27]) = (a30, a31, a32, a33);
    }

    /// <summary>Bytes of a row that are fetched at once: whole blocks.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static nint FetchStep<TFormat>()
        where TFormat : IWeightFormat => Math.Max(FetchBytes / TFormat.BlockBytes, 1) * TFormat.BlockBytes;

    /// <summary>
    /// Where in its row, or past the row's end in the row that follows it in its place, lies what will be needed soon:
    /// <paramref name="distance"/> bytes of this row later.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static nint FetchOffset(nint start, nint bytes, nint next, nint distance)
    {
        nint offset = start + distance;
        return offset < bytes ? offset : offset - bytes + next;
    }
}
