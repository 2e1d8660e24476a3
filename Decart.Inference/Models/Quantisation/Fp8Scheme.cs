using System.Collections.Immutable;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models.Quantisation;

/// <summary>
/// 8-bit floats (e4m3) with a scale for the whole weight, for each row, or for each block. Scales of activations are not needed: those are computed in float32.
/// </summary>
internal sealed class Fp8Scheme : IQuantisationScheme
{
    private const string Codes = "weight", Scale = "weight_scale", BlockScale = "weight_scale_inv";

    /// <summary>Rows and columns of a block; empty without blocks.</summary>
    private readonly ImmutableArray<int> _block;

    private Fp8Scheme(ImmutableArray<int> block) => _block = block;

    public static IQuantisationScheme Read(JsonFields fields)
    {
        const string BlockField = "weight_block_size";
        if (fields.OptionalText("fmt") is { } format and not ("e4m3" or "float8_e4m3fn")) throw fields.Wrong("fmt", "\"e4m3\"", format);
        ImmutableArray<int> block = fields.Integers(BlockField, 1, int.MaxValue);
        if (block.Length is not (0 or 2)) throw fields.Wrong(BlockField, "rows and columns of a block", $"{block.Length} numbers");
        return new Fp8Scheme(block);
    }

    public QuantisedWeight? Find(LayerTensors layer)
    {
        if (!layer.Has(Codes, TensorType.F8E4M3)) return null;
        if (_block is [var rows, var columns])
        {
            float[] blocks = layer.RequireNumbers(BlockScale, GroupTables.Count(rows, layer.Rows), GroupTables.Count(columns, layer.Columns));
            return ByteCodes.E4M3(layer, Codes, rows, columns, blocks);
        }
        float[] scales = layer.RequireCount(layer.Has(BlockScale) ? BlockScale : Scale, 1, layer.Rows);
        return ByteCodes.E4M3(layer, Codes, scales.Length == 1 ? layer.Rows : 1, layer.Columns, scales);
    }
}
