using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models.Quantisation;

/// <summary>AWQ in the packing of its "gemm" version: 4-bit integers with scales and zeros for groups of columns, eight rows of a column in a word.</summary>
internal sealed class AwqScheme : IQuantisationScheme
{
    private const string Codes = "qweight", Zeros = "qzeros", Scales = "scales";
    private const int Bits = 4;

    /// <summary>Where a word has each of its eight rows: even ones in the lower half, odd ones in the upper.</summary>
    private static readonly int[] Places = [0, 4, 1, 5, 2, 6, 3, 7];

    private readonly int _groupSize;

    private AwqScheme(int groupSize) => _groupSize = groupSize;

    public static IQuantisationScheme Read(JsonFields fields)
    {
        fields.Integer("bits", Bits, Bits);
        if (fields.OptionalText("version") is { } version && !version.Equals("gemm", StringComparison.OrdinalIgnoreCase)) throw fields.Wrong("version", "\"gemm\"", version);
        if (!fields.Flag("zero_point", true)) throw fields.Wrong("zero_point", "true", false);
        return new AwqScheme(GroupTables.ReadSize(fields));
    }

    public QuantisedWeight? Find(LayerTensors layer)
    {
        if (!layer.Has(Codes)) return null;
        if (layer.Rows % Places.Length != 0) throw layer.Error(Codes, $"expected a multiple of {Places.Length} rows, found {layer.Rows}");
        int groupColumns = GroupTables.GroupColumns(_groupSize, layer.Columns), groups = GroupTables.Count(groupColumns, layer.Columns), words = layer.Rows / Places.Length;
        StoredTensor codes = layer.Require(Codes, TensorType.I32, layer.Columns, words), zeros = layer.Require(Zeros, TensorType.I32, groups, words);
        return new QuantisedWeight
        {
            Name = layer.NameOf(Codes),
            Kind = CodeKind.Integer,
            Bits = Bits,
            Rows = layer.Rows,
            Columns = layer.Columns,
            GroupColumns = groupColumns,
            Scales = GroupTables.Transpose(layer.RequireNumbers(Scales, groups, layer.Rows), layer.Rows),
            Zeros = GroupTables.Zeros(layer.Rows, groups, (row, group) =>
                PackedCodes.At(zeros, ((long)group * words) + (row / Places.Length), Places[row % Places.Length], Bits)),
            ReadCodes = PackedCodes.AcrossRows(codes, layer.Columns, Places),
        };
    }
}
