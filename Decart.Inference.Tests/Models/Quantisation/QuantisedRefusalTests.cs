using System.Text;
using Decart.Inference.Tests.Checkpoints;

namespace Decart.Inference.Tests.Models.Quantisation;

/// <summary>What is not supported is refused by its name when the folder is opened, what is damaged by the name of its tensor when the weight is asked for.</summary>
internal sealed class QuantisedRefusalTests
{
    private const string Gptq = """{ "quant_method": "gptq", "bits": 4, "group_size": 32 }""";
    private const string Fp8 = """{ "quant_method": "fp8" }""";
    private const string Blocks = """{ "quant_method": "fp8", "weight_block_size": [32, 32] }""";
    private const string BitsAndBytes = """{ "quant_method": "bitsandbytes" }""";

    private static readonly string Packed = Compressed("\"format\": \"pack-quantized\"", "\"num_bits\": 4, \"type\": \"int\", \"strategy\": \"group\", \"group_size\": 32, \"symmetric\": false");

    private static IEnumerable<TestCaseData> Configurations()
    {
        yield return new TestCaseData("{ }", "quantization_config.quant_method", "the field is missing");
        foreach (string method in (string[])["hqq", "exl2", "aqlm", "mxfp4", "modelopt", "marlin"])
            yield return new TestCaseData($$"""{ "quant_method": "{{method}}" }""", "quantization_config.quant_method", $"expected one of awq, bitsandbytes, compressed-tensors, fp8, gptq, found \"{method}\"");
        yield return new TestCaseData("""{ "quant_method": "gptq", "bits": 3, "group_size": 128 }""", "quantization_config.bits", "expected 4 or 8, found 3");
        yield return new TestCaseData("""{ "quant_method": "gptq", "bits": 1000, "group_size": 128 }""", "quantization_config.bits", "found 1000");
        yield return new TestCaseData("""{ "quant_method": "gptq", "bits": 4, "group_size": 0 }""", "quantization_config.group_size", "expected -1 or an integer from 1, found 0");
        yield return new TestCaseData("""{ "quant_method": "gptq", "bits": 4 }""", "quantization_config.group_size", "the field is missing");
        yield return new TestCaseData("""{ "quant_method": "gptq", "bits": 4, "group_size": 32, "checkpoint_format": "marlin" }""", "quantization_config.checkpoint_format", "found \"marlin\"");
        yield return new TestCaseData("""{ "quant_method": "gptq", "bits": 4, "group_size": 32, "is_marlin_format": true }""", "quantization_config.is_marlin_format", "found true");
        yield return new TestCaseData("""{ "quant_method": "gptq", "bits": 4, "group_size": 32, "dynamic": { "-:lm": {}, "+:.*down": { "bits": 8 } } }""", "quantization_config.dynamic.+:.*down", "other settings");
        yield return new TestCaseData("""{ "quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemv" }""", "quantization_config.version", "found \"gemv\"");
        yield return new TestCaseData("""{ "quant_method": "awq", "bits": 8, "group_size": 32 }""", "quantization_config.bits", "found 8");
        yield return new TestCaseData("""{ "quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": false }""", "quantization_config.zero_point", "found false");
        yield return new TestCaseData("""{ "quant_method": "fp8", "fmt": "e5m2" }""", "quantization_config.fmt", "found \"e5m2\"");
        yield return new TestCaseData("""{ "quant_method": "fp8", "weight_block_size": [128] }""", "quantization_config.weight_block_size", "rows and columns");
        yield return new TestCaseData("""{ "quant_method": "fp8", "weight_block_size": [0, 128] }""", "quantization_config.weight_block_size", "found 0");
        yield return new TestCaseData("""{ "quant_method": "compressed-tensors" }""", "quantization_config.config_groups", "missing");
        foreach (string format in (string[])["nvfp4-pack-quantized", "mxfp4-pack-quantized", "marlin-24"])
            yield return new TestCaseData(Compressed($"\"format\": \"{format}\"", "\"num_bits\": 4"), "quantization_config.format", $"found \"{format}\"");
        yield return new TestCaseData(Compressed("\"version\": 1", "\"num_bits\": 4"), "quantization_config.format", "the field is missing");
        yield return new TestCaseData(Compressed("\"format\": \"pack-quantized\"", "\"num_bits\": 3, \"group_size\": 32"), "quantization_config.config_groups.g.weights.num_bits", "expected 4 or 8, found 3");
        yield return new TestCaseData(Compressed("\"format\": \"int-quantized\"", "\"num_bits\": 4"), "quantization_config.config_groups.g.weights.num_bits", "expected 8, found 4");
        yield return new TestCaseData(Compressed("\"format\": \"float-quantized\"", "\"num_bits\": 8, \"type\": \"int\""), "quantization_config.config_groups.g.weights.type", "found \"int\"");
        yield return new TestCaseData(Compressed("\"format\": \"pack-quantized\"", "\"num_bits\": 4, \"strategy\": \"tensor_group\""), "quantization_config.config_groups.g.weights.strategy", "found \"tensor_group\"");
        yield return new TestCaseData(Compressed("\"format\": \"pack-quantized\", \"sparsity_config\": { \"format\": \"sparse-24-bitmask\" }", "\"num_bits\": 4"), "quantization_config.sparsity_config.format", "found \"sparse-24-bitmask\"");
        yield return new TestCaseData(Compressed("\"format\": \"pack-quantized\", \"transform_config\": { \"config_groups\": { \"R1\": {} } }", "\"num_bits\": 4"), "quantization_config.transform_config", "expected no transforms");
        yield return new TestCaseData(Compressed("\"format\": \"pack-quantized\"", "\"num_bits\": 4", "\"re:(\""), "quantization_config.config_groups.g.targets", "regular expressions");
    }

