using System.Text;
using System.Text.Json.Nodes;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Kernels.Formats;

namespace Decart.Inference.Tests.Models.Quantisation;

/// <summary>
/// A linear layer as a scheme stores it: random codes, scales and zeros, packed bit by bit after the scheme's description, and the weights that they stand for in
/// float64.
/// </summary>
internal sealed class WrittenLayer(int rows, int columns, int seed = 1)
{
    private readonly Random _random = new(seed);

    public int Rows => rows;

    public int Columns => columns;

    /// <summary>By what follows the layer's name.</summary>
    public Dictionary<string, WrittenTensor> Tensors { get; } = [];

    /// <summary>Row by row.</summary>
    public double[][] Expected { get; private set; } = [];

    /// <summary>8-bit floats with a scale for each rectangle; 0 stands for all rows or columns.</summary>
    public WrittenLayer Fp8(string scaleName, string scaleType, int groupRows, int groupColumns, long[]? scaleShape = null)
    {
        byte[] codes = Bytes(rows * columns, code => (code & 0x7F) != 0x7F);
        (int height, int width) = (groupRows == 0 ? rows : groupRows, groupColumns == 0 ? columns : groupColumns);
        int down = Count(rows, height), across = Count(columns, width);
        double[] scales = AddScales(scaleName, scaleType, scaleShape ?? [down, across], down * across);
        Tensors["weight"] = WrittenTensor.Of("F8_E4M3", codes, rows, columns);
        return Expect((row, column) => ReferenceGroupWeights.E4M3(codes[row * columns + column]) * scales[row / height * across + column / width]);
    }

    public WrittenLayer Gptq(int bits, int group, bool symmetric, bool actOrder = false, bool second = false, string scaleType = "F16")
    {
        int width = group == -1 ? columns : group, groups = Count(columns, width), highest = (1 << bits) - 1;
        int[] codes = Codes(rows * columns, bits), zeros = symmetric ? [.. Enumerable.Repeat(1 << (bits - 1), groups * rows)] : Codes(groups * rows, bits);
        int[] groupOf = [.. Enumerable.Range(0, columns).Select(column => column / width)];
        if (actOrder) _random.Shuffle(groupOf);
        double[] scales = AddScales("scales", scaleType, [groups, rows], groups * rows);
        Tensors["qweight"] = Words(columns * bits / 32, rows, (word, row, place) => codes[row * columns + word * (32 / bits) + place], bits);
        Tensors["qzeros"] = Words(groups, Count(rows * bits, 32), (g, word, place) => word * (32 / bits) + place is var row && row < rows ? zeros[g * rows + row] - (second ? 0 : 1) & highest : 0, bits);
        Tensors["g_idx"] = WrittenTensor.Of("I32", groupOf, columns);
        return Expect((row, column) => scales[groupOf[column] * rows + row] * (codes[row * columns + column] - zeros[groupOf[column] * rows + row]));
    }

    public WrittenLayer Awq(int group)
    {
        int[] order = [0, 2, 4, 6, 1, 3, 5, 7]; // nibble i of a word holds row order[i] of eight
        int width = group == -1 ? columns : group, groups = Count(columns, width);
        int[] codes = Codes(rows * columns, 4), zeros = Codes(groups * rows, 4);
        double[] scales = AddScales("scales", "F16", [groups, rows], groups * rows);
        Tensors["qweight"] = Words(columns, rows / 8, (column, word, place) => codes[(word * 8 + order[place]) * columns + column], 4);
        Tensors["qzeros"] = Words(groups, rows / 8, (g, word, place) => zeros[g * rows + word * 8 + order[place]], 4);
        return Expect((row, column) => scales[column / width * rows + row] * (codes[row * columns + column] - zeros[column / width * rows + row]));
    }

