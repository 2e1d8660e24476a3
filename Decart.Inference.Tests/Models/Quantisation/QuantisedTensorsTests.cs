using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu.Formats;

namespace Decart.Inference.Tests.Models.Quantisation;

/// <summary>Every scheme gives the weights that its tensors stand for, each rounded to float32 once, in the smallest blocks that hold them.</summary>
internal sealed class QuantisedTensorsTests
{
    private static IEnumerable<TestCaseData> Fp8()
    {
        const string Tensor = """{ "quant_method": "fp8", "activation_scheme": "static" }""";
        const string Block = """{ "quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3", "weight_block_size": [128, 128] }""";
        yield return Case("one scale", Tensor, new WrittenLayer(48, 256).Fp8("weight_scale", "F32", 0, 0, []), TensorType.E4M3x64);
        yield return Case("one scale in a vector", Tensor, new WrittenLayer(7, 64).Fp8("weight_scale", "BF16", 0, 0, [1]), TensorType.E4M3x64);
        yield return Case("a scale a row", Tensor, new WrittenLayer(35, 96).Fp8("weight_scale", "F32", 1, 0, [35, 1]), TensorType.E4M3x32);
        yield return Case("rows of 50", Tensor, new WrittenLayer(9, 50).Fp8("weight_scale", "F32", 0, 0, []), TensorType.F32);
        yield return Case("blocks", Block, new WrittenLayer(256, 384).Fp8("weight_scale_inv", "F32", 128, 128), TensorType.E4M3x64);
        yield return Case("blocks that are cut off", Block, new WrittenLayer(130, 576).Fp8("weight_scale_inv", "BF16", 128, 128), TensorType.E4M3x64);
    }

    private static IEnumerable<TestCaseData> Gptq()
    {
        foreach ((int bits, int group, TensorType type) in ((int, int, TensorType)[])
            [(4, 32, TensorType.Int4x32), (4, 64, TensorType.Int4x64), (4, 128, TensorType.Int4x64), (4, -1, TensorType.Int4x64), (4, 16, TensorType.F32),
             (8, 32, TensorType.Int8x32), (8, 128, TensorType.Int8x64), (8, -1, TensorType.Int8x64)])
        {
            foreach (bool symmetric in (bool[])[true, false])
                yield return Case($"{bits} bits, groups of {group}, symmetric {symmetric}", Configuration(bits, group), new WrittenLayer(40, 256).Gptq(bits, group, symmetric), type);
        }
        yield return Case("act-order", Configuration(4, 64, "\"desc_act\": true,"), new WrittenLayer(24, 256).Gptq(4, 64, false, actOrder: true), TensorType.Int4x64);
        yield return Case("act-order, groups of 16", Configuration(4, 16, "\"desc_act\": true,"), new WrittenLayer(24, 64).Gptq(4, 16, false, actOrder: true), TensorType.F32);
        yield return Case("second version", Configuration(4, 64, "\"checkpoint_format\": \"gptq_v2\","), new WrittenLayer(24, 128).Gptq(4, 64, false, second: true), TensorType.Int4x64);
        yield return Case("scales of float32", Configuration(4, 64), new WrittenLayer(24, 128).Gptq(4, 64, false, scaleType: "F32"), TensorType.Int8x64);
        yield return Case("a last group that is shorter", Configuration(4, 128), new WrittenLayer(16, 192).Gptq(4, 128, false), TensorType.Int4x64);
        yield return Case("rows of 40", Configuration(4, 32), new WrittenLayer(13, 40).Gptq(4, 32, false), TensorType.F32);

        static string Configuration(int bits, int group, string more = "") => $$"""{ "quant_method": "gptq", {{more}} "bits": {{bits}}, "group_size": {{group}}, "sym": false }""";
    }

    private static IEnumerable<TestCaseData> Awq()
    {
        foreach ((int group, TensorType type) in ((int, TensorType)[])[(32, TensorType.Int4x32), (64, TensorType.Int4x64), (128, TensorType.Int4x64), (-1, TensorType.Int4x64)])
        {
            yield return Case($"groups of {group}", $$"""{ "quant_method": "awq", "bits": 4, "group_size": {{group}}, "zero_point": true, "version": "gemm" }""", new WrittenLayer(40, 256).Awq(group), type);
        }
    }