    private static IEnumerable<TestCaseData> Damage()
    {
        yield return Case("gptq, no scales", Gptq, Layer().Gptq(4, 32, false), "scales", null, "found none of this name");
        yield return Case("gptq, without a configuration", "null", Layer().Gptq(4, 32, false), "weight", null, "found none of this name, but layer.qweight, which config.json's quantization_config must describe");
        yield return Case("gptq, scales of fewer groups", Gptq, Layer().Gptq(4, 32, false), "scales", Numbers("F16", 1, 16), "expected shape [2, 16], found [1, 16]");
        yield return Case("gptq, scales of integers", Gptq, Layer().Gptq(4, 32, false), "scales", WrittenTensor.Of("I32", new int[32], 2, 16), "expected F32, F16 or BF16, found I32");
        yield return Case("gptq, scales NaN", Gptq, Layer().Gptq(4, 32, false), "scales", WrittenTensor.Of("F16", Enumerable.Repeat(Half.NaN, 32).ToArray(), 2, 16), "expected finite numbers, found NaN as element 0");
        yield return Case("gptq, scales infinite", Gptq, Layer().Gptq(4, 32, false), "scales", WrittenTensor.Of("F16", Enumerable.Repeat(Half.PositiveInfinity, 32).ToArray(), 2, 16), "expected finite numbers");
        yield return Case("gptq, codes of another shape", Gptq, Layer().Gptq(4, 32, false), "qweight", WrittenTensor.Of("I32", new int[64], 4, 16), "expected shape [8, 16], found [4, 16]");
        yield return Case("gptq, codes of bytes", Gptq, Layer().Gptq(4, 32, false), "qweight", WrittenTensor.Of("U8", new byte[128], 8, 16), "expected I32, found U8");
        yield return Case("gptq, zeros of another shape", Gptq, Layer().Gptq(4, 32, false), "qzeros", WrittenTensor.Of("I32", new int[2], 1, 2), "expected shape [2, 2], found [1, 2]");
        yield return Case("gptq, a group too high", Gptq, Layer().Gptq(4, 32, false), "g_idx", WrittenTensor.Of("I32", Enumerable.Repeat(2, 64).ToArray(), 64), "expected groups from 0 to 1, found 2 for column 0");
        yield return Case("gptq, a negative group", Gptq, Layer().Gptq(4, 32, false), "g_idx", WrittenTensor.Of("I32", Enumerable.Repeat(-1, 64).ToArray(), 64), "found -1 for column 0");
        yield return Case("gptq, groups of fewer columns", Gptq, Layer().Gptq(4, 32, false), "g_idx", WrittenTensor.Of("I32", new int[8], 8), "expected shape [64], found [8]");
        yield return Case("gptq, act-order without groups", Gptq.Replace("{", "{ \"desc_act\": true, "), Layer().Gptq(4, 32, false), "g_idx", null, "found none of this name");
        yield return Case("awq, zeros missing", """{ "quant_method": "awq", "bits": 4, "group_size": 32 }""", Layer().Awq(32), "qzeros", null, "found none of this name");
        yield return Case("fp8, no scale", Fp8, Layer().Fp8("weight_scale", "F32", 0, 0), "weight_scale", null, "found none of this name");
        yield return Case("fp8, scales of some rows", Fp8, Layer().Fp8("weight_scale", "F32", 0, 0), "weight_scale", Numbers("F32", 3), "expected 1 or 16 numbers, found shape [3]");
        yield return Case("fp8, as many scales of blocks as rows", Fp8, Layer().Fp8("weight_scale", "F32", 0, 0), "weight_scale", Numbers("F32", 4, 4), "expected 1 or 16 numbers, found shape [4, 4]");
        yield return Case("fp8, codes NaN", Fp8, Layer().Fp8("weight_scale", "F32", 0, 0), "weight", WrittenTensor.Of("F8_E4M3", Enumerable.Repeat((byte)0xFF, 1024).ToArray(), 16, 64), "expected numbers, found NaN in row");
        yield return Case("fp8, codes of another shape", Fp8, Layer().Fp8("weight_scale", "F32", 0, 0), "weight", WrittenTensor.Of("F8_E4M3", new byte[64], 1, 64), "expected shape [16, 64], found [1, 64]");
        yield return Case("fp8, fewer blocks", Blocks, Layer().Fp8("weight_scale_inv", "F32", 32, 32), "weight_scale_inv", Numbers("F32", 1, 1), "expected shape [1, 2], found [1, 1]");
        yield return Case("compressed, another shape", Packed, Layer().Packed(4, 32, false), "weight_shape", WrittenTensor.Of("I64", new long[] { 16, 65 }, 2), "expected [16, 64], found [16, 65]");
        yield return Case("compressed, zeros of another shape", Packed, Layer().Packed(4, 32, false), "weight_zero_point", WrittenTensor.Of("I32", new int[16], 8, 2), "expected shape [2, 2], found [8, 2]");
        yield return Case("compressed, zeros out of range", Packed, Layer().Packed(4, 32, false, zerosInBytes: true), "weight_zero_point", WrittenTensor.Of("I8", Enumerable.Repeat((sbyte)100, 32).ToArray(), 16, 2), "expected -8 to 7, found 100 for row 0");
        yield return Case("compressed, some columns of no group", Packed, Layer().Packed(4, 32, false), "weight_g_idx", WrittenTensor.Of("I32", Enumerable.Range(0, 64).Select(column => column - 1).ToArray(), 64), "found -1 for column 0");
        yield return Case("compressed, no group", Packed.Replace("Linear", "re:other"), Layer().Packed(4, 32, false), "weight_packed", Layer().Packed(4, 32, false).Tensors["weight_packed"], "config_groups");
        yield return Case("bitsandbytes, state no JSON", BitsAndBytes, Layer().Float4("nf4", 64), State, Text("{"), "found malformed JSON");
        yield return Case("bitsandbytes, state of another shape", BitsAndBytes, Layer().Float4("nf4", 64), State, Text("""{ "shape": [64, 16], "blocksize": 64 }"""), "expected [16, 64], found [64, 16]", $"{State}.shape");
        WrittenLayer large = Layer().Float4("nf4", 64, nested: true);
        large.Tensors["weight.nested_quant_map"] = WrittenTensor.Of("F32", Enumerable.Repeat(2f, 256).ToArray(), 256);
        yield return Case("bitsandbytes, scales beyond all numbers", BitsAndBytes, large, "weight.nested_absmax", WrittenTensor.Of("F32", new[] { 3e38f }, 1), "expected finite scales, found ");
        yield return Case("bitsandbytes, codes of 8 bits in another layout", BitsAndBytes, Layer().RowInt8(), "weight_format", WrittenTensor.Of("U8", new byte[] { 2 }, 1), "expected 0, codes row by row, found 2");
        yield return Case("bitsandbytes, runs of nothing", BitsAndBytes, Layer().Float4("nf4", 64), State, Text("""{ "shape": [16, 64], "blocksize": 0 }"""), "found 0", $"{State}.blocksize");
        yield return Case("bitsandbytes, fewer scales", BitsAndBytes, Layer().Float4("nf4", 64), "weight.absmax", Numbers("F32", 15), "expected shape [16], found [15]");
        yield return Case("bitsandbytes, fewer codes", BitsAndBytes, Layer().Float4("nf4", 64), "weight", WrittenTensor.Of("U8", new byte[511], 511, 1), "expected 512 bytes for [16, 64], found 511");
        yield return Case("bitsandbytes, other values", BitsAndBytes, Layer().Float4("nf4", 64), "weight.quant_map", Numbers("F32", 16), "expected -1 as value 0, found 0");
    }

