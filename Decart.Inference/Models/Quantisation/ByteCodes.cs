using System.Numerics.Tensors;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models.Quantisation;

/// <summary>Weights whose codes are stored as bytes in the order of the weight's elements.</summary>
internal static unsafe class ByteCodes
{
    /// <summary>What makes a signed byte unsigned, and its zero.</summary>
    public const byte SignBit = 0x80;

    /// <summary>A weight of 8-bit floats.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="suffix">The tensor of the codes.</param>
    /// <param name="groupRows">Rows of a group.</param>
    /// <param name="groupColumns">Columns of a group.</param>
    /// <param name="scales">A scale for each group.</param>
    /// <param name="groupOfColumn">See <see cref="QuantisedWeight.GroupOfColumn"/>.</param>
    public static QuantisedWeight E4M3(LayerTensors layer, string suffix, int groupRows, int groupColumns, float[] scales, int[]? groupOfColumn = null) =>
        Create(layer, suffix, CodeKind.E4M3, groupRows, groupColumns, scales, zeros: [], groupOfColumn, Reader(layer.Require(suffix, TensorType.F8E4M3, layer.Rows, layer.Columns)));

    /// <summary>A weight of signed 8-bit integers.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="suffix">The tensor of the codes.</param>
    /// <param name="groupRows">Rows of a group.</param>
    /// <param name="groupColumns">Columns of a group.</param>
    /// <param name="scales">A scale for each group.</param>
    /// <param name="zeros">A zero for each group, plus 128; none for zeros of 0.</param>
    /// <param name="groupOfColumn">See <see cref="QuantisedWeight.GroupOfColumn"/>.</param>
    public static QuantisedWeight Int8(LayerTensors layer, string suffix, int groupRows, int groupColumns, float[] scales, ushort[] zeros, int[]? groupOfColumn = null)
    {
        CodeReader read = Reader(layer.Require(suffix, TensorType.I8, layer.Rows, layer.Columns));
        return Create(layer, suffix, CodeKind.Integer, groupRows, groupColumns, scales, zeros, groupOfColumn, (firstRow, rows, codes) =>
        {
            read(firstRow, rows, codes);
            TensorPrimitives.Xor(codes, SignBit, codes);
        });
    }

    private static QuantisedWeight Create(
        LayerTensors layer, string suffix, CodeKind kind, int groupRows, int groupColumns, float[] scales, ushort[] zeros, int[]? groupOfColumn, CodeReader readCodes) => new()
        {
            Name = layer.NameOf(suffix),
            Kind = kind,
            Bits = 8,
            Rows = layer.Rows,
            Columns = layer.Columns,
            GroupRows = groupRows,
            GroupColumns = groupColumns,
            Scales = scales,
            Zeros = zeros,
            Zero = kind == CodeKind.Integer ? SignBit : 0,
            GroupOfColumn = groupOfColumn,
            ReadCodes = readCodes,
        };

    private static CodeReader Reader(StoredTensor tensor) => (firstRow, rows, codes) =>
        new ReadOnlySpan<byte>(tensor.Pointer + (firstRow * tensor.RowBytes), checked((int)(rows * tensor.RowBytes))).CopyTo(codes);
}
