using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Tiles;

internal struct Sums8 : IWarpSums<Sums8>, ITileSums<Sums8, Tile8>
{
    private Tile8 _tile;

    public static int Columns => 8;

    public static Sums8 Shift(Sums8 sums) => sums;

    public static Sums8 Multiply(Sums8 sums, int a, int b) =>
        new() { _tile = WarpGroup.MultiplyHalves8(sums._tile, CoreTiles.Descriptor(a), CoreTiles.Descriptor(b), 1) };

    public static Sums8 Multiply(Sums8 sums, UInt4 first, UInt4 second, int x)
    {
        sums._tile.T0 = WarpFragment.Multiply(sums._tile.T0, first, second, x);
        return sums;
    }

    public static Sums8 MultiplyRows(Sums8 sums, UInt4 a, int b) => new() { _tile = WarpGroup.MultiplyRows8(sums._tile, a, CoreTiles.Descriptor(b), 1) };

    public static Sums8 Load(int address)
    {
        Sums8 sums = default;
        sums._tile.T0 = Shared.LoadFloat4(address);
        return sums;
    }

    public static void Store(Sums8 sums, int address)
    {
        Shared.StoreFloat4(address, sums._tile.T0);
    }

    public static Sums8 MultiplyIntegers(Sums8 sums, int a, int b) =>
        new() { _tile = WarpGroup.MultiplyIntegers8(sums._tile, CoreTiles.Descriptor(a), CoreTiles.Descriptor(b), 1) };

    public static int CodePieces => 2;

    public static Sums8 AddCodes<TScales>(Sums8 sums, CodePiece piece, CodePiece next, bool two)
        where TScales : ICodeScales => new() { _tile = CodeProducts.AddTwo<Tile8, TScales>(sums._tile, piece, next, two) };

    public static Sums8 AddNibbles<TZeros>(Sums8 sums, NibbleRun run)
        where TZeros : INibbleZeros => new() { _tile = NibbleProducts<TZeros>.Add(sums._tile, run, MatrixDescriptor.Advance(Columns * CoreTiles.RowBytes)) };

    public static Tile8 ToTile(Sums8 sums) => sums._tile;

    public static Sums8 Of(Tile8 tile) => new() { _tile = tile };

    public static Sums8 Scale<TScales>(Sums8 sums, Float2 weight, long x)
        where TScales : ICodeScales => new() { _tile = Tile8.Scale<TScales>(sums._tile, weight, x) };

    public static Tile64 First(Sums8 sums) => new() { T0 = sums._tile.T0 };
}

internal struct Sums16 : IWarpSums<Sums16>, ITileSums<Sums16, Tile16>
{
    private Tile16 _tile;

    public static int Columns => 16;

    public static Sums16 Shift(Sums16 sums) => sums;

    public static Sums16 Multiply(Sums16 sums, int a, int b) =>
        new() { _tile = WarpGroup.MultiplyHalves16(sums._tile, CoreTiles.Descriptor(a), CoreTiles.Descriptor(b), 1) };

    public static Sums16 Multiply(Sums16 sums, UInt4 first, UInt4 second, int x)
    {
        sums._tile.T0 = WarpFragment.Multiply(sums._tile.T0, first, second, x);
        sums._tile.T1 = WarpFragment.Multiply(sums._tile.T1, first, second, x + CoreTiles.CoreRowBytes);
        return sums;
    }

    public static Sums16 MultiplyRows(Sums16 sums, UInt4 a, int b) => new() { _tile = WarpGroup.MultiplyRows16(sums._tile, a, CoreTiles.Descriptor(b), 1) };

    public static Sums16 Load(int address)
    {
        Sums16 sums = default;
        sums._tile.T0 = Shared.LoadFloat4(address);
        sums._tile.T1 = Shared.LoadFloat4(address + WarpFragment.Bytes);
        return sums;
    }

