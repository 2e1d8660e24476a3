using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>Sums of products of floats of 8 bits, which are added up in float32 piece by piece: see <see cref="GpuFp8MatMul{TSums, TScales}"/>.</summary>
internal interface ICodeSums<TSelf> : ISums<TSelf>
    where TSelf : unmanaged, ICodeSums<TSelf>
{
    /// <summary>Pieces that <see cref="AddCodes"/> adds at most: of few rows two, so that the products of one are made while those of the other are added.</summary>
    static abstract int CodePieces { get; }

    /// <summary>Adds the products of pieces, 128 columns of k each, for four warps together.</summary>
    /// <param name="sums">The sums.</param>
    /// <param name="piece">Where they are.</param>
    /// <param name="next">The next piece, where <see cref="CodePieces"/> is two.</param>
    /// <param name="two">Whether there is a next piece.</param>
    static abstract TSelf AddCodes<TScales>(TSelf sums, CodePiece piece, CodePiece next, bool two)
        where TScales : ICodeScales;

    /// <summary>Multiplies sums by the scales of rows.</summary>
    /// <param name="sums">The sums.</param>
    /// <param name="weight">Those of the lane's two rows of the weight.</param>
    /// <param name="x">Address of those of the rows of x, float32.</param>
    static abstract TSelf Scale(TSelf sums, Float2 weight, long x);
}

/// <summary>A piece of 64 rows of a weight and of a block of x in shared memory.</summary>
internal struct CodePiece
{
    /// <summary>The lower halves of the descriptors of core matrices as <see cref="CoreTiles"/> has them.</summary>
    public int A, B;

    /// <summary>The scales of the piece of the lane's two rows of the weight; not used where the weight has none.</summary>
    public Float2 Weight;
}

/// <summary>How codes of a weight are scaled.</summary>
internal interface ICodeScales
{
    /// <summary>Whether each piece of a row has a scale; else each row has one.</summary>
    static abstract bool ArePieces { get; }
}

internal readonly struct RowScales : ICodeScales
{
    public static bool ArePieces => false;
}

internal readonly struct PieceScales : ICodeScales
{
    public static bool ArePieces => true;
}

/// <summary>Products of a piece, and what is added of them.</summary>
internal static class CodeProducts
{
    /// <summary>What a descriptor has more of the next 32 columns.</summary>
    private const int Step = 2 * CoreTiles.CoreBytes / 16;

    /// <summary>Bytes of the scales of 8 rows of x.</summary>
    private const int ScaleBytes = 8 * sizeof(float);

    /// <summary>Starts the products of a piece with 8 rows.</summary>
    public static Tile8 Start8(CodePiece piece)
    {
        Tile8 products = default;
        WarpGroup.Fence();
        products = WarpGroup.MultiplyCodes8(products, CoreTiles.Descriptor(piece.A), CoreTiles.Descriptor(piece.B), 0);
        products = WarpGroup.MultiplyCodes8(products, CoreTiles.Descriptor(piece.A + Step), CoreTiles.Descriptor(piece.B + Step), 1);
        products = WarpGroup.MultiplyCodes8(products, CoreTiles.Descriptor(piece.A + (2 * Step)), CoreTiles.Descriptor(piece.B + (2 * Step)), 1);
        products = WarpGroup.MultiplyCodes8(products, CoreTiles.Descriptor(piece.A + (3 * Step)), CoreTiles.Descriptor(piece.B + (3 * Step)), 1);
        WarpGroup.Commit();
        return products;
    }

    /// <summary>Starts the products of a piece with 16 rows.</summary>
    public static Tile16 Start16(CodePiece piece)
    {
        Tile16 products = default;
        WarpGroup.Fence();
        products = WarpGroup.MultiplyCodes16(products, CoreTiles.Descriptor(piece.A), CoreTiles.Descriptor(piece.B), 0);
        products = WarpGroup.MultiplyCodes16(products, CoreTiles.Descriptor(piece.A + Step), CoreTiles.Descriptor(piece.B + Step), 1);
        products = WarpGroup.MultiplyCodes16(products, CoreTiles.Descriptor(piece.A + (2 * Step)), CoreTiles.Descriptor(piece.B + (2 * Step)), 1);
        products = WarpGroup.MultiplyCodes16(products, CoreTiles.Descriptor(piece.A + (3 * Step)), CoreTiles.Descriptor(piece.B + (3 * Step)), 1);
        WarpGroup.Commit();
        return products;
    }

