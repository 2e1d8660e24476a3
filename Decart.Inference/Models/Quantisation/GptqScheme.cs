using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models.Quantisation;

/// <summary>
/// GPTQ: integers of 4 or 8 bits with scales and zeros for groups of columns, packed down the columns of the transposed weight. Where the columns were quantised in
/// order of their importance (act-order), a tensor says which group each belongs to.
/// </summary>
internal sealed class GptqScheme : IQuantisationScheme
{
    private const string Codes = "qweight", Zeros = "qzeros", Scales = "scales", Groups = "g_idx";

    private readonly int _bits, _groupSize, _storedZero;
    private readonly bool _symmetric, _actOrder;

    private GptqScheme(JsonFields fields)
    {
        const string FormatField = "checkpoint_format";
        string format = fields.OptionalText(FormatField) ?? "gptq";
        if (format is not ("gptq" or "gptq_v2")) throw fields.Wrong(FormatField, "\"gptq\" or \"gptq_v2\"", format);
        if (fields.Flag("is_marlin_format", false)) throw fields.Wrong("is_marlin_format", "false", true);
        _bits = fields.Integer("bits", 2, 8);
        if (_bits is not (4 or 8)) throw fields.Wrong("bits", "4 or 8", (long)_bits);
        _groupSize = GroupTables.ReadSize(fields);
        _storedZero = format == "gptq" ? 1 : 0;
        _symmetric = fields.Flag("sym", true);
        _actOrder = fields.Flag("desc_act", false);
        if (fields.OptionalSection("dynamic") is { } exceptions && exceptions.Names.FirstOrDefault(name => !name.StartsWith("-:", StringComparison.Ordinal)) is { } other)
            throw exceptions.Wrong(other, "only layers left out (\"-:...\")", "other settings for some layers");
    }

    public static IQuantisationScheme Read(JsonFields fields) => new GptqScheme(fields);

    public QuantisedWeight? Find(LayerTensors layer)
    {
        if (!layer.Has(Codes)) return null;
        int perWord = PackedCodes.WordBits / _bits;
        if (layer.Columns % perWord != 0) throw layer.Error(Codes, $"expected a multiple of {perWord} columns, found {layer.Columns}");
        int groupColumns = GroupTables.GroupColumns(_groupSize, layer.Columns), groups = GroupTables.Count(groupColumns, layer.Columns);
        StoredTensor codes = layer.Require(Codes, TensorType.I32, layer.Columns / perWord, layer.Rows);
        return new QuantisedWeight
        {
            Name = layer.NameOf(Codes),
            Kind = CodeKind.Integer,
            Bits = _bits,
            Rows = layer.Rows,
            Columns = layer.Columns,
            GroupColumns = groupColumns,
            Scales = GroupTables.Transpose(layer.RequireNumbers(Scales, groups, layer.Rows), layer.Rows),
            Zeros = _symmetric && !layer.Has(Zeros) ? [] : ReadZeros(layer, groups),
            Zero = 1 << (_bits - 1),
            GroupOfColumn = _actOrder || layer.Has(Groups) ? GroupTables.GroupOfColumn(layer, Groups, groupColumns) : null,
            ReadCodes = PackedCodes.DownColumns(codes, layer.Columns, _bits),
        };
    }

    /// <summary>The first version of the format stores zeros minus one, wrapped around.</summary>
    private ushort[] ReadZeros(LayerTensors layer, int groups)
    {
        int perWord = PackedCodes.WordBits / _bits, highest = (1 << _bits) - 1;
        StoredTensor words = layer.Require(Zeros, TensorType.I32, groups, PackedCodes.Words(layer.Rows, _bits));
        return GroupTables.Zeros(layer.Rows, groups, (row, group) =>
            (PackedCodes.At(words, (group * words.Columns) + (row / perWord), row % perWord, _bits) + _storedZero) & highest);
    }
}
