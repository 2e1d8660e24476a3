using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Widens rows of stored tensors to float32: embeddings, and vectors such as biases and norms.</summary>
internal static unsafe class TensorDecoder
{
    /// <summary>Writes one row of <paramref name="tensor"/>, which has as many elements as the tensor has columns.</summary>
    /// <param name="tensor">A tensor of any type that weights are stored in.</param>
    /// <param name="row">Its number; a vector is row 0.</param>
    /// <param name="destination">Room for the row.</param>
    /// <exception cref="ModelLoadException">The tensor's type is not one of weights, or its rows are not a whole number of blocks.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row.</exception>
    public static void DecodeRow(in StoredTensor tensor, long row, float* destination)
    {
        if (!MatMulFormats.Supports(tensor.Type))
        {
            throw new ModelLoadException(
                $"Tensor {tensor.Name}: weights of type {MatMulFormats.Names} were expected, found {tensor.Type}.");
        }
        int blockLength = tensor.Type.BlockLength();
        if (tensor.Columns % blockLength != 0)
        {
            throw new ModelLoadException(
                $"Tensor {tensor.Name}: rows of a multiple of {blockLength} elements were expected for {tensor.Type}, found {tensor.Columns}.");
        }
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, tensor.Rows);
        MatMulFormats.Decode(tensor.Type, tensor.Pointer + (row * tensor.RowBytes), checked((int)tensor.Columns), destination);
        ColumnOrders.Restore(tensor.ColumnOrder, destination);
    }
}