    /// <summary>Starts the products of a piece with 32 rows.</summary>
    public static Tile32 Start32(CodePiece piece)
    {
        Tile32 products = default;
        WarpGroup.Fence();
        products = WarpGroup.MultiplyCodes32(products, CoreTiles.Descriptor(piece.A), CoreTiles.Descriptor(piece.B), 0);
        products = WarpGroup.MultiplyCodes32(products, CoreTiles.Descriptor(piece.A + Step), CoreTiles.Descriptor(piece.B + Step), 1);
        products = WarpGroup.MultiplyCodes32(products, CoreTiles.Descriptor(piece.A + (2 * Step)), CoreTiles.Descriptor(piece.B + (2 * Step)), 1);
        products = WarpGroup.MultiplyCodes32(products, CoreTiles.Descriptor(piece.A + (3 * Step)), CoreTiles.Descriptor(piece.B + (3 * Step)), 1);
        WarpGroup.Commit();
        return products;
    }

    /// <summary>Starts the products of a piece with 64 rows.</summary>
    public static Tile64 Start64(CodePiece piece)
    {
        Tile64 products = default;
        WarpGroup.Fence();
        products = WarpGroup.MultiplyCodes64(products, CoreTiles.Descriptor(piece.A), CoreTiles.Descriptor(piece.B), 0);
        products = WarpGroup.MultiplyCodes64(products, CoreTiles.Descriptor(piece.A + Step), CoreTiles.Descriptor(piece.B + Step), 1);
        products = WarpGroup.MultiplyCodes64(products, CoreTiles.Descriptor(piece.A + (2 * Step)), CoreTiles.Descriptor(piece.B + (2 * Step)), 1);
        products = WarpGroup.MultiplyCodes64(products, CoreTiles.Descriptor(piece.A + (3 * Step)), CoreTiles.Descriptor(piece.B + (3 * Step)), 1);
        WarpGroup.Commit();
        return products;
    }

    /// <summary>Starts the products of a piece with 128 rows.</summary>
    public static Tile128 Start128(CodePiece piece)
    {
        Tile128 products = default;
        WarpGroup.Fence();
        products = WarpGroup.MultiplyCodes128(products, CoreTiles.Descriptor(piece.A), CoreTiles.Descriptor(piece.B), 0);
        products = WarpGroup.MultiplyCodes128(products, CoreTiles.Descriptor(piece.A + Step), CoreTiles.Descriptor(piece.B + Step), 1);
        products = WarpGroup.MultiplyCodes128(products, CoreTiles.Descriptor(piece.A + (2 * Step)), CoreTiles.Descriptor(piece.B + (2 * Step)), 1);
        products = WarpGroup.MultiplyCodes128(products, CoreTiles.Descriptor(piece.A + (3 * Step)), CoreTiles.Descriptor(piece.B + (3 * Step)), 1);
        WarpGroup.Commit();
        return products;
    }

    public static Tile8 Add<TScales>(Tile8 sums, Tile8 products, Float2 weight)
        where TScales : ICodeScales
    {
        sums.T0 = Add<TScales>(sums.T0, products.T0, weight);
        return sums;
    }

    public static Tile16 Add<TScales>(Tile16 sums, Tile16 products, Float2 weight)
        where TScales : ICodeScales
    {
        sums.T0 = Add<TScales>(sums.T0, products.T0, weight);
        sums.T1 = Add<TScales>(sums.T1, products.T1, weight);
        return sums;
    }

    public static Tile32 Add<TScales>(Tile32 sums, Tile32 products, Float2 weight)
        where TScales : ICodeScales
    {
        sums.T0 = Add<TScales>(sums.T0, products.T0, weight);
        sums.T1 = Add<TScales>(sums.T1, products.T1, weight);
        sums.T2 = Add<TScales>(sums.T2, products.T2, weight);
        sums.T3 = Add<TScales>(sums.T3, products.T3, weight);
        return sums;
    }

