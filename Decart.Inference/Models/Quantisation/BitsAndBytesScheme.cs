using System.Collections.Immutable;
using System.Text.Json;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;

namespace Decart.Inference.Models.Quantisation;

/// <summary>
/// bitsandbytes: NF4 or FP4 with a scale for each run of elements, scales perhaps quantised themselves, or 8-bit integers with a scale for each row. Each layer's
/// tensors say which.
/// </summary>
internal sealed unsafe class BitsAndBytesScheme : IQuantisationScheme
{
    private const string Codes = "weight", AbsMax = "weight.absmax", CodeMap = "weight.quant_map", NestedAbsMax = "weight.nested_absmax", NestedMap = "weight.nested_quant_map";
    private const string State = "weight.quant_state.bitsandbytes__", RowScale = "SCB", Layout = "weight_format";
    private const int MaxStateBytes = 1 << 16, NestedValues = 256;

    public static IQuantisationScheme Read(JsonFields fields) => new BitsAndBytesScheme();

    public QuantisedWeight? Find(LayerTensors layer)
    {
        if (layer.Has(State + "nf4")) return FindFloat4(layer, State + "nf4", CodeKind.NF4, NormalFloat4.Table);
        if (layer.Has(State + "fp4")) return FindFloat4(layer, State + "fp4", CodeKind.FP4, BitsAndBytesFloat4.Table);
        return layer.Has(Codes, TensorType.I8) ? FindInt8(layer) : null;
    }

    /// <remarks>A row's scale is its largest magnitude.</remarks>
    private static QuantisedWeight FindInt8(LayerTensors layer)
    {
        if (layer.Has(Layout, TensorType.U8) && layer.Source.Require(layer.NameOf(Layout)) is { Rows: > 0, Columns: > 0 } layout && *layout.Pointer != 0)
            throw layer.Error(Layout, $"expected 0, codes row by row, found {*layout.Pointer}");
        float[] scales = layer.RequireNumbers(RowScale, layer.Rows);
        for (int i = 0; i < scales.Length; i++) scales[i] /= sbyte.MaxValue;
        return ByteCodes.Int8(layer, Codes, groupRows: 1, layer.Columns, scales, zeros: []);
    }

    private static QuantisedWeight FindFloat4(LayerTensors layer, string stateSuffix, CodeKind kind, float* table)
    {
        const string Shape = "shape", BlockSize = "blocksize";
        JsonFields state = ReadState(layer, stateSuffix);
        ImmutableArray<int> shape = state.Integers(Shape, 0, int.MaxValue);
        if (shape is not [var rows, var columns] || rows != layer.Rows || columns != layer.Columns)
            throw layer.Error($"{stateSuffix}.{Shape}", $"expected [{layer.Rows}, {layer.Columns}], found [{string.Join(", ", shape)}]");
        int run = state.Integer(BlockSize, 1, int.MaxValue);
        CheckMap(layer, table);
        StoredTensor codes = layer.Source.Require(layer.NameOf(Codes));
        long elements = (long)rows * columns, bytes = (elements + 1) / 2;
        if (codes.Rows * codes.RowBytes != bytes) throw layer.Error(Codes, $"expected {bytes} bytes for [{rows}, {columns}], found {codes.Rows * codes.RowBytes}");
        long runs = (elements + run - 1) / run;
        bool wholeRows = run % columns == 0;
        return new QuantisedWeight
        {
            Name = layer.NameOf(Codes),
            Kind = kind,
            Bits = 4,
            Rows = rows,
            Columns = columns,
            GroupRows = wholeRows ? run / columns : 1,
            GroupColumns = wholeRows ? columns : run,
            RunLength = wholeRows || columns % run == 0 ? 0 : run,
            Scales = layer.Has(NestedAbsMax) ? ReadNestedScales(layer, state, runs) : layer.RequireNumbers(AbsMax, runs),
            ReadCodes = Reader(codes, columns),
        };
    }

    private static JsonFields ReadState(LayerTensors layer, string suffix)
    {
        string name = layer.NameOf(suffix);
        StoredTensor state = layer.Source.Require(name);
        long bytes = state.Rows * state.RowBytes;
        if (state.Type != TensorType.U8 || bytes > MaxStateBytes) throw layer.Error(suffix, $"expected at most {MaxStateBytes} bytes of JSON, found {bytes} of {state.Type}");
        try
        {
            using JsonDocument document = JsonDocument.Parse(new ReadOnlySpan<byte>(state.Pointer, (int)bytes).ToArray());
            return new JsonFields(layer.Source.Path, document.RootElement.Clone(), $"{name}.");
        }
        catch (JsonException error)
        {
            throw layer.Error(suffix, $"expected a JSON object, found malformed JSON: {error.Message.TrimEnd('.')}");
        }
    }

    /// <summary>Refuses codes that mean something else than kernels make of them.</summary>
    private static void CheckMap(LayerTensors layer, float* table)
    {
        const float Tolerance = 1e-6f;
        if (!layer.Has(CodeMap)) return;
        float[] map = layer.RequireNumbers(CodeMap, 16);
        for (int i = 0; i < map.Length; i++)
        {
            if (!(Math.Abs(map[i] - table[i]) <= Tolerance)) throw layer.Error(CodeMap, $"expected {table[i]} as value {i}, found {map[i]}");
        }
    }

    /// <summary>Scales that are indices into 256 values, with scales of their own and what is added to all.</summary>
    private static float[] ReadNestedScales(LayerTensors layer, JsonFields state, long count)
    {
        int run = state.Integer("nested_blocksize", 1, int.MaxValue);
        float offset = (float)state.Number("nested_offset", float.MinValue, float.MaxValue);
        byte* indices = layer.Require(AbsMax, TensorType.U8, count).Pointer;
        float[] values = layer.RequireNumbers(NestedMap, NestedValues), nested = layer.RequireNumbers(NestedAbsMax, (count + run - 1) / run);
        float[] scales = new float[count];
        for (int i = 0; i < scales.Length; i++)
        {
            scales[i] = (values[indices[i]] * nested[i / run]) + offset;
            if (!float.IsFinite(scales[i])) throw layer.Error(NestedAbsMax, $"expected finite scales, found {scales[i]} as scale {i}");
        }
        return scales;
    }

    /// <summary>Elements of all rows one after another, the first of two in the upper half of a byte.</summary>
    private static CodeReader Reader(StoredTensor bytes, int columns) => (firstRow, rows, codes) =>
    {
        long first = (long)firstRow * columns;
        for (int i = 0; i < rows * columns; i++)
        {
            byte pair = bytes.Pointer[(first + i) / 2];
            codes[i] = (byte)((first + i) % 2 == 0 ? pair >> 4 : pair & 15);
        }
    };
}
