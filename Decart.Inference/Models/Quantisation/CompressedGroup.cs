using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models.Quantisation;

/// <summary>One of compressed-tensors' <c>config_groups</c>: the layers that it is for, and how their weights are stored.</summary>
internal sealed class CompressedGroup
{
    private const string Scale = "weight_scale", Zero = "weight_zero_point", Shape = "weight_shape", GroupIndex = "weight_g_idx", Pattern = "re:";
    private const string Formats = "\"pack-quantized\", \"float-quantized\", \"int-quantized\" or \"naive-quantized\"";

    /// <summary>Longer than any sensible pattern takes for a name.</summary>
    private static readonly TimeSpan LongestMatch = TimeSpan.FromMilliseconds(250);

    private readonly ImmutableArray<string> _targets;
    private readonly ImmutableArray<Regex> _patterns;
    private readonly bool _packed, _float, _symmetric;
    private readonly int _bits, _groupRows, _groupColumns;

    /// <param name="group">The group.</param>
    /// <param name="weights">Its section of weights.</param>
    /// <param name="all">What says how weights are stored where the group does not.</param>
    private CompressedGroup(JsonFields group, JsonFields weights, JsonFields all)
    {
        const string Field = "format";
        JsonFields fields = group.Has(Field) ? group : all;
        string format = fields.OptionalText(Field) ?? throw fields.Missing(Field, Formats);
        if (format is not ("pack-quantized" or "float-quantized" or "int-quantized" or "naive-quantized")) throw fields.Wrong(Field, Formats, format);
        ImmutableArray<string> targets = group.OptionalTexts("targets") ?? [];
        _targets = [.. targets.Where(target => !target.StartsWith(Pattern, StringComparison.Ordinal))];
        _patterns = [.. targets.Where(target => target.StartsWith(Pattern, StringComparison.Ordinal)).Select(target => ReadPattern(group, target))];
        _packed = format == "pack-quantized";
        string type = weights.OptionalText("type") ?? "int";
        if (type is not ("int" or "float") || (type == "float" && (_packed || format == "int-quantized")) || (type == "int" && format == "float-quantized"))
            throw weights.Wrong("type", format == "float-quantized" ? "\"float\"" : "\"int\"", type);
        _float = type == "float";
        _bits = weights.Integer("num_bits", 1, 64);
        if (_bits != 8 && !(_packed && _bits == 4)) throw weights.Wrong("num_bits", _packed ? "4 or 8" : "8", (long)_bits);
        _symmetric = weights.Flag("symmetric", true);
        (_groupRows, _groupColumns) = ReadStrategy(weights);
    }

    /// <summary>The group, or null if it leaves weights as they are.</summary>
    /// <exception cref="ModelLoadException">Its weights are not of a supported kind.</exception>
    public static CompressedGroup? Read(JsonFields group, JsonFields all) => group.OptionalSection("weights") is { } weights ? new CompressedGroup(group, weights, all) : null;

    /// <summary>
    /// How closely the group is meant for this linear layer, the least number most closely: 0 by its name, or the end of it, 1 by a pattern of its name, 2 by its class; null: it is not.
    /// </summary>
    public int? Distance(string name)
    {
        if (_targets.Any(target => name == target || name.EndsWith($".{target}", StringComparison.Ordinal))) return 0;
        if (_patterns.Any(pattern => IsMatch(pattern, name))) return 1;
        return _targets.Contains("Linear") ? 2 : null;
    }

    public QuantisedWeight Find(LayerTensors layer, string codes)
    {
        int groupRows = _groupRows == -1 ? layer.Rows : _groupRows, groupColumns = GroupTables.GroupColumns(_groupColumns, layer.Columns);
        int down = GroupTables.Count(groupRows, layer.Rows), across = GroupTables.Count(groupColumns, layer.Columns);
        float[] scales = across == 1 ? layer.RequireCount(Scale, down) : layer.RequireNumbers(Scale, down, across);
        ushort[] zeros = _symmetric || !layer.Has(Zero) ? [] : ReadZeros(layer, down, across);
        // Whatever "actorder" says: weights that have an index are stored by it.
        int[]? groupOfColumn = layer.Has(GroupIndex) ? GroupTables.GroupOfColumn(layer, GroupIndex, groupColumns, mayBeUnset: true) : null;
        if (_float) return ByteCodes.E4M3(layer, codes, groupRows, groupColumns, scales, groupOfColumn);
        return _packed
            ? FindPacked(layer, codes, groupRows, groupColumns, scales, zeros, groupOfColumn)
            : ByteCodes.Int8(layer, codes, groupRows, groupColumns, scales, zeros, groupOfColumn);
    }

