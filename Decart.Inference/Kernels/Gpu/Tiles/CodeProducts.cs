using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>Sums of products with codes of 8 bits: of floats, which are added up in float32 piece by piece (see <see cref="GpuFp8MatMul{TSums, TScales}"/>), or of integers (see <see cref="IntegerSums{TSums}"/> and <see cref="NibbleProducts{TZeros}"/>).</summary>
internal interface ICodeSums<TSelf> : ISums<TSelf>
    where TSelf : unmanaged, ICodeSums<TSelf>
{
    /// <summary>Pieces that <see cref="AddCodes"/> adds at most: of few rows two, so that the products of one are made while those of the other are added.</summary>
    static abstract int CodePieces { get; }

    /// <summary>Adds the products of pieces of floats, 128 columns of k each, for four warps together.</summary>
    /// <param name="sums">The sums.</param>
    /// <param name="piece">Where they are.</param>
    /// <param name="next">The next piece, where <see cref="CodePieces"/> is two.</param>
    /// <param name="two">Whether there is a next piece.</param>
    static abstract TSelf AddCodes<TScales>(TSelf sums, CodePiece piece, CodePiece next, bool two)
        where TScales : ICodeScales;

    /// <summary>Adds the products of neighbouring pieces of integers, of which the weight's have 4 bits, for four warps together; see <see cref="NibbleProducts{TZeros}"/>.</summary>
    /// <param name="sums">The sums, floats.</param>
    /// <param name="run">The pieces.</param>
    static abstract TSelf AddNibbles<TZeros>(TSelf sums, NibbleRun run)
        where TZeros : INibbleZeros;

    /// <summary>Adds the products of 32 columns of integers; else as <see cref="ISums{TSelf}.Multiply"/>.</summary>
    static abstract TSelf MultiplyIntegers(TSelf sums, int a, int b);

    /// <summary>Multiplies sums, which are floats or integers, by the scales of rows.</summary>
    /// <param name="sums">The sums.</param>
    /// <param name="weight">Those of the lane's two rows of the weight.</param>
    /// <param name="x">Address of those of the rows of x, float32.</param>
    static abstract TSelf Scale<TScales>(TSelf sums, Float2 weight, long x)
        where TScales : ICodeScales;
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

    /// <summary>Whether codes, and their sums, are integers.</summary>
    static abstract bool AreIntegers { get; }
}

internal readonly struct RowScales : ICodeScales
{
    public static bool ArePieces => false;

    public static bool AreIntegers => false;
}

internal readonly struct PieceScales : ICodeScales
{
    public static bool ArePieces => true;

    public static bool AreIntegers => false;
}

internal readonly struct IntegerScales : ICodeScales
{
    public static bool ArePieces => false;

    public static bool AreIntegers => true;
}

/// <summary>Products of pieces, and what is added of them.</summary>
internal static class CodeProducts
{
    /// <summary>Adds the products of one or two pieces: those of the second are made while those of the first are added.</summary>
    /// <param name="sums">The sums.</param>
    /// <param name="piece">Where the first is.</param>
    /// <param name="next">Where the second is.</param>
    /// <param name="two">Whether there is one.</param>
    public static TTile AddTwo<TTile, TScales>(TTile sums, CodePiece piece, CodePiece next, bool two)
        where TTile : unmanaged, ICodeTile<TTile>
        where TScales : ICodeScales
    {
        TTile products = Start<TTile>(piece);
        if (!two)
        {
            WarpGroup.Wait(0);
            return TTile.Add<TScales>(sums, products, piece.Weight);
        }
        TTile others = Start<TTile>(next);
        WarpGroup.Wait(1);
        sums = TTile.Add<TScales>(sums, products, piece.Weight);
        WarpGroup.Wait(0);
        return TTile.Add<TScales>(sums, others, next.Weight);
    }

    /// <summary>Adds the products of a piece.</summary>
    public static TTile AddOne<TTile, TScales>(TTile sums, CodePiece piece)
        where TTile : unmanaged, ICodeTile<TTile>
        where TScales : ICodeScales
    {
        TTile products = Start<TTile>(piece);
        WarpGroup.Wait(0);
        return TTile.Add<TScales>(sums, products, piece.Weight);
    }

    private static TTile Start<TTile>(CodePiece piece)
        where TTile : unmanaged, ICodeTile<TTile>
    {
        // What a descriptor has more of the next 32 columns.
        const int Step = 2 * CoreTiles.CoreBytes / 16;
        TTile products = default;
        WarpGroup.Fence();
        products = TTile.MultiplyCodes(products, CoreTiles.Descriptor(piece.A), CoreTiles.Descriptor(piece.B), 0);
        products = TTile.MultiplyCodes(products, CoreTiles.Descriptor(piece.A + Step), CoreTiles.Descriptor(piece.B + Step), 1);
        products = TTile.MultiplyCodes(products, CoreTiles.Descriptor(piece.A + (2 * Step)), CoreTiles.Descriptor(piece.B + (2 * Step)), 1);
        products = TTile.MultiplyCodes(products, CoreTiles.Descriptor(piece.A + (3 * Step)), CoreTiles.Descriptor(piece.B + (3 * Step)), 1);
        WarpGroup.Commit();
        return products;
    }
}
