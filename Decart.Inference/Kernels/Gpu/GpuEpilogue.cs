using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>What becomes of a matmul's sums; see <see cref="Epilogue"/>.</summary>
internal static class GpuEpilogue
{
    /// <summary>Stores one element.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="row">Row of y.</param>
    /// <param name="column">Column of y.</param>
    /// <param name="sum">The product with the column's row of the weight.</param>
    /// <param name="up">With a gate, the product with the ups' row.</param>
    public static void StoreElement(MatMulArguments a, int row, int column, float sum, float up)
    {
        float value = Value(a, column, sum, up);
        if (a.HalfY != 0) Global.Store2(a.Y + CoreTiles.OperandOffset(row, column, a.YStride, a.YBlockRows), Halves.Saturate(value));
        else StoreFloat(a, row, column, value);
    }

    private static float Value(MatMulArguments a, int column, float sum, float up)
    {
        if (a.Bias != 0)
        {
            sum += Global.LoadFloat(a.Bias + ((long)column * sizeof(float)));
            if (a.Gated != 0) up += Global.LoadFloat(a.Bias + ((long)(a.Columns + column) * sizeof(float)));
        }
        float value = GpuMath.Activate(a.Function, sum);
        if (a.Gated != 0) value *= up;
        return a.SoftCap != 0 ? GpuMath.SoftCap(value, a.SoftCap) : value;
    }

    private static void StoreFloat(MatMulArguments a, int row, int column, float value)
    {
        long address = a.Y + ((((long)row * a.YStride) + column) * sizeof(float));
        Global.StoreFloat(address, a.Accumulate != 0 ? Global.LoadFloat(address) + value : value);
    }
}

/// <summary>
/// Stores a warp's tile of sums, fragment by fragment. A lane holds two rows of the weight, so two columns of y or a gate and its up, and of each fragment two rows of y.
/// An operand's are transposed first, which makes two neighbours of a row.
/// </summary>
internal struct StoreTile
{
    private MatMulArguments _a;
    private float _bias, _secondBias;
    private int _tile, _place, _end;
    private bool _reduces;

    /// <summary>Stores the sums of all rows.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="sums">The sums.</param>
    /// <param name="tile">The weight's tile.</param>
    /// <param name="place">Place of the first of the rows, a multiple of 8 where y is an operand.</param>
    /// <param name="end">Where places end.</param>
    /// <param name="reduces">A constant: whether sums are added in the second-level cache.</param>
    /// <param name="raises">A constant: whether there may be maxima to raise.</param>
    public static void Store<TSums>(MatMulArguments a, TSums sums, int tile, int place, int end, bool reduces, bool raises)
        where TSums : unmanaged, ISums<TSums>
    {
        if (!raises || TSums.Columns > RowMaxima.Rows) a.Maxima = 0;
        StoreTile store = new() { _a = a, _tile = tile, _place = place, _end = end, _reduces = reduces };
        if (a.Bias != 0)
        {
            int column = Column(a, tile), second = a.Gated != 0 ? a.Columns + column : column + 8;
            if (column < a.Columns) store._bias = Global.LoadFloat(a.Bias + ((long)column * sizeof(float)));
            if (second < (a.Gated != 0 ? 2 : 1) * a.Columns) store._secondBias = Global.LoadFloat(a.Bias + ((long)second * sizeof(float)));
        }
        bool plain = reduces && a.SoftCap == 0 && IsWhole(a, tile);
        for (int first = 0; first < TSums.Columns; first += 64)
        {
            Tile64 fragments = TSums.First(sums);
            if (TSums.Columns >= 64 && plain && store._place + 64 <= end && HasOwnLoop(a))
            {
                StoreWhole(store, fragments);
                store._place += 64;
            }
            else
            {
                for (int column = first; column < TSums.Columns && column < first + 64; column += 8)
                {
                    StoreFragment(store, fragments.T0);
                    fragments = Tile64.Shift(fragments);
                    store._place += 8;
                }
            }
            if (TSums.Columns > 64) sums = TSums.Shift(sums);
        }
    }