    public static void Store(Sums16 sums, int address)
    {
        Shared.StoreFloat4(address, sums._tile.T0);
        Shared.StoreFloat4(address + WarpFragment.Bytes, sums._tile.T1);
    }

    public static Sums16 MultiplyIntegers(Sums16 sums, int a, int b) =>
        new() { _tile = WarpGroup.MultiplyIntegers16(sums._tile, CoreTiles.Descriptor(a), CoreTiles.Descriptor(b), 1) };

    public static int CodePieces => 2;

    public static Sums16 AddCodes<TScales>(Sums16 sums, CodePiece piece, CodePiece next, bool two)
        where TScales : ICodeScales => new() { _tile = CodeProducts.AddTwo<Tile16, TScales>(sums._tile, piece, next, two) };

    public static Sums16 AddNibbles<TZeros>(Sums16 sums, NibbleRun run)
        where TZeros : INibbleZeros => new() { _tile = NibbleProducts<TZeros>.Add(sums._tile, run, MatrixDescriptor.Advance(Columns * CoreTiles.RowBytes)) };

    public static Tile16 ToTile(Sums16 sums) => sums._tile;

    public static Sums16 Of(Tile16 tile) => new() { _tile = tile };

    public static Sums16 Scale<TScales>(Sums16 sums, Float2 weight, long x)
        where TScales : ICodeScales => new() { _tile = Tile16.Scale<TScales>(sums._tile, weight, x) };

    public static Tile64 First(Sums16 sums) => new() { T0 = sums._tile.T0, T1 = sums._tile.T1 };
}

internal struct Sums32 : IWarpSums<Sums32>, ITileSums<Sums32, Tile32>
{
    private Tile32 _tile;

    public static int Columns => 32;

    public static Sums32 Shift(Sums32 sums) => sums;

    public static Sums32 Multiply(Sums32 sums, int a, int b) =>
        new() { _tile = WarpGroup.MultiplyHalves32(sums._tile, CoreTiles.Descriptor(a), CoreTiles.Descriptor(b), 1) };

    public static Sums32 Multiply(Sums32 sums, UInt4 first, UInt4 second, int x)
    {
        sums._tile.T0 = WarpFragment.Multiply(sums._tile.T0, first, second, x);
        sums._tile.T1 = WarpFragment.Multiply(sums._tile.T1, first, second, x + CoreTiles.CoreRowBytes);
        sums._tile.T2 = WarpFragment.Multiply(sums._tile.T2, first, second, x + (2 * CoreTiles.CoreRowBytes));
        sums._tile.T3 = WarpFragment.Multiply(sums._tile.T3, first, second, x + (3 * CoreTiles.CoreRowBytes));
        return sums;
    }

    public static Sums32 MultiplyRows(Sums32 sums, UInt4 a, int b) => new() { _tile = WarpGroup.MultiplyRows32(sums._tile, a, CoreTiles.Descriptor(b), 1) };

    public static Sums32 Load(int address)
    {
        Sums32 sums = default;
        sums._tile.T0 = Shared.LoadFloat4(address);
        sums._tile.T1 = Shared.LoadFloat4(address + WarpFragment.Bytes);
        sums._tile.T2 = Shared.LoadFloat4(address + (2 * WarpFragment.Bytes));
        sums._tile.T3 = Shared.LoadFloat4(address + (3 * WarpFragment.Bytes));
        return sums;
    }

    public static void Store(Sums32 sums, int address)
    {
        Shared.StoreFloat4(address, sums._tile.T0);
        Shared.StoreFloat4(address + WarpFragment.Bytes, sums._tile.T1);
        Shared.StoreFloat4(address + (2 * WarpFragment.Bytes), sums._tile.T2);
        Shared.StoreFloat4(address + (3 * WarpFragment.Bytes), sums._tile.T3);
    }

    public static Sums32 MultiplyIntegers(Sums32 sums, int a, int b) =>
        new() { _tile = WarpGroup.MultiplyIntegers32(sums._tile, CoreTiles.Descriptor(a), CoreTiles.Descriptor(b), 1) };