    public WrittenLayer Packed(int bits, int group, bool symmetric, bool scattered = false, string scaleType = "BF16", bool zerosInBytes = false)
    {
        int width = group == -1 ? columns : group, groups = Count(columns, width), perWord = 32 / bits, middle = 1 << (bits - 1);
        int[] codes = Codes(rows * columns, bits), zeros = symmetric ? [.. Enumerable.Repeat(middle, groups * rows)] : Codes(groups * rows, bits);
        int[] groupOf = [.. Enumerable.Range(0, columns).Select(column => column / width)];
        if (scattered) _random.Shuffle(groupOf);
        double[] scales = AddScales("weight_scale", scaleType, [rows, groups], groups * rows);
        Tensors["weight_packed"] = Words(rows, Count(columns, perWord), (row, word, place) =>
            word * perWord + place is var column && column < columns ? codes[row * columns + column] : 0, bits);
        Tensors["weight_shape"] = WrittenTensor.Of("I64", new long[] { rows, columns }, 2);
        if (scattered) Tensors["weight_g_idx"] = WrittenTensor.Of("I32", groupOf, columns);
        if (!symmetric && zerosInBytes) Tensors["weight_zero_point"] = WrittenTensor.Of("I8", Array.ConvertAll(zeros, zero => (sbyte)(zero - middle)), rows, groups);
        else if (!symmetric) Tensors["weight_zero_point"] = Words(Count(rows, perWord), groups, (word, g, place) => word * perWord + place is var row && row < rows ? zeros[row * groups + g] : 0, bits);
        return Expect((row, column) => scales[row * groups + groupOf[column]] * (codes[row * columns + column] - zeros[row * groups + groupOf[column]]));
    }

    /// <summary>Signed bytes with a scale, and perhaps a zero, for each row, or one for all, which are vectors.</summary>
    public WrittenLayer Int8(bool symmetric = true, bool whole = false)
    {
        int count = whole ? 1 : rows;
        sbyte[] codes = Array.ConvertAll(Bytes(rows * columns), code => (sbyte)code), zeros = symmetric ? new sbyte[count] : Array.ConvertAll(Bytes(count), code => (sbyte)code);
        double[] scales = AddScales("weight_scale", "BF16", whole ? [1] : [rows, 1], count);
        Tensors["weight"] = WrittenTensor.Of("I8", codes, rows, columns);
        if (!symmetric) Tensors["weight_zero_point"] = WrittenTensor.Of("I8", zeros, whole ? [1] : [rows, 1]);
        return Expect((row, column) => scales[row % count] * (codes[row * columns + column] - zeros[row % count]));
    }

    /// <summary>8-bit floats or signed bytes whose groups are scattered over the columns.</summary>
    public WrittenLayer ScatteredBytes(bool floats, int group)
    {
        int groups = columns / group;
        byte[] codes = Bytes(rows * columns, code => !floats || (code & 0x7F) != 0x7F);
        int[] groupOf = [.. Enumerable.Range(0, columns).Select(column => column / group)];
        _random.Shuffle(groupOf);
        double[] scales = AddScales("weight_scale", "BF16", [rows, groups], rows * groups);
        Tensors["weight"] = floats ? WrittenTensor.Of("F8_E4M3", codes, rows, columns) : WrittenTensor.Of("I8", Array.ConvertAll(codes, code => (sbyte)code), rows, columns);
        Tensors["weight_g_idx"] = WrittenTensor.Of("I32", groupOf, columns);
        return Expect((row, column) =>
            codes[row * columns + column] is var code && floats ? ReferenceGroupWeights.E4M3(code) * scales[row * groups + groupOf[column]] : (sbyte)code * scales[row * groups + groupOf[column]]);
    }

    /// <summary>Says that groups are neighbours.</summary>
    public WrittenLayer Unset(string index)
    {
        Tensors[index] = WrittenTensor.Of("I32", Enumerable.Repeat(-1, columns).ToArray(), columns);
        return this;
    }

    /// <summary>Signed bytes with the largest magnitude of each row.</summary>
    public WrittenLayer RowInt8()
    {
        sbyte[] codes = Array.ConvertAll(Bytes(rows * columns), code => (sbyte)code);
        double[] scales = AddScales("SCB", "F32", [rows], rows);
        Tensors["weight"] = WrittenTensor.Of("I8", codes, rows, columns);
        return Expect((row, column) => (float)scales[row] / 127f * (double)codes[row * columns + column]);
    }

