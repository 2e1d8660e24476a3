using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// <see cref="GpuEmbed"/> of a table in few bits, with the bits of what it would be widened to, but for the sign of zeros: each warp makes halves of two pieces of a tile as matmuls do, of which four of its lanes keep
/// the one row that is wanted. All 16 rows of a tile are read for a token, which is little beside a layer's weights.
/// </summary>
internal static class GpuPackedEmbed<TFormat>
    where TFormat : IPackedFormat
{
    private const int Lanes = 32, Warps = 4, PiecesAtOnce = 2;

    /// <summary>Columns of a group.</summary>
    public const int Columns = Warps * PiecesAtOnce * CoreTiles.PieceColumns;

    public static readonly GpuKernel<EmbedArguments> Kernel = new(Run, Warps * Lanes)
    {
        MinArchitecture = 90,
        ForOneArchitecture = true,
        SharedBytes = Warps * PiecesAtOnce * PackedTile<TFormat>.Bytes,
        Parts = [((Func<int, int, PiecePair<EmbeddedPiece>, PiecePair<EmbeddedPiece>>)PackedTile<TFormat>.Unpack).Method],
    };

    private static void Run(EmbedArguments a)
    {
        GridDependency.LaunchDependents();
        RowMaxima.ClearAll(a.Maxima);
        int row = Grid.IdxX, warp = Group.IdxX / Lanes, column = (Grid.IdxY * Columns) + (warp * PiecesAtOnce * CoreTiles.PieceColumns);
        if (row >= Global.LoadInt(a.Count) || column >= a.Columns) return;
        int token = GpuEmbed.LoadToken(a, row), first = Shared.Base() + (warp * PiecesAtOnce * PackedTile<TFormat>.Bytes), second = first + PackedTile<TFormat>.Bytes;
        long pieces = a.Table + CoreTiles.PackedOffset(token / CoreTiles.TileRows, column / CoreTiles.PieceColumns, a.TableStride, PackedTile<TFormat>.Bytes);
        // What has no second piece has something in its place, which goes nowhere.
        int bytes = column + CoreTiles.PieceColumns < a.Columns ? PiecesAtOnce * PackedTile<TFormat>.Bytes : PackedTile<TFormat>.Bytes;
        for (int i = Warp.LaneIdx * 16; i < bytes; i += Lanes * 16) Shared.Store16(first + i, Global.LoadConstant16(pieces + i));
        Warp.Barrier();
        PiecePair<EmbeddedPiece> sinks = new()
        {
            First = EmbeddedPiece.Of(a, row, token, column),
            Second = EmbeddedPiece.Of(a, row, token, column + CoreTiles.PieceColumns),
        };
        PackedTile<TFormat>.Unpack(first, second, sinks);
    }

    /// <summary>Takes one row of a piece, times a number, to activations.</summary>
    private struct EmbeddedPiece : IFragmentSink<EmbeddedPiece>
    {
        private long _x;
        private float _scale;

        /// <summary>Columns from the calling lane's first on, none where it has none of the row.</summary>
        private int _columns;

        /// <summary>Whether the row is one of the tile's lower eight.</summary>
        private bool _isLower;

        /// <summary>The piece of a token's row that begins with some column.</summary>
        public static EmbeddedPiece Of(EmbedArguments a, int row, int token, int firstColumn)
        {
            int column = firstColumn + ((Warp.LaneIdx & 3) * 2);
            return new EmbeddedPiece
            {
                _x = a.X + ((((long)row * a.XStride) + column) * sizeof(float)),
                _scale = a.Scale,
                _columns = Warp.LaneIdx >> 2 == (token & 7) ? a.Columns - column : 0,
                _isLower = (token & 8) != 0,
            };
        }

        public static EmbeddedPiece Put(EmbeddedPiece sink, int step, UInt4 fragment)
        {
            // Columns are a multiple of 32: what there is of a step is there whole.
            if (step * 16 < sink._columns)
            {
                Store(sink, step * 16, sink._isLower ? fragment.B : fragment.A);
                Store(sink, (step * 16) + 8, sink._isLower ? fragment.D : fragment.C);
            }
            return sink;
        }

        private static void Store(EmbeddedPiece sink, int column, uint pair)
        {
            long x = sink._x + (column * sizeof(float));
            Global.StoreFloat(x, Halves.Low(pair) * sink._scale);
            Global.StoreFloat(x + sizeof(float), Halves.High(pair) * sink._scale);
        }
    }
}
