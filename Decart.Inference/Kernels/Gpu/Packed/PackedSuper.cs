using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>
/// Scales of the formats of 256 weights: small integers of each run, times halves of the block, which each row of a piece has once. First those of the rows, then two bytes
/// a run.
/// </summary>
internal static class PackedSuper
{
    private const int RunBytes = PackedRuns.Count * sizeof(ushort), PairBytes = CoreTiles.TileRows * sizeof(uint), HalfBytes = CoreTiles.TileRows * sizeof(ushort);

    /// <summary>Bytes for a piece: with scale and minimum, and with scales alone.</summary>
    public const int MinimumsBytes = PairBytes + RunBytes, ScalesBytes = HalfBytes + RunBytes;

    /// <summary>
    /// Stores a run's scale and minimum of Q4_K and Q5_K: the block begins with f16 d and dmin, then 12 bytes hold 6 bits each, the first four scales and minimums in the low bits of
    /// bytes 0-3 and 4-7, the other four in bytes 8-11 (scales in the low nibbles) with their upper two bits on top of bytes 0-7.
    /// </summary>
    public static void StoreMinimums(long block, int run, long scales, int row, int half)
    {
        Global.Store2(scales + (row * sizeof(uint)), StoredBytes.LoadPair(block));
        Global.Store2(scales + (row * sizeof(uint)) + sizeof(ushort), StoredBytes.LoadPair(block + sizeof(ushort)));
        long first = block + 4 + (run & 3);
        uint scale = Global.LoadByte(first), minimum = Global.LoadByte(first + 4), third = Global.LoadByte(first + 8);
        bool upper = run >= 4;
        scale = upper ? (third & 15) | ((scale >> 6) << 4) : scale & 63;
        minimum = upper ? (third >> 4) | ((minimum >> 6) << 4) : minimum & 63;
        Global.Store2(scales + PairBytes + (PackedRuns.Place(row, half) * sizeof(ushort)), scale | (minimum << 8));
    }

    /// <summary>Scale d * s and offset -dmin * m, both exact.</summary>
    public static PackedScales LoadMinimums(int scales, int row, int half, int zero)
    {
        uint pair = (uint)Shared.LoadInt(scales + (row * sizeof(uint)));
        int run = LoadRun(scales + PairBytes, row, half);
        return PackedScales.Create(Halves.Low(pair) * (run & 63), -(Halves.High(pair) * ((run >> 8) & 63)), zero);
    }

    /// <summary>Stores a run's scales and minimums of Q2_K: the block begins with a byte for each 16 weights, the scale in its low nibble, and ends with f16 d and dmin.</summary>
    public static void StoreTwoMinimums(long block, int run, long scales, int row, int half)
    {
        Global.Store2(scales + (row * sizeof(uint)), StoredBytes.LoadPair(block + 80));
        Global.Store2(scales + (row * sizeof(uint)) + sizeof(ushort), StoredBytes.LoadPair(block + 82));
        Global.Store2(scales + PairBytes + (PackedRuns.Place(row, half) * sizeof(ushort)), StoredBytes.LoadPair(block + (run * 2)));
    }

    /// <summary>Scales d * s and offsets -dmin * m of 16 weights each, all exact.</summary>
    public static PackedScales LoadTwoMinimums(int scales, int row, int half, int zero)
    {
        uint pair = (uint)Shared.LoadInt(scales + (row * sizeof(uint)));
        int run = LoadRun(scales + PairBytes, row, half);
        float d = Halves.Low(pair), minimum = Halves.High(pair);
        return new PackedScales
        {
            Scale = d * (run & 15),
            Offset = -(minimum * ((run >> 4) & 15)),
            SecondScale = d * ((run >> 8) & 15),
            SecondOffset = -(minimum * ((run >> 12) & 15)),
            Zero = (uint)zero,
        };
    }

    /// <summary>Stores the two scales of a run, bytes with a sign.</summary>
    /// <param name="d">Address of the block's half.</param>
    /// <param name="pair">The two bytes, the first one lowest.</param>
    /// <param name="scales">Where the scales of the piece are.</param>
    /// <param name="row">Row in the tile.</param>
    /// <param name="half">0 for a piece's first 32 columns, 1 for the others.</param>
    public static void StoreScales(long d, uint pair, long scales, int row, int half)
    {
        Global.Store2(scales + (row * sizeof(ushort)), StoredBytes.LoadPair(d));
        Global.Store2(scales + HalfBytes + (PackedRuns.Place(row, half) * sizeof(ushort)), pair);
    }

    /// <summary>Scales d * s of 16 weights each, exact; nothing is added.</summary>
    public static PackedScales LoadScales(int scales, int row, int half, int zero)
    {
        uint pair = (uint)Shared.LoadInt(scales + (row >> 1 << 2));
        int run = LoadRun(scales + HalfBytes, row, half);
        float d = (row & 1) == 0 ? Halves.Low(pair) : Halves.High(pair);
        return new PackedScales { Scale = d * (sbyte)run, SecondScale = d * (sbyte)(run >> 8), Zero = (uint)zero };
    }

    private static int LoadRun(int runs, int row, int half) => Shared.LoadInt(runs + (row * sizeof(uint))) >> (half * 16);
}
