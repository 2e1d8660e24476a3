using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu.Prompts;

/// <summary>The products of <see cref="GpuPromptAttention"/> by <see cref="WarpGroup"/>: of queries with the keys of a tile, and of their weights with its values.</summary>
internal static class PromptProducts
{
    /// <summary>Starts the products of the queries with 64 keys.</summary>
    public static Tile64 Multiply(Tile64 products, AttentionRowOperands queries, int keys, int groups)
    {
        const int Step = (int)MatrixDescriptor.Step;
        int matrix = MatrixDescriptor.CreateRows(keys), block = MatrixDescriptor.Advance(PromptTiles.BlockBytes);
        products = WarpGroup.MultiplyRows64(products, queries.Left.A, MatrixDescriptor.Swizzled(matrix), 0);
        products = WarpGroup.MultiplyRows64(products, queries.Left.B, MatrixDescriptor.Swizzled(matrix + Step), 1);
        products = WarpGroup.MultiplyRows64(products, queries.Left.C, MatrixDescriptor.Swizzled(matrix + (2 * Step)), 1);
        products = WarpGroup.MultiplyRows64(products, queries.Left.D, MatrixDescriptor.Swizzled(matrix + (3 * Step)), 1);
        if (groups > 1) products = WarpGroup.MultiplyRows64(products, queries.Right.A, MatrixDescriptor.Swizzled(matrix + block), 1);
        if (groups > 1) products = WarpGroup.MultiplyRows64(products, queries.Right.B, MatrixDescriptor.Swizzled(matrix + block + Step), 1);
        if (groups > 1) products = WarpGroup.MultiplyRows64(products, queries.Right.C, MatrixDescriptor.Swizzled(matrix + block + (2 * Step)), 1);
        if (groups > 1) products = WarpGroup.MultiplyRows64(products, queries.Right.D, MatrixDescriptor.Swizzled(matrix + block + (3 * Step)), 1);
        return products;
    }

    /// <summary>Starts adding the values of 64 keys, times their weights, to sums, or to zeros where <paramref name="accumulate"/> is 0.</summary>
    public static Tile128 AddValues(Tile128 sums, AttentionRowWeights weights, int values, int groups, int accumulate)
    {
        // 16 keys are 16 rows of 128 bytes.
        int matrix = MatrixDescriptor.CreateTransposed(values, PromptTiles.BlockBytes), step = MatrixDescriptor.Advance(16 * 128);
        if (groups > 1)
        {
            sums = WarpGroup.MultiplyTransposed128(sums, weights.A, MatrixDescriptor.Swizzled(matrix), accumulate);
            sums = WarpGroup.MultiplyTransposed128(sums, weights.B, MatrixDescriptor.Swizzled(matrix + step), 1);
            sums = WarpGroup.MultiplyTransposed128(sums, weights.C, MatrixDescriptor.Swizzled(matrix + (2 * step)), 1);
            return WarpGroup.MultiplyTransposed128(sums, weights.D, MatrixDescriptor.Swizzled(matrix + (3 * step)), 1);
        }
        sums.Left = WarpGroup.MultiplyTransposed64(sums.Left, weights.A, MatrixDescriptor.Swizzled(matrix), accumulate);
        sums.Left = WarpGroup.MultiplyTransposed64(sums.Left, weights.B, MatrixDescriptor.Swizzled(matrix + step), 1);
        sums.Left = WarpGroup.MultiplyTransposed64(sums.Left, weights.C, MatrixDescriptor.Swizzled(matrix + (2 * step)), 1);
        sums.Left = WarpGroup.MultiplyTransposed64(sums.Left, weights.D, MatrixDescriptor.Swizzled(matrix + (3 * step)), 1);
        return sums;
    }
}
