using System.Collections.Immutable;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Kernels.TensorParallel;

/// <summary>A rank's part of stored tensors: rows where they lie, parts of rows copied together. Blocks of elements are never cut.</summary>
internal static unsafe class RankParts
{
    /// <param name="parts">The whole weight.</param>
    /// <param name="division">Who has what.</param>
    /// <param name="rank">The rank.</param>
    /// <param name="memory">Where copies go.</param>
    /// <exception cref="NotSupportedException">A block would have to be cut.</exception>
    public static WeightParts Of(WeightParts parts, Division division, int rank, TensorMemory memory)
    {
        IEnumerable<StoredTensor> tensors = Rows(parts.Tensors, division.Of(parts.RowSplit, parts.Rows, parts.Gated, rank));
        if (parts.ColumnSplit != Split.None)
        {
            Share columns = division.Of(parts.ColumnSplit, parts.Columns, gated: false, rank)[0];
            tensors = [.. tensors.Select(tensor => Columns(tensor, columns, memory))];
        }
        return new WeightParts("", [.. tensors]) { Gated = parts.Gated, IsTable = parts.IsTable, MustBeWidened = parts.MustBeWidened, IsExpert = parts.IsExpert };
    }

    /// <inheritdoc cref="Of(WeightParts, Division, int, TensorMemory)"/>
    public static VectorParts Of(VectorParts parts, Division division, int rank)
    {
        if (parts.Split == Split.None) return parts;
        IEnumerable<StoredTensor> elements = parts.Tensors.Select(tensor => tensor with { Shape = [tensor.Rows * tensor.Columns, 1] });
        return new VectorParts("", [.. Rows(elements, division.Of(parts.Split, parts.Length, parts.Gated, rank))]);
    }

    private static List<StoredTensor> Rows(IEnumerable<StoredTensor> tensors, Share[] shares)
    {
        List<StoredTensor> slices = [];
        foreach (Share share in shares)
        {
            long first = 0;
            foreach (StoredTensor tensor in tensors)
            {
                long start = Math.Max(share.Start, first), end = Math.Min(share.End, first + tensor.Rows);
                if (end > start) slices.Add(tensor.SliceRows(start - first, end - start));
                first += tensor.Rows;
            }
        }
        return slices;
    }

    private static StoredTensor Columns(StoredTensor tensor, Share share, TensorMemory memory)
    {
        if (!tensor.ColumnOrder.IsDefault) return Widened(tensor, share, memory);
        int block = tensor.Type.BlockLength(), blockBytes = tensor.Type.BlockBytes();
        if (share.Start % block != 0 || share.Count % block != 0)
        {
            throw new NotSupportedException(
                $"{tensor.Name} is stored in groups of {block} columns, of which {share.Start} to {share.End - 1} cannot be given to a device of their own: expected a number of devices "
                + "that cuts no group.");
        }
        long bytes = share.Count / block * blockBytes;
        byte* copy = memory.Allocate(tensor.Rows * bytes), source = tensor.Pointer + (share.Start / block * blockBytes);
        for (long row = 0; row < tensor.Rows; row++) Buffer.MemoryCopy(source + (row * tensor.RowBytes), copy + (row * bytes), bytes, bytes);
        return tensor with { Shape = [tensor.Rows, share.Count], Data = (nint)copy };
    }

    /// <summary>Where groups are scattered over the columns each rank needs some elements of all of them.</summary>
    private static StoredTensor Widened(StoredTensor tensor, Share share, TensorMemory memory)
    {
        float* copy = (float*)memory.Allocate(tensor.Rows * share.Count * sizeof(float));
        float[] values = new float[tensor.Columns];
        fixed (float* row = values)
        {
            for (long i = 0; i < tensor.Rows; i++)
            {
                TensorDecoder.DecodeRow(tensor, i, row);
                values.AsSpan(share.Start, share.Count).CopyTo(new Span<float>(copy + (i * share.Count), share.Count));
            }
        }
        return new StoredTensor(tensor.Name, TensorType.F32, ImmutableArray.Create(tensor.Rows, share.Count), (nint)copy);
    }
}
