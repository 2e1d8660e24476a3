using System.Text.Json.Nodes;
using Decart.Inference.Tests.Checkpoints;

namespace Decart.Inference.Tests.Models.Quantisation;

/// <summary>Whatever is changed in a quantised layer or its configuration, the layer is read or refused as damaged: nothing else happens.</summary>
internal sealed class QuantisedMutationTests
{
    private const int Rows = 16, Columns = 64, Mutations = 300;

    private static readonly string[] OneByte = ["U8", "I8", "F8_E4M3", "F8_E5M2", "BOOL"], TwoBytes = ["F16", "BF16", "I16", "U16"], FourBytes = ["F32", "I32", "U32"];

    private static IEnumerable<TestCaseData> Layers()
    {
        yield return Case("fp8", """{ "quant_method": "fp8", "weight_block_size": [8, 32] }""", layer => layer.Fp8("weight_scale_inv", "F32", 8, 32));
        yield return Case("gptq", """{ "quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": true, "sym": false }""", layer => layer.Gptq(4, 32, false, actOrder: true));
        yield return Case("awq", """{ "quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": true }""", layer => layer.Awq(32));
        yield return Case("packed", Compressed("pack-quantized", """{ "num_bits": 4, "type": "int", "strategy": "group", "group_size": 32, "symmetric": false }"""), layer => layer.Packed(4, 32, false));
        yield return Case("bytes", Compressed("int-quantized", """{ "num_bits": 8, "type": "int", "strategy": "channel", "symmetric": false }"""), layer => layer.Int8(symmetric: false));
        yield return Case("nf4", """{ "quant_method": "bitsandbytes", "load_in_4bit": true }""", layer => layer.Float4("nf4", 64, nested: true));
    }

    [TestCaseSource(nameof(Layers))]
    public void Layers_are_read_or_refused(string configuration, object write)
    {
        int refused = 0;
        for (int seed = 0; seed < Mutations; seed++)
        {
            Random random = new(seed);
            WrittenLayer layer = ((Func<WrittenLayer, WrittenLayer>)write)(new WrittenLayer(Rows, Columns));
            JsonNode config = JsonNode.Parse(configuration)!;
            if (seed % 3 == 0) Mutate(config.AsObject(), random);
            else Mutate(layer.Tensors, random);
            using QuantisedFolder folder = new(config.ToJsonString(), layer);
            try
            {
                folder.Read(Rows, Columns);
            }
            catch (ModelLoadException)
            {
                refused++;
            }
        }
        Assert.That(refused, Is.InRange(Mutations / 10, Mutations - 1));
    }

    private static void Mutate(Dictionary<string, WrittenTensor> tensors, Random random)
    {
        string name = tensors.Keys.Order(StringComparer.Ordinal).ElementAt(random.Next(tensors.Count));
        WrittenTensor tensor = tensors[name];
        switch (random.Next(6))
        {
            case 0:
                tensors.Remove(name);
                break;
            case 1:
                tensors[name] = tensor with { Shape = [.. tensor.Shape.Reverse()] };
                break;
            case 2:
                tensors[name] = tensor with { Shape = [tensor.Shape.Aggregate(1L, (a, b) => a * b)] };
                break;
            case 3:
                tensors[name] = tensor with { Type = OtherType(tensor.Type, random) };
                break;
            case 4:
                tensors[name] = tensor with { Shape = [0, .. tensor.Shape], Data = [] };
                break;
            default:
                byte[] data = [.. tensor.Data];
                for (int i = 0; i < 4; i++) data[random.Next(data.Length)] = (byte)random.Next(256);
                tensors[name] = tensor with { Data = data };
                break;
        }
    }

    /// <summary>Another type whose elements are as long.</summary>
    private static string OtherType(string type, Random random)
    {
        string[] types = OneByte.Contains(type) ? OneByte : TwoBytes.Contains(type) ? TwoBytes : FourBytes.Contains(type) ? FourBytes : ["U64", "F64"];
        return types[random.Next(types.Length)];
    }

    /// <summary>Replaces or removes one field, wherever it is.</summary>
    private static void Mutate(JsonObject config, Random random)
    {
        List<(JsonObject Owner, string Name)> fields = [];
        Collect(config, fields);
        (JsonObject owner, string name) = fields[random.Next(fields.Count)];
        owner[name] = random.Next(10) switch
        {
            0 => JsonValue.Create(0),
            1 => JsonValue.Create(-1),
            2 => JsonValue.Create(1),
            3 => JsonValue.Create(long.MaxValue),
            4 => JsonValue.Create(int.MaxValue),
            5 => JsonValue.Create(1.5),
            6 => JsonValue.Create("x"),
            7 => new JsonArray(1, 64),
            8 => new JsonObject(),
            _ => null,
        };
    }

    private static void Collect(JsonObject section, List<(JsonObject Owner, string Name)> fields)
    {
        foreach ((string name, JsonNode? value) in section)
        {
            fields.Add((section, name));
            if (value is JsonObject inner) Collect(inner, fields);
        }
    }

    private static string Compressed(string format, string weights) =>
        $$"""{ "quant_method": "compressed-tensors", "format": "{{format}}", "config_groups": { "g": { "targets": ["Linear"], "weights": {{weights}} } } }""";

    private static TestCaseData Case(string name, string configuration, Func<WrittenLayer, WrittenLayer> write) =>
        new TestCaseData(configuration, write).SetArgDisplayNames(name);
}