    private static (int Rows, int Columns) ReadStrategy(JsonFields weights)
    {
        const string Field = "strategy", BlockField = "block_structure";
        string strategy = weights.OptionalText(Field) ?? (weights.Has("group_size") ? "group" : "tensor");
        switch (strategy)
        {
            case "tensor":
                return (-1, -1);
            case "channel":
                return (1, -1);
            case "group":
                return (1, GroupTables.ReadSize(weights));
            case "block":
                ImmutableArray<int> block = weights.Integers(BlockField, 1, int.MaxValue);
                return block.Length == 2 ? (block[0], block[1]) : throw weights.Wrong(BlockField, "rows and columns of a block", $"{block.Length} numbers");
            default:
                throw weights.Wrong(Field, "\"tensor\", \"channel\", \"group\" or \"block\"", strategy);
        }
    }

    private static Regex ReadPattern(JsonFields group, string target)
    {
        try
        {
            // As in Python a pattern must match where the name begins.
            return new Regex($@"\A(?:{target[Pattern.Length..]})", RegexOptions.CultureInvariant, LongestMatch);
        }
        catch (ArgumentException)
        {
            throw group.Wrong("targets", "regular expressions after \"re:\"", target);
        }
    }

    private static bool IsMatch(Regex pattern, string name)
    {
        try
        {
            return pattern.IsMatch(name);
        }
        catch (RegexMatchTimeoutException)
        {
            throw new ModelLoadException($"The pattern '{Quoted.Value(pattern.ToString())}' of config_groups takes more than {LongestMatch.TotalMilliseconds} ms for the name {Quoted.Name(name)}.");
        }
    }

    private QuantisedWeight FindPacked(LayerTensors layer, string codes, int groupRows, int groupColumns, float[] scales, ushort[] zeros, int[]? groupOfColumn)
    {
        StoredTensor words = layer.Require(codes, TensorType.I32, layer.Rows, PackedCodes.Words(layer.Columns, _bits));
        CheckShape(layer);
        return new QuantisedWeight
        {
            Name = layer.NameOf(codes),
            Kind = CodeKind.Integer,
            Bits = _bits,
            Rows = layer.Rows,
            Columns = layer.Columns,
            GroupRows = groupRows,
            GroupColumns = groupColumns,
            Scales = scales,
            Zeros = zeros,
            Zero = 1 << (_bits - 1),
            GroupOfColumn = groupOfColumn,
            ReadCodes = PackedCodes.AlongRows(words, layer.Columns, _bits),
        };
    }

    private static unsafe void CheckShape(LayerTensors layer)
    {
        if (!layer.Has(Shape)) return;
        StoredTensor shape = layer.Source.Require(layer.NameOf(Shape), 2);
        (long rows, long columns) = shape.Type == TensorType.I64
            ? (((long*)shape.Pointer)[0], ((long*)shape.Pointer)[1])
            : (((int*)layer.Require(Shape, TensorType.I32, 2).Pointer)[0], ((int*)shape.Pointer)[1]);
        if ((rows, columns) != (layer.Rows, layer.Columns)) throw layer.Error(Shape, $"expected [{layer.Rows}, {layer.Columns}], found [{rows}, {columns}]");
    }

    /// <summary>Packed down the rows as codes are, or signed bytes.</summary>
    private unsafe ushort[] ReadZeros(LayerTensors layer, int down, int across)
    {
        int offset = 1 << (_bits - 1), perWord = PackedCodes.WordBits / _bits;
        if (layer.Has(Zero, TensorType.I8))
        {
            sbyte* bytes = (sbyte*)Require(TensorType.I8, down).Pointer;
            return GroupTables.Zeros(down, across, (row, group) =>
            {
                int zero = bytes[((long)row * across) + group];
                return zero >= -offset && zero < offset ? zero + offset : throw layer.Error(Zero, $"expected {-offset} to {offset - 1}, found {zero} for row {row}");
            });
        }
        StoredTensor words = Require(TensorType.I32, PackedCodes.Words(down, _bits));
        return GroupTables.Zeros(down, across, (row, group) => PackedCodes.At(words, ((long)(row / perWord) * across) + group, row % perWord, _bits));

        // Of whole rows, or of the whole weight, they may be a vector, as scales are.
        StoredTensor Require(TensorType type, long count) => across == 1 ? layer.RequireVector(Zero, type, count) : layer.Require(Zero, type, count, across);
    }
}