    private static IEnumerable<TestCaseData> Compressed()
    {
        yield return Case("4 bits, groups", Configuration("pack-quantized", 4, "int", "group", "\"group_size\": 128"), new WrittenLayer(20, 256).Packed(4, 128, true), TensorType.Int4x64);
        yield return Case("4 bits, zeros", Configuration("pack-quantized", 4, "int", "group", "\"group_size\": 32, \"symmetric\": false"), new WrittenLayer(21, 96).Packed(4, 32, false), TensorType.Int4x32);
        yield return Case("4 bits, zeros in bytes", Configuration("pack-quantized", 4, "int", "group", "\"group_size\": 32, \"symmetric\": false"), new WrittenLayer(21, 96).Packed(4, 32, false, zerosInBytes: true), TensorType.Int4x32);
        yield return Case("4 bits, rows", Configuration("pack-quantized", 4, "int", "channel"), new WrittenLayer(5, 192).Packed(4, -1, true, scaleType: "F16"), TensorType.Int4x64);
        yield return Case("4 bits, rows of 45", Configuration("pack-quantized", 4, "int", "channel"), new WrittenLayer(5, 45).Packed(4, -1, true), TensorType.F32);
        yield return Case("4 bits, scattered groups", Configuration("pack-quantized", 4, "int", "group", "\"group_size\": 64, \"actorder\": \"group\""), new WrittenLayer(20, 128).Packed(4, 64, true, scattered: true), TensorType.Int4x64);
        foreach (string order in (string[])["\"dynamic\"", "\"GROUP\"", "true", "null"])
            yield return Case($"4 bits, scattered groups, actorder {order}", Configuration("pack-quantized", 4, "int", "group", $"\"group_size\": 64, \"actorder\": {order}"), new WrittenLayer(20, 128).Packed(4, 64, true, scattered: true), TensorType.Int4x64);
        yield return Case("4 bits, groups of no column", Configuration("pack-quantized", 4, "int", "group", "\"group_size\": 64, \"actorder\": \"group\""), new WrittenLayer(20, 128).Packed(4, 64, true).Unset("weight_g_idx"), TensorType.Int4x64);
        yield return Case("8 bits", Configuration("pack-quantized", 8, "int", "group", "\"group_size\": 64, \"symmetric\": false"), new WrittenLayer(20, 128).Packed(8, 64, false), TensorType.Int8x64);
        yield return Case("floats, rows", Configuration("float-quantized", 8, "float", "channel"), new WrittenLayer(20, 128).Fp8("weight_scale", "BF16", 1, 0), TensorType.E4M3x64);
        yield return Case("floats, one scale", Configuration("float-quantized", 8, "float", "tensor"), new WrittenLayer(20, 128).Fp8("weight_scale", "F32", 0, 0, [1]), TensorType.E4M3x64);
        yield return Case("floats, blocks", Configuration("float-quantized", 8, "float", "block", "\"block_structure\": [64, 32]"), new WrittenLayer(100, 96).Fp8("weight_scale", "BF16", 64, 32), TensorType.E4M3x32);
        yield return Case("integers, rows", Configuration("int-quantized", 8, "int", "channel"), new WrittenLayer(20, 128).Int8(), TensorType.Int8x64);
        yield return Case("integers, one zero", Configuration("int-quantized", 8, "int", "tensor", "\"symmetric\": false"), new WrittenLayer(20, 64).Int8(symmetric: false, whole: true), TensorType.Int8x64);
        yield return Case("integers, scattered groups", Configuration("int-quantized", 8, "int", "group", "\"group_size\": 64, \"actorder\": \"group\""), new WrittenLayer(20, 192).ScatteredBytes(floats: false, 64), TensorType.Int8x64);
        yield return Case("floats, scattered groups", Configuration("float-quantized", 8, "float", "group", "\"group_size\": 64"), new WrittenLayer(20, 192).ScatteredBytes(floats: true, 64), TensorType.E4M3x64);
        yield return Case("integers, zeros", Configuration("int-quantized", 8, "int", "channel", "\"symmetric\": false"), new WrittenLayer(20, 64).Int8(symmetric: false), TensorType.Int8x64);
    }