    private const string State = "weight.quant_state.bitsandbytes__nf4";

    [TestCaseSource(nameof(Configurations))]
    public void Schemes_that_are_not_supported(string configuration, string field, string message)
    {
        using QuantisedFolder folder = new(configuration, Layer().Gptq(4, 32, false));
        ModelLoadException error = Assert.Throws<ModelLoadException>(() => folder.Open().Dispose())!;
        Assert.That(error.Field, Is.EqualTo(field));
        Assert.That(error.Message, Does.Contain(message));
    }

    [TestCaseSource(nameof(Damage))]
    public void Damaged_layers(string configuration, object layer, string field, string message)
    {
        using QuantisedFolder folder = new(configuration, (WrittenLayer)layer);
        ModelLoadException error = Assert.Throws<ModelLoadException>(() => folder.Read(16, 64))!;
        Assert.That(error.Field, Is.EqualTo($"layer.{field}"));
        Assert.That(error.Message, Does.Contain(message));
    }

    private static WrittenLayer Layer() => new(16, 64);

    private static WrittenTensor Numbers(string type, params long[] shape)
    {
        int count = (int)shape.Aggregate((a, b) => a * b);
        return new WrittenTensor(type, shape, new byte[count * (type == "F32" ? 4 : 2)]);
    }

    private static WrittenTensor Text(string json) => WrittenTensor.Of("U8", Encoding.UTF8.GetBytes(json), Encoding.UTF8.GetByteCount(json));

    private static TestCaseData Case(string name, string configuration, WrittenLayer layer, string tensor, WrittenTensor? replaced, string message, string? field = null)
    {
        if (replaced is null) layer.Tensors.Remove(tensor);
        else layer.Tensors[tensor] = replaced;
        return new TestCaseData(configuration, layer, field ?? tensor, message).SetArgDisplayNames(name);
    }

    private static string Compressed(string more, string weights, string target = "\"Linear\"") =>
        $$"""{ "quant_method": "compressed-tensors", {{more}}, "config_groups": { "g": { "targets": [{{target}}], "weights": { {{weights}} } } } }""";
}
