using System.Collections.Immutable;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels;

/// <summary>The stored tensors that one weight is made of, whose rows follow one another. What a device is given has been checked here.</summary>
internal sealed class WeightParts
{
    /// <summary>The most columns of a weight: kernels count the elements of a row in an int.</summary>
    public const int MaxColumns = 1 << 24;

    /// <param name="source">The file or folder that the tensors are of, for error messages.</param>
    /// <param name="tensors">At least one; their types may differ, their numbers of columns not.</param>
    /// <exception cref="ModelLoadException">They make no weight.</exception>
    public WeightParts(string source, params ReadOnlySpan<StoredTensor> tensors)
    {
        if (tensors.IsEmpty) throw new ModelLoadException(source, null, "expected at least one tensor for a weight, found none");
        long rows = 0;
        foreach (StoredTensor tensor in tensors)
        {
            CheckType(source, tensor);
            if (tensor.Columns != tensors[0].Columns)
                throw new ModelLoadException(source, tensor.Name, $"expected {tensors[0].Columns} columns as in {tensors[0].Name}, found {tensor.Columns}");
            if (tensor.Columns is < 1 or > MaxColumns)
                throw new ModelLoadException(source, tensor.Name, $"expected 1 to {MaxColumns} columns, found {tensor.Columns}");
            if (tensor.Rows < 1) throw new ModelLoadException(source, tensor.Name, $"expected at least one row, found {tensor.Rows}");
            rows += tensor.Rows;
            if (rows > int.MaxValue) throw new ModelLoadException(source, tensor.Name, $"expected at most {int.MaxValue} rows of one weight, found {rows}");
        }
        (Tensors, Rows, Columns) = ([.. tensors], (int)rows, (int)tensors[0].Columns);
    }

    public ImmutableArray<StoredTensor> Tensors { get; }

    /// <summary>Whether the rows are gates followed by as many ups, for <see cref="Epilogue.Gated"/>.</summary>
    public bool Gated { get; init; }

    /// <summary>Whether rows of it are read by their numbers, as an embedding's, besides products with it.</summary>
    public bool IsTable { get; init; }

    /// <summary>Whether it may not stay in few bits: set where the experts of a layer are stored unlike each other.</summary>
    public bool MustBeWidened { get; init; }

    /// <summary>Whether it is one expert's of several, which are multiplied together and so must be kept alike.</summary>
    public bool IsExpert { get; init; }

    /// <summary>Along what several devices divide the rows; a product has those of its columns that they have.</summary>
    public Split RowSplit { get; init; }

    /// <summary>Along what several devices divide the columns, where the rows are whole; products are then sums over all devices.</summary>
    public Split ColumnSplit { get; init; }

    public int Rows { get; }

    public int Columns { get; }

    /// <summary>Whether weights may be stored so.</summary>
    public static bool Accepts(TensorType type) => type is TensorType.F32 or TensorType.F16 or TensorType.BF16 || type.BlockLength() > 1;

    internal static void CheckType(string source, in StoredTensor tensor)
    {
        if (!Accepts(tensor.Type))
        {
            string hint = tensor.Type is TensorType.F8E4M3 or TensorType.I8 or TensorType.U8 ? ", which the quantization_config of a folder's config.json must describe" : "";
            throw new ModelLoadException(source, tensor.Name, $"expected weights of type F32, F16, BF16 or a GGUF block format, found {tensor.Type}{hint}");
        }
        int block = tensor.Type.BlockLength();
        if (tensor.Columns % block != 0)
            throw new ModelLoadException(source, tensor.Name, $"expected rows of a multiple of {block} elements for {tensor.Type}, found {tensor.Columns}");
    }
}

/// <summary>The stored tensors that a vector is made of, whose elements follow one another, checked as <see cref="WeightParts"/> are.</summary>
internal sealed class VectorParts
{
    /// <param name="source">The file or folder that the tensors are of, for error messages.</param>
    /// <param name="tensors">Of any shapes and types that weights may have.</param>
    /// <exception cref="ModelLoadException">They make no vector.</exception>
    public VectorParts(string source, params ReadOnlySpan<StoredTensor> tensors)
    {
        long length = 0;
        foreach (StoredTensor tensor in tensors)
        {
            WeightParts.CheckType(source, tensor);
            length += tensor.Rows * tensor.Columns;
            if (length > int.MaxValue) throw new ModelLoadException(source, tensor.Name, $"expected at most {int.MaxValue} elements of one vector, found {length}");
        }
        (Tensors, Length) = ([.. tensors], (int)length);
    }

    public ImmutableArray<StoredTensor> Tensors { get; }

    /// <summary>Whether the elements are those of gates followed by as many of ups.</summary>
    public bool Gated { get; init; }

    /// <summary>Along what several devices divide the elements.</summary>
    public Split Split { get; init; }

    public int Length { get; }
}