    public static int CodePieces => 2;

    public static Sums32 AddCodes<TScales>(Sums32 sums, CodePiece piece, CodePiece next, bool two)
        where TScales : ICodeScales => new() { _tile = CodeProducts.AddTwo<Tile32, TScales>(sums._tile, piece, next, two) };

    public static Sums32 AddNibbles<TZeros>(Sums32 sums, NibbleRun run)
        where TZeros : INibbleZeros => new() { _tile = NibbleProducts<TZeros>.Add(sums._tile, run, MatrixDescriptor.Advance(Columns * CoreTiles.RowBytes)) };

    public static Tile32 ToTile(Sums32 sums) => sums._tile;

    public static Sums32 Of(Tile32 tile) => new() { _tile = tile };

    public static Sums32 Scale<TScales>(Sums32 sums, Float2 weight, long x)
        where TScales : ICodeScales => new() { _tile = Tile32.Scale<TScales>(sums._tile, weight, x) };

    public static Tile64 First(Sums32 sums) => new() { T0 = sums._tile.T0, T1 = sums._tile.T1, T2 = sums._tile.T2, T3 = sums._tile.T3 };
}

internal struct Sums64 : IWarpSums<Sums64>, IHeldSums<Sums64>, ICodeSums<Sums64>
{
    private Tile64 _tile;

    public static int Columns => 64;

    public static Sums64 Shift(Sums64 sums) => sums;

    public static Sums64 Multiply(Sums64 sums, int a, int b) =>
        new() { _tile = WarpGroup.MultiplyHalves64(sums._tile, CoreTiles.Descriptor(a), CoreTiles.Descriptor(b), 1) };

    public static Sums64 Multiply(Sums64 sums, UInt4 first, UInt4 second, int x)
    {
        sums._tile.T0 = WarpFragment.Multiply(sums._tile.T0, first, second, x);
        sums._tile.T1 = WarpFragment.Multiply(sums._tile.T1, first, second, x + CoreTiles.CoreRowBytes);
        sums._tile.T2 = WarpFragment.Multiply(sums._tile.T2, first, second, x + (2 * CoreTiles.CoreRowBytes));
        sums._tile.T3 = WarpFragment.Multiply(sums._tile.T3, first, second, x + (3 * CoreTiles.CoreRowBytes));
        sums._tile.T4 = WarpFragment.Multiply(sums._tile.T4, first, second, x + (4 * CoreTiles.CoreRowBytes));
        sums._tile.T5 = WarpFragment.Multiply(sums._tile.T5, first, second, x + (5 * CoreTiles.CoreRowBytes));
        sums._tile.T6 = WarpFragment.Multiply(sums._tile.T6, first, second, x + (6 * CoreTiles.CoreRowBytes));
        sums._tile.T7 = WarpFragment.Multiply(sums._tile.T7, first, second, x + (7 * CoreTiles.CoreRowBytes));
        return sums;
    }

    public static Sums64 MultiplyRows(Sums64 sums, UInt4 a, int b) => new() { _tile = WarpGroup.MultiplyRows64(sums._tile, a, CoreTiles.Descriptor(b), 1) };

    public static Sums64 MultiplyIntegers(Sums64 sums, int a, int b) =>
        new() { _tile = WarpGroup.MultiplyIntegers64(sums._tile, CoreTiles.Descriptor(a), CoreTiles.Descriptor(b), 1) };

    public static int CodePieces => 2;

    public static Sums64 AddCodes<TScales>(Sums64 sums, CodePiece piece, CodePiece next, bool two)
        where TScales : ICodeScales => new() { _tile = CodeProducts.AddTwo<Tile64, TScales>(sums._tile, piece, next, two) };