    /// <summary>Whether all of a tile's columns of y exist.</summary>
    private static bool IsWhole(MatMulArguments a, int tile) => (tile + 1) * (a.Gated != 0 ? 8 : CoreTiles.TileRows) <= a.Columns;

    /// <summary>Whether <see cref="StoreWhole"/> stores such results.</summary>
    private static bool HasOwnLoop(MatMulArguments a) =>
        a.HalfY == 0 ? a.Gated == 0 && a.Function == (int)ActivationFunction.None : a.Gated != 0 && a.Function == (int)ActivationFunction.Silu;

    /// <summary>Stores what most matmuls have, for 64 rows that all exist, without a question on the way.</summary>
    private static void StoreWhole(StoreTile self, Tile64 fragments)
    {
        MatMulArguments a = self._a;
        if (a.HalfY != 0)
        {
            int column = Column(a, self._tile) + (2 * (Warp.LaneIdx & 3)) - (Warp.LaneIdx >> 2);
            long address = a.Y + CoreTiles.OperandOffset(self._place + (Warp.LaneIdx >> 2), column, a.YStride, a.YBlockRows);
            StoreGated(self, fragments.T0, address);
            StoreGated(self, fragments.T1, address + CoreTiles.CoreRowBytes);
            StoreGated(self, fragments.T2, address + (2 * CoreTiles.CoreRowBytes));
            StoreGated(self, fragments.T3, address + (3 * CoreTiles.CoreRowBytes));
            StoreGated(self, fragments.T4, address + (4 * CoreTiles.CoreRowBytes));
            StoreGated(self, fragments.T5, address + (5 * CoreTiles.CoreRowBytes));
            StoreGated(self, fragments.T6, address + (6 * CoreTiles.CoreRowBytes));
            StoreGated(self, fragments.T7, address + (7 * CoreTiles.CoreRowBytes));
            return;
        }
        long row = (long)a.YStride * sizeof(float), place = a.Y + ((self._place + (2 * (Warp.LaneIdx & 3))) * row) + (Column(a, self._tile) * sizeof(float));
        if (a.Accumulate != 0) StorePairs(self, fragments, place, row, adds: true);
        else StorePairs(self, fragments, place, row, adds: false);
    }

    private static void StoreGated(StoreTile self, Float4 sums, long address)
    {
        float first = GpuMath.Silu(sums.A + self._bias) * (sums.C + self._secondBias), second = GpuMath.Silu(sums.B + self._bias) * (sums.D + self._secondBias);
        Global.StoreInt(address, (int)TensorCore.Transpose(Halves.SaturatePair(first, second)));
    }

    private static void StorePairs(StoreTile self, Tile64 fragments, long place, long row, bool adds)
    {
        long next = 8 * row;
        StorePair(self, fragments.T0, place, row, adds);
        place += next;
        StorePair(self, fragments.T1, place, row, adds);
        place += next;
        StorePair(self, fragments.T2, place, row, adds);
        place += next;
        StorePair(self, fragments.T3, place, row, adds);
        place += next;
        StorePair(self, fragments.T4, place, row, adds);
        place += next;
        StorePair(self, fragments.T5, place, row, adds);
        place += next;
        StorePair(self, fragments.T6, place, row, adds);
        place += next;
        StorePair(self, fragments.T7, place, row, adds);
    }

    /// <summary>Two rows of y, two columns of each.</summary>
    private static void StorePair(StoreTile self, Float4 sums, long place, long row, bool adds)
    {
        StoreOrAdd(place, sums.A + self._bias, adds);
        StoreOrAdd(place + (8 * sizeof(float)), sums.C + self._secondBias, adds);
        StoreOrAdd(place + row, sums.B + self._bias, adds);
        StoreOrAdd(place + row + (8 * sizeof(float)), sums.D + self._secondBias, adds);
    }

