using System.Text.Json.Nodes;

namespace Decart.Inference.Benchmarks.Throughput;

/// <summary>A schema of many properties, of all kinds.</summary>
internal static class PropertySchema
{
    /// <summary>How many.</summary>
    public const int Count = 100;

    public static JsonObject Create(bool areRequired)
    {
        JsonObject properties = [];
        for (int i = 0; i < Count; i++)
        {
            properties[$"property_{i}"] = (i % 6) switch
            {
                0 => new JsonObject { ["type"] = "string" },
                1 => new JsonObject { ["type"] = "integer" },
                2 => new JsonObject { ["type"] = "number" },
                3 => new JsonObject { ["enum"] = new JsonArray("red", "green", "blue") },
                4 => new JsonObject { ["type"] = "array", ["items"] = new JsonObject { ["type"] = "string" } },
                _ => new JsonObject { ["type"] = "string", ["maxLength"] = 40 },
            };
        }
        JsonObject schema = new() { ["type"] = "object", ["properties"] = properties, ["additionalProperties"] = false };
        if (areRequired) schema["required"] = new JsonArray([.. properties.Select(property => (JsonNode)property.Key)]);
        return schema;
    }
}
