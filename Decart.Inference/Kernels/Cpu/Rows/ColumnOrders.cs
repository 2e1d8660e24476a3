using System.Buffers;
using System.Collections.Immutable;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Rows whose elements lie in another order than their columns (<see cref="Checkpoints.StoredTensor.ColumnOrder"/>); default is the order of the columns.</summary>
internal static unsafe class ColumnOrders
{
    public static bool AreEqual(ImmutableArray<int> first, ImmutableArray<int> second) =>
        first.IsDefault || second.IsDefault ? first.IsDefault == second.IsDefault : first.AsSpan().SequenceEqual(second.AsSpan());

    /// <summary>Moves the elements of a row to their columns.</summary>
    public static void Restore(ImmutableArray<int> order, float* row)
    {
        if (order.IsDefault) return;
        float[] elements = ArrayPool<float>.Shared.Rent(order.Length);
        new ReadOnlySpan<float>(row, order.Length).CopyTo(elements);
        for (int i = 0; i < order.Length; i++) row[order[i]] = elements[i];
        ArrayPool<float>.Shared.Return(elements);
    }

    /// <summary>Copies a row by columns to a row of elements.</summary>
    public static void Gather(ImmutableArray<int> order, float* row, float* elements)
    {
        for (int i = 0; i < order.Length; i++) elements[i] = row[order[i]];
    }
}
