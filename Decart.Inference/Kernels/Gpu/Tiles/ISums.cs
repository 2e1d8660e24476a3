using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>
/// A thread's accumulators of a product of a tile of 16 rows a warp with <see cref="Columns"/> rows. A sum is one chain over all of k, each instruction taking
/// 16 columns in ascending order, from which it has the same bits by <see cref="WarpGroup"/> and by <see cref="TensorCore"/>.
/// </summary>
internal interface ISums<TSelf>
    where TSelf : unmanaged, ISums<TSelf>
{
    static abstract int Columns { get; }

    /// <summary>Adds the products of 16 columns of k for four warps together; the sums that were passed are gone.</summary>
    /// <param name="sums">The sums.</param>
    /// <param name="a">64 rows: the lower half of the descriptor of core matrices as <see cref="CoreTiles"/> has them.</param>
    /// <param name="b"><see cref="Columns"/> rows, likewise.</param>
    static abstract TSelf Multiply(TSelf sums, int a, int b);

    /// <summary>Whether rows have an even number of pieces, as those of halves are padded to.</summary>
    static virtual bool HasPairs => true;

    /// <summary>Whether both operands are codes, so that what sums become may be rounded to codes next; see <see cref="RowMaxima"/>.</summary>
    static virtual bool HaveCodes => false;

    /// <summary>What <see cref="First"/> and <see cref="Shift"/> take, of sums over all of k.</summary>
    /// <param name="sums">The sums.</param>
    /// <param name="a">The operation.</param>
    /// <param name="tile">The warp's tile of the weight.</param>
    /// <param name="row">The first row of x.</param>
    static virtual TSelf Finish(TSelf sums, MatMulArguments a, int tile, int row) => sums;

    /// <summary>The sums of the first 64 columns, or of all that there are.</summary>
    static abstract Tile64 First(TSelf sums);

    /// <summary>Moves the sums behind the first 64 columns to the front.</summary>
    static abstract TSelf Shift(TSelf sums);
}

/// <summary>Sums that a warp can also make by itself.</summary>
internal interface IWarpSums<TSelf> : ISums<TSelf>
    where TSelf : unmanaged, IWarpSums<TSelf>
{
    /// <summary>Adds the products of 32 columns of k; the sums that were passed are gone.</summary>
    /// <param name="sums">The sums.</param>
    /// <param name="first">The tile's first 16 columns, as <see cref="TensorCore"/> takes them.</param>
    /// <param name="second">The others.</param>
    /// <param name="x">Where the calling lane loads its row of a core matrix of the first 8 rows; 8 rows further is <see cref="CoreTiles.CoreRowBytes"/>.</param>
    static abstract TSelf Multiply(TSelf sums, UInt4 first, UInt4 second, int x);
}

/// <summary>Sums of products whose left operand is in registers.</summary>
internal interface IHeldSums<TSelf> : ISums<TSelf>
    where TSelf : unmanaged, IHeldSums<TSelf>
{
    /// <summary>Adds the products of 16 columns of k for four warps together; the sums that were passed are gone.</summary>
    /// <param name="sums">The sums.</param>
    /// <param name="a">16 rows a warp, as <see cref="WarpGroup.MultiplyRows64"/> takes them.</param>
    /// <param name="b"><see cref="ISums{TSelf}.Columns"/> rows, as <see cref="ISums{TSelf}.Multiply"/> takes them.</param>
    static abstract TSelf MultiplyRows(TSelf sums, UInt4 a, int b);
}

/// <summary>Sums that warp groups hand on to each other.</summary>
internal interface IRelaySums<TSelf> : IHeldSums<TSelf>
    where TSelf : unmanaged, IRelaySums<TSelf>
{
    /// <summary>Loads what <see cref="Store"/> has stored.</summary>
    static abstract TSelf Load(int address);

    /// <summary>Stores the calling lane's sums in shared memory, those of 8 columns <see cref="WarpFragment.Bytes"/> from the next ones.</summary>
    /// <param name="sums">The sums.</param>
    /// <param name="address">Where, each lane 16 bytes from the next.</param>
    static abstract void Store(TSelf sums, int address);
}

/// <summary>Sums that are one tile, to which products are added that were made before it is known to what.</summary>
internal interface ITileSums<TSelf, TTile> : IRelaySums<TSelf>, ICodeSums<TSelf>
    where TSelf : unmanaged, ITileSums<TSelf, TTile>
    where TTile : unmanaged, ICodeTile<TTile>
{
    static abstract TTile ToTile(TSelf sums);

    static abstract TSelf Of(TTile tile);
}