    public static Tile64 Add<TScales>(Tile64 sums, Tile64 products, Float2 weight)
        where TScales : ICodeScales
    {
        sums.T0 = Add<TScales>(sums.T0, products.T0, weight);
        sums.T1 = Add<TScales>(sums.T1, products.T1, weight);
        sums.T2 = Add<TScales>(sums.T2, products.T2, weight);
        sums.T3 = Add<TScales>(sums.T3, products.T3, weight);
        sums.T4 = Add<TScales>(sums.T4, products.T4, weight);
        sums.T5 = Add<TScales>(sums.T5, products.T5, weight);
        sums.T6 = Add<TScales>(sums.T6, products.T6, weight);
        sums.T7 = Add<TScales>(sums.T7, products.T7, weight);
        return sums;
    }

    public static Tile128 Add<TScales>(Tile128 sums, Tile128 products, Float2 weight)
        where TScales : ICodeScales
    {
        sums.Left = Add<TScales>(sums.Left, products.Left, weight);
        sums.Right = Add<TScales>(sums.Right, products.Right, weight);
        return sums;
    }

    public static Tile8 Scale(Tile8 tile, Float2 weight, long x)
    {
        tile.T0 = Scale(tile.T0, weight, x);
        return tile;
    }

    public static Tile16 Scale(Tile16 tile, Float2 weight, long x)
    {
        tile.T0 = Scale(tile.T0, weight, x);
        tile.T1 = Scale(tile.T1, weight, x + ScaleBytes);
        return tile;
    }

    public static Tile32 Scale(Tile32 tile, Float2 weight, long x)
    {
        tile.T0 = Scale(tile.T0, weight, x);
        tile.T1 = Scale(tile.T1, weight, x + ScaleBytes);
        tile.T2 = Scale(tile.T2, weight, x + (2 * ScaleBytes));
        tile.T3 = Scale(tile.T3, weight, x + (3 * ScaleBytes));
        return tile;
    }

    public static Tile64 Scale(Tile64 tile, Float2 weight, long x)
    {
        tile.T0 = Scale(tile.T0, weight, x);
        tile.T1 = Scale(tile.T1, weight, x + ScaleBytes);
        tile.T2 = Scale(tile.T2, weight, x + (2 * ScaleBytes));
        tile.T3 = Scale(tile.T3, weight, x + (3 * ScaleBytes));
        tile.T4 = Scale(tile.T4, weight, x + (4 * ScaleBytes));
        tile.T5 = Scale(tile.T5, weight, x + (5 * ScaleBytes));
        tile.T6 = Scale(tile.T6, weight, x + (6 * ScaleBytes));
        tile.T7 = Scale(tile.T7, weight, x + (7 * ScaleBytes));
        return tile;
    }

    public static Tile128 Scale(Tile128 tile, Float2 weight, long x)
    {
        tile.Left = Scale(tile.Left, weight, x);
        tile.Right = Scale(tile.Right, weight, x + (8 * ScaleBytes));
        return tile;
    }

    private static Float4 Add<TScales>(Float4 sums, Float4 products, Float2 weight)
        where TScales : ICodeScales
    {
        if (!TScales.ArePieces) return new Float4 { A = sums.A + products.A, B = sums.B + products.B, C = sums.C + products.C, D = sums.D + products.D };
        return new Float4
        {
            A = Float32.Fma(products.A, weight.A, sums.A),
            B = Float32.Fma(products.B, weight.A, sums.B),
            C = Float32.Fma(products.C, weight.B, sums.C),
            D = Float32.Fma(products.D, weight.B, sums.D),
        };
    }

    private static Float4 Scale(Float4 sums, Float2 weight, long x)
    {
        long address = x + (2 * sizeof(float) * (Warp.LaneIdx & 3));
        float first = Global.LoadFloat(address), second = Global.LoadFloat(address + sizeof(float));
        return new Float4
        {
            A = sums.A * weight.A * first,
            B = sums.B * weight.A * second,
            C = sums.C * weight.B * first,
            D = sums.D * weight.B * second,
        };
    }
}