    /// <summary>NF4 or FP4 with a scale for each run of elements.</summary>
    public WrittenLayer Float4(string kind, int run, bool nested = false)
    {
        float[] table = [.. Enumerable.Range(0, 16).Select(code => (float)ReferenceGroupWeights.Float4(kind == "nf4", code))];
        int elements = rows * columns, runs = Count(elements, run);
        int[] codes = Codes(elements, 4);
        JsonObject state = new() { ["quant_type"] = kind, ["blocksize"] = run, ["shape"] = new JsonArray(rows, columns) };
        float[] scales = nested ? AddNestedScales(runs, state) : [.. AddScales("weight.absmax", "F32", [runs], runs).Select(scale => (float)scale)];
        byte[] pairs = new byte[Count(elements, 2)];
        for (int i = 0; i < elements; i++) pairs[i / 2] |= (byte)(codes[i] << (i % 2 == 0 ? 4 : 0));
        Tensors["weight"] = WrittenTensor.Of("U8", pairs, pairs.Length, 1);
        Tensors["weight.quant_map"] = WrittenTensor.Of("F32", table, 16);
        byte[] json = Encoding.UTF8.GetBytes(state.ToJsonString());
        Tensors[$"weight.quant_state.bitsandbytes__{kind}"] = WrittenTensor.Of("U8", json, json.Length);
        return Expect((row, column) => table[codes[row * columns + column]] * (double)scales[(row * columns + column) / run]);
    }

    private float[] AddNestedScales(int runs, JsonObject state)
    {
        const int NestedRun = 256;
        byte[] indices = Bytes(runs);
        float[] values = [.. Enumerable.Range(0, 256).Select(i => (i - 127) / 128f)];
        float[] nested = [.. Enumerable.Range(0, Count(runs, NestedRun)).Select(_ => 0.01f * _random.NextSingle())];
        state["nested_blocksize"] = NestedRun;
        state["nested_offset"] = 0.04f;
        Tensors["weight.absmax"] = WrittenTensor.Of("U8", indices, runs);
        Tensors["weight.nested_quant_map"] = WrittenTensor.Of("F32", values, 256);
        Tensors["weight.nested_absmax"] = WrittenTensor.Of("F32", nested, nested.Length);
        return [.. indices.Select((index, i) => (values[index] * nested[i / NestedRun]) + 0.04f)];
    }

    private WrittenLayer Expect(Func<int, int, double> weight)
    {
        Expected = [.. Enumerable.Range(0, rows).Select(row => Enumerable.Range(0, columns).Select(column => weight(row, column)).ToArray())];
        return this;
    }

    private double[] AddScales(string name, string type, long[] shape, int count)
    {
        float[] scales = [.. Enumerable.Range(0, count).Select(_ => 0.001f + _random.NextSingle() / 100)];
        switch (type)
        {
            case "F16":
                Half[] halves = Array.ConvertAll(scales, scale => (Half)scale);
                Tensors[name] = WrittenTensor.Of(type, halves, shape);
                return Array.ConvertAll(halves, scale => (double)scale);
            case "BF16":
                ushort[] upper = Array.ConvertAll(scales, scale => (ushort)(BitConverter.SingleToUInt32Bits(scale) >> 16));
                Tensors[name] = WrittenTensor.Of(type, upper, shape);
                return Array.ConvertAll(upper, bits => (double)BitConverter.UInt32BitsToSingle((uint)bits << 16));
            default:
                Tensors[name] = WrittenTensor.Of(type, scales, shape);
                return Array.ConvertAll(scales, scale => (double)scale);
        }
    }

    private int[] Codes(int count, int bits) => [.. Enumerable.Range(0, count).Select(_ => _random.Next(1 << bits))];

    private byte[] Bytes(int count, Func<byte, bool>? allowed = null)
    {
        byte[] bytes = new byte[count];
        _random.NextBytes(bytes);
        while (allowed is not null && Array.FindIndex(bytes, code => !allowed(code)) is >= 0 and var index) bytes[index] = (byte)_random.Next(256);
        return bytes;
    }

    private static WrittenTensor Words(int down, int across, Func<int, int, int, int> code, int bits)
    {
        uint[] words = new uint[down * across];
        for (int i = 0; i < words.Length; i++)
        {
            for (int place = 0; place < 32 / bits; place++) words[i] |= (uint)code(i / across, i % across, place) << (place * bits);
        }
        return WrittenTensor.Of("I32", words, down, across);
    }

    private static int Count(int length, int group) => (length + group - 1) / group;
}
