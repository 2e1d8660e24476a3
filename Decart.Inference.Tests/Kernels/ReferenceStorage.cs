using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Tests.Kernels.Formats;

namespace Decart.Inference.Tests.Kernels;

/// <summary>Activations as doubles.</summary>
internal sealed class ReferenceActivations(int rows, int columns) : Activations(rows, columns)
{
    public double[] Values { get; } = new double[checked(rows * columns)];

    public Span<double> Row(int row) => Values.AsSpan(row * Columns, Columns);

    public override void Dispose() { }
}

/// <summary>A weight matrix whose rows are widened when they are asked for.</summary>
internal sealed class ReferenceWeight(StoredTensor[] parts)
    : Weight(checked((int)parts.Sum(part => part.Rows)), checked((int)parts[0].Columns))
{
    public double[] Row(long row)
    {
        foreach (StoredTensor part in parts)
        {
            if (row < part.Rows) return Widen(part, row);
            row -= part.Rows;
        }
        throw new ArgumentOutOfRangeException(nameof(row));
    }

    public static unsafe double[] Widen(StoredTensor tensor, long row)
    {
        byte* source = tensor.Pointer + (row * tensor.RowBytes);
        int length = tensor.Type.BlockLength(), bytes = tensor.Type.BlockBytes();
        if (length > 1)
        {
            double[] elements = [.. Enumerable.Range(0, (int)tensor.Columns / length)
                .SelectMany(block => ReferenceWeights.Decode(tensor.Type, new ReadOnlySpan<byte>(source + (block * bytes), bytes)))];
            if (!tensor.ColumnOrder.IsDefault) Array.Sort(tensor.ColumnOrder.ToArray(), elements);
            return elements;
        }
        double[] values = new double[tensor.Columns];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = tensor.Type switch
            {
                TensorType.F32 => Unsafe.ReadUnaligned<float>(source + (4L * i)),
                TensorType.F16 => (double)Unsafe.ReadUnaligned<Half>(source + (2L * i)),
                TensorType.BF16 => BitConverter.Int32BitsToSingle(Unsafe.ReadUnaligned<ushort>(source + (2L * i)) << 16),
                _ => throw new NotSupportedException($"{tensor.Name}: {tensor.Type}"),
            };
        }
        return values;
    }

    public override void Dispose() { }
}

internal sealed class ReferenceVector(double[] values) : WeightVector(values.Length)
{
    public double[] Values => values;

    public override void Dispose() { }
}

internal sealed class ReferenceRotary(RotaryParameters parameters) : RotaryTable
{
    public RotaryParameters Parameters => parameters;

    public override void Dispose() { }
}

/// <summary>Keys and values of one sequence in one layer as doubles.</summary>
internal readonly unsafe struct ReferenceKv(KvView view, int layer, AttentionShape shape)
{
    /// <summary>The key (or value) of one head of one token.</summary>
    public Span<double> Head(int token, int head, bool value)
    {
        long start = ((((2L * layer) + (value ? 1 : 0)) * shape.KvHeads) + head) * shape.HeadDim;
        return new Span<double>(Token(token) + start, shape.HeadDim);
    }

    private double* Token(int token) => view.PageTable == 0
        ? (double*)(view.Address + (nint)(token * view.TokenBytes))
        : (double*)(((nint*)view.PageTable)[token / view.TokensPerPage] + (nint)(token % view.TokensPerPage * view.TokenBytes));
}
