using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// A row of float32 that a lane of <see cref="GpuTensorMatMul"/> normalises as it reads it, to the halves that <see cref="GpuNorm"/> would have stored, bit
/// for bit. Addresses are those of the lane's first elements.
/// </summary>
internal struct GpuNormedRow
{
    public long X, Scale;

    /// <summary>0 for none.</summary>
    public long Bias;

    public float Mean, Factor;

    private const int Lanes = 32, Warps = GpuNorm.GroupSize / Lanes, TileRows = 8;

    /// <summary>
    /// The group measures its rows, each in the order of <see cref="GpuNorm"/>. A warp's sum of row r goes to place r of its own, and each lane adds up
    /// those of its row.
    /// </summary>
    public static GpuNormedRow Measure(MatMulArguments a, int place, int end, ArrayView<float> sums)
    {
        int rows = end - place < TileRows ? end - place : TileRows, own = Warp.LaneIdx / 4 < rows ? Warp.LaneIdx / 4 : rows - 1;
        int warp = Group.IdxX / Lanes, shift = Warp.LaneIdx % 4 * 8 * sizeof(float);
        GpuNormedRow normed = default;
        normed.X = AddressOf(a, place + own) + shift;
        normed.Scale = a.NormScale + shift;
        normed.Bias = a.NormBias != 0 ? a.NormBias + shift : 0;
        // The mean is needed of all rows, each lane keeps that of its own: the means lie behind the sums.
        int means = Warps * TileRows;
        if (a.RemoveMean != 0)
        {
            for (int row = 0; row < rows; row++)
            {
                float sum = Reduce.WarpSum(GpuNorm.PartialSum(AddressOf(a, place + row), a.NormColumns));
                if (Warp.LaneIdx == 0) sums[(warp * TileRows) + row] = sum;
            }
            Group.Barrier();
            normed.Mean = Total(sums, own) / a.NormColumns;
            if (warp == 0 && Warp.LaneIdx % 4 == 0 && Warp.LaneIdx / 4 < rows) sums[means + own] = normed.Mean;
            Group.Barrier();
        }
        for (int row = 0; row < rows; row++)
        {
            float mean = a.RemoveMean != 0 ? sums[means + row] : 0;
            float squares = Reduce.WarpSum(GpuNorm.PartialSquares(AddressOf(a, place + row), a.NormColumns, mean));
            if (Warp.LaneIdx == 0) sums[(warp * TileRows) + row] = squares;
        }
        Group.Barrier();
        normed.Factor = GpuNorm.Factor(Total(sums, own), a.NormColumns, a.NormEpsilon);
        Group.Barrier();
        return normed;
    }

    /// <summary>The lane's eight elements of the normalised row.</summary>
    /// <param name="row">The row.</param>
    /// <param name="k">Bytes of halves from the beginning of the row.</param>
    public static UInt4 Load(GpuNormedRow row, int k)
    {
        int offset = 2 * k;
        bool hasBias = row.Bias != 0;
        Float4 x = Global.LoadFloat4(row.X + offset), y = Global.LoadFloat4(row.X + offset + 16);
        Float4 s = Global.LoadFloat4(row.Scale + offset), t = Global.LoadFloat4(row.Scale + offset + 16);
        long bias = row.Bias + offset;
        return new UInt4
        {
            A = Pair(row, x.A, s.A, bias, x.B, s.B, hasBias),
            B = Pair(row, x.C, s.C, bias + 8, x.D, s.D, hasBias),
            C = Pair(row, y.A, t.A, bias + 16, y.B, t.B, hasBias),
            D = Pair(row, y.C, t.C, bias + 24, y.D, t.D, hasBias),
        };
    }

    private static uint Pair(GpuNormedRow row, float low, float lowScale, long bias, float high, float highScale, bool hasBias) => Halves.SaturatePair(
        GpuNorm.Apply(low, row.Mean, row.Factor, lowScale, bias, hasBias),
        GpuNorm.Apply(high, row.Mean, row.Factor, highScale, bias + sizeof(float), hasBias));

    private static long AddressOf(MatMulArguments a, int place) =>
        a.X + ((long)(a.Sources != 0 ? Global.LoadInt(a.Sources + (place * sizeof(int))) : place) * a.Stride * sizeof(float));

    private static float Total(ArrayView<float> sums, int row)
    {
        float total = 0;
        for (int warp = 0; warp < Warps; warp++) total += sums[(warp * TileRows) + row];
        return total;
    }
}