    public static Sums64 AddNibbles<TZeros>(Sums64 sums, NibbleRun run)
        where TZeros : INibbleZeros => new() { _tile = NibbleProducts<TZeros>.Add(sums._tile, run, MatrixDescriptor.Advance(Columns * CoreTiles.RowBytes)) };

    public static Sums64 Scale<TScales>(Sums64 sums, Float2 weight, long x)
        where TScales : ICodeScales => new() { _tile = Tile64.Scale<TScales>(sums._tile, weight, x) };

    public static Tile64 First(Sums64 sums) => sums._tile;
}

internal struct Sums128 : IHeldSums<Sums128>, ICodeSums<Sums128>
{
    private Tile128 _tile;

    public static int Columns => 128;

    public static Sums128 Shift(Sums128 sums)
    {
        sums._tile.Left = sums._tile.Right;
        return sums;
    }

    public static Sums128 Multiply(Sums128 sums, int a, int b) =>
        new() { _tile = WarpGroup.MultiplyHalves128(sums._tile, CoreTiles.Descriptor(a), CoreTiles.Descriptor(b), 1) };

    public static Sums128 MultiplyRows(Sums128 sums, UInt4 a, int b) => new() { _tile = WarpGroup.MultiplyRows128(sums._tile, a, CoreTiles.Descriptor(b), 1) };

    public static Sums128 MultiplyIntegers(Sums128 sums, int a, int b) =>
        new() { _tile = WarpGroup.MultiplyIntegers128(sums._tile, CoreTiles.Descriptor(a), CoreTiles.Descriptor(b), 1) };

    public static int CodePieces => 1;

    public static Sums128 AddCodes<TScales>(Sums128 sums, CodePiece piece, CodePiece next, bool two)
        where TScales : ICodeScales => new() { _tile = CodeProducts.AddOne<Tile128, TScales>(sums._tile, piece) };

    public static Sums128 AddNibbles<TZeros>(Sums128 sums, NibbleRun run)
        where TZeros : INibbleZeros => new() { _tile = NibbleProducts<TZeros>.AddHalves(sums._tile, run, MatrixDescriptor.Advance(Columns * CoreTiles.RowBytes)) };

    public static Sums128 Scale<TScales>(Sums128 sums, Float2 weight, long x)
        where TScales : ICodeScales => new() { _tile = Tile128.Scale<TScales>(sums._tile, weight, x) };

    public static Tile64 First(Sums128 sums) => sums._tile.Left;
}

/// <summary>Of three quarters of a block of 256 rows: those that are behind are not computed.</summary>
internal struct Sums192 : IHeldSums<Sums192>, ICodeSums<Sums192>
{
    private Tile192 _tile;

    public static int Columns => 192;

    public static Sums192 Shift(Sums192 sums)
    {
        sums._tile.Left.Left = sums._tile.Left.Right;
        sums._tile.Left.Right = sums._tile.Right;
        return sums;
    }

    public static Sums192 Multiply(Sums192 sums, int a, int b) =>
        new() { _tile = WarpGroup.MultiplyHalves192(sums._tile, CoreTiles.Descriptor(a), CoreTiles.Descriptor(b), 1) };

    public static Sums192 MultiplyRows(Sums192 sums, UInt4 a, int b) => new() { _tile = WarpGroup.MultiplyRows192(sums._tile, a, CoreTiles.Descriptor(b), 1) };

    public static Sums192 MultiplyIntegers(Sums192 sums, int a, int b) =>
        new() { _tile = WarpGroup.MultiplyIntegers192(sums._tile, CoreTiles.Descriptor(a), CoreTiles.Descriptor(b), 1) };

    public static int CodePieces => 1;

    public static Sums192 AddCodes<TScales>(Sums192 sums, CodePiece piece, CodePiece next, bool two)
        where TScales : ICodeScales
    {
        sums._tile.Left = CodeProducts.AddOne<Tile128, TScales>(sums._tile.Left, piece);
        piece.B += MatrixDescriptor.Advance(Sums128.Columns * CoreTiles.RowBytes);
        sums._tile.Right = CodeProducts.AddOne<Tile64, TScales>(sums._tile.Right, piece);
        return sums;
    }