    /// <summary>Of several groups the one counts that is meant for a layer most closely, whatever their order.</summary>
    private static IEnumerable<TestCaseData> Groups()
    {
        const string All = """
            "g": { "targets": ["Linear"], "weights": { "num_bits": 4, "group_size": 32, "symmetric": true } }
            """;
        foreach (string target in (string[])["re:.*ay.*", "layer"])
        {
            string own = $$"""
                "h": { "targets": ["{{target}}"], "weights": { "num_bits": 8, "group_size": 64, "symmetric": false } }
                """;
            foreach (string groups in (string[])[$"{All}, {own}", $"{own}, {All}"])
                yield return Case($"{target}, {groups[1]}", $$"""{ "quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": { {{groups}} } }""", new WrittenLayer(20, 128).Packed(8, 64, false), TensorType.Int8x64);
        }
    }

    private static IEnumerable<TestCaseData> BitsAndBytes()
    {
        const string Four = """{ "quant_method": "bitsandbytes", "load_in_4bit": true }""", Eight = """{ "quant_method": "bitsandbytes", "load_in_8bit": true }""";
        yield return Case("NF4", Four, new WrittenLayer(24, 192).Float4("nf4", 64), TensorType.NF4x64);
        yield return Case("NF4, scales quantised", Four, new WrittenLayer(70, 320).Float4("nf4", 64, nested: true), TensorType.NF4x64);
        yield return Case("FP4", Four, new WrittenLayer(24, 128).Float4("fp4", 128), TensorType.FP4x64);
        yield return Case("runs of several rows", Four, new WrittenLayer(24, 32).Float4("nf4", 64), TensorType.F32);
        yield return Case("runs that end within rows", Four, new WrittenLayer(7, 99).Float4("nf4", 64, nested: true), TensorType.F32);
        yield return Case("8 bits", Eight, new WrittenLayer(24, 96).RowInt8(), TensorType.Int8x32);
        yield return Case("8 bits, without a method", """{ "load_in_8bit": true }""", new WrittenLayer(24, 96).RowInt8(), TensorType.Int8x32);
    }

    [TestCaseSource(nameof(Fp8))]
    [TestCaseSource(nameof(Gptq))]
    [TestCaseSource(nameof(Awq))]
    [TestCaseSource(nameof(Compressed))]
    [TestCaseSource(nameof(Groups))]
    [TestCaseSource(nameof(BitsAndBytes))]
    public void Weights_are_those_that_the_tensors_stand_for(string configuration, object layer, TensorType type)
    {
        WrittenLayer written = (WrittenLayer)layer;
        using QuantisedFolder folder = new(configuration, written);
        (TensorType found, float[][] rows) = folder.Read(written.Rows, written.Columns);
        Assert.That(found, Is.EqualTo(type));
        for (int row = 0; row < rows.Length; row++) Assert.That(rows[row], Is.EqualTo(Array.ConvertAll(written.Expected[row], weight => (float)weight)), $"row {row}");
    }

    /// <summary>A folder whose configuration says nothing is read as any other, up to its codes.</summary>
    [Test]
    public void Codes_that_nothing_describes_are_no_weights()
    {
        using QuantisedFolder folder = new("null", new WrittenLayer(16, 64).Fp8("weight_scale", "F32", 0, 0));
        using TensorSource source = folder.Open();
        StoredTensor codes = source.Require("layer.weight", 16, 64);
        Assert.That(() => WeightParts.CheckType("folder", codes), Throws.TypeOf<ModelLoadException>().With.Message.Contains("found F8E4M3, which the quantization_config"));
    }

    /// <summary>What kernels multiply codes and zeros of 4 bits by has to stay finite.</summary>
    [Test]
    public void Scales_of_blocks_of_4_bits_leave_products_finite()
    {
        float large = MathF.ScaleB(1, 122);
        Assert.That(Int4Header.Fits(large));
        Assert.That(Int4Header.Fits(4 * large), Is.False);
    }

    private static string Configuration(string format, int bits, string type, string strategy, string more = "\"symmetric\": true") => $$"""
        { "quant_method": "compressed-tensors", "format": "{{format}}", "ignore": ["lm_head"], "config_groups": { "group_0": { "targets": ["Linear"],
          "weights": { "num_bits": {{bits}}, "type": "{{type}}", "strategy": "{{strategy}}", {{more}} }, "input_activations": null } } }
        """;

    private static TestCaseData Case(string name, string configuration, WrittenLayer layer, TensorType type) =>
        new TestCaseData(configuration, layer, type).SetArgDisplayNames(name);
}
