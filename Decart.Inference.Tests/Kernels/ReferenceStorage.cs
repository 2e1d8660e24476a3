using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Memory;

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
        double[] values = new double[tensor.Columns];
        byte* source = tensor.Pointer + (row * tensor.RowBytes);
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

/// <summary>Keys and values as doubles in a pinned array.</summary>
internal sealed unsafe class ReferenceKvRange(KvLayout layout, int tokens) : IKvRange
{
    private double[] _elements = Allocate(layout, tokens);

    public nint Address => (nint)Unsafe.AsPointer(ref _elements[0]);

    public KvLayout Layout => layout;

    public void EnsureCapacity(int tokens)
    {
        if (tokens * layout.TokenStride <= _elements.Length) return;
        double[] larger = Allocate(layout, tokens);
        _elements.CopyTo(larger, 0);
        _elements = larger;
    }

    /// <summary>The key (or value) of one head of one token.</summary>
    public Span<double> Head(int token, int layer, int head, bool value)
    {
        long start = (token * layout.TokenStride) + (layer * layout.LayerStride) + (value ? layout.ValueOffset : 0) + (head * layout.HeadDim);
        return _elements.AsSpan(checked((int)start), layout.HeadDim);
    }

    public void Dispose() { }

    private static double[] Allocate(KvLayout layout, int tokens) =>
        GC.AllocateArray<double>(checked((int)(Math.Max(tokens, 1) * layout.TokenStride)), pinned: true);
}