    public static Sums192 AddNibbles<TZeros>(Sums192 sums, NibbleRun run)
        where TZeros : INibbleZeros => new() { _tile = NibbleProducts<TZeros>.AddThirds(sums._tile, run) };

    public static Sums192 Scale<TScales>(Sums192 sums, Float2 weight, long x)
        where TScales : ICodeScales
    {
        sums._tile.Left = Tile128.Scale<TScales>(sums._tile.Left, weight, x);
        sums._tile.Right = Tile64.Scale<TScales>(sums._tile.Right, weight, x + (Sums128.Columns * sizeof(float)));
        return sums;
    }

    public static Tile64 First(Sums192 sums) => sums._tile.Left.Left;
}

internal struct Sums256 : IHeldSums<Sums256>, ICodeSums<Sums256>
{
    private Tile256 _tile;

    public static int Columns => 256;

    public static Sums256 Shift(Sums256 sums)
    {
        sums._tile.Left.Left = sums._tile.Left.Right;
        sums._tile.Left.Right = sums._tile.Right.Left;
        sums._tile.Right.Left = sums._tile.Right.Right;
        return sums;
    }

    public static Sums256 Multiply(Sums256 sums, int a, int b) =>
        new() { _tile = WarpGroup.MultiplyHalves256(sums._tile, CoreTiles.Descriptor(a), CoreTiles.Descriptor(b), 1) };

    public static Sums256 MultiplyRows(Sums256 sums, UInt4 a, int b) => new() { _tile = WarpGroup.MultiplyRows256(sums._tile, a, CoreTiles.Descriptor(b), 1) };

    public static Sums256 MultiplyIntegers(Sums256 sums, int a, int b) =>
        new() { _tile = WarpGroup.MultiplyIntegers256(sums._tile, CoreTiles.Descriptor(a), CoreTiles.Descriptor(b), 1) };

    public static int CodePieces => 1;

    public static Sums256 AddCodes<TScales>(Sums256 sums, CodePiece piece, CodePiece next, bool two)
        where TScales : ICodeScales
    {
        sums._tile.Left = CodeProducts.AddOne<Tile128, TScales>(sums._tile.Left, piece);
        piece.B += MatrixDescriptor.Advance(Sums128.Columns * CoreTiles.RowBytes);
        sums._tile.Right = CodeProducts.AddOne<Tile128, TScales>(sums._tile.Right, piece);
        return sums;
    }

    public static Sums256 AddNibbles<TZeros>(Sums256 sums, NibbleRun run)
        where TZeros : INibbleZeros => new() { _tile = NibbleProducts<TZeros>.AddQuarters(sums._tile, run) };

    public static Sums256 Scale<TScales>(Sums256 sums, Float2 weight, long x)
        where TScales : ICodeScales
    {
        sums._tile.Left = Tile128.Scale<TScales>(sums._tile.Left, weight, x);
        sums._tile.Right = Tile128.Scale<TScales>(sums._tile.Right, weight, x + (Sums128.Columns * sizeof(float)));
        return sums;
    }

    public static Tile64 First(Sums256 sums) => sums._tile.Left.Left;
}

internal static class WarpFragment
{
    /// <summary>Bytes of a warp's sums of 8 columns.</summary>
    public const int Bytes = 32 * 4 * sizeof(float);

    /// <summary>Adds the products with 8 rows; see <see cref="IWarpSums{TSelf}"/>.</summary>
    public static Float4 Multiply(Float4 sums, UInt4 first, UInt4 second, int x)
    {
        UInt4 rows = TensorCore.LoadMatrices(x);
        sums = TensorCore.MultiplyHalves(sums, first, rows.A, rows.B);
        return TensorCore.MultiplyHalves(sums, second, rows.C, rows.D);
    }
}