    private static void StoreOrAdd(long place, float value, bool adds)
    {
        if (adds) Global.AddFloat(place, value);
        else Global.StoreFloat(place, value);
    }

    private static void StoreFragment(StoreTile self, Float4 sums)
    {
        MatMulArguments a = self._a;
        int place = self._place;
        if (place >= self._end) return;
        sums = new Float4 { A = sums.A + self._bias, B = sums.B + self._bias, C = sums.C + self._secondBias, D = sums.D + self._secondBias };
        sums.A = GpuMath.Activate(a.Function, sums.A);
        sums.B = GpuMath.Activate(a.Function, sums.B);
        if (a.Gated != 0)
        {
            sums.A *= sums.C;
            sums.B *= sums.D;
        }
        else
        {
            sums.C = GpuMath.Activate(a.Function, sums.C);
            sums.D = GpuMath.Activate(a.Function, sums.D);
        }
        if (a.SoftCap != 0)
        {
            sums = new Float4
            {
                A = GpuMath.SoftCap(sums.A, a.SoftCap),
                B = GpuMath.SoftCap(sums.B, a.SoftCap),
                C = GpuMath.SoftCap(sums.C, a.SoftCap),
                D = GpuMath.SoftCap(sums.D, a.SoftCap),
            };
        }
        if (a.HalfY != 0) StoreHalves(self, sums, place);
        else StoreFloats(self, sums, place);
    }

    /// <summary>Column of y of the lane's first row of the weight; without a gate the second is 8 further.</summary>
    private static int Column(MatMulArguments a, int tile) => (a.Gated != 0 ? tile * 8 : tile * CoreTiles.TileRows) + (Warp.LaneIdx >> 2);

    private static void StoreHalves(StoreTile self, Float4 sums, int place)
    {
        MatMulArguments a = self._a;
        int column = Column(a, self._tile), own = place + (Warp.LaneIdx >> 2);
        uint first = TensorCore.Transpose(column < a.Columns ? Halves.SaturatePair(sums.A, sums.B) : 0), second = 0;
        if (a.Gated == 0) second = TensorCore.Transpose(column + 8 < a.Columns ? Halves.SaturatePair(sums.C, sums.D) : 0);
        if (a.Maxima != 0) RowMaxima.RaiseByFour(a.Maxima, own < self._end ? own : RowMaxima.NoRow, Math.Max(RowMaxima.Of(first), RowMaxima.Of(second)));
        if (own >= self._end) return;
        column += (2 * (Warp.LaneIdx & 3)) - (Warp.LaneIdx >> 2);
        long address = a.Y + CoreTiles.OperandOffset(own, column, a.YStride, a.YBlockRows);
        if (column < a.YStride) Global.StoreInt(address, (int)first);
        if (a.Gated == 0 && column + 8 < a.YStride) Global.StoreInt(address + CoreTiles.CoreBytes, (int)second);
    }

    private static void StoreFloats(StoreTile self, Float4 sums, int place)
    {
        MatMulArguments a = self._a;
        int own = place + (2 * (Warp.LaneIdx & 3));
        if (own < self._end) StoreRow(self, own, sums.A, sums.C);
        if (own + 1 < self._end) StoreRow(self, own + 1, sums.B, sums.D);
    }

    private static void StoreRow(StoreTile self, int row, float first, float second)
    {
        MatMulArguments a = self._a;
        int column = Column(a, self._tile);
        long address = a.Y + ((((long)row * a.YStride) + column) * sizeof(float));
        if (column < a.Columns) StoreFloat(self, address, first);
        if (a.Gated == 0 && column + 8 < a.Columns) StoreFloat(self, address + (8 * sizeof(float)), second);
    }

    private static void StoreFloat(StoreTile self, long address, float value)
    {
        if (self._a.Accumulate == 0) Global.StoreFloat(address, value);
        else if (self._reduces) Global.AddFloat(address, value);
        else Global.StoreFloat(address, Global.LoadFloat(address) + value);
    }
}
