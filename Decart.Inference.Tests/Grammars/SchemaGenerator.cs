using System.Globalization;
using System.Text.Json.Nodes;

namespace Decart.Inference.Tests.Grammars;

/// <summary>Random schemas of the supported keywords, and for each of them values that match it.</summary>
internal sealed class SchemaGenerator(Random random)
{
    private const int MaxDepth = 3;

    private static readonly (string Pattern, Func<Random, string> Value)[] Patterns =
    [
        ("^[a-c]{2,5}$", random => Letters(random, "abc", 2, 5)),
        ("^\\d{3}-[A-F]+$", random => $"{random.Next(100, 1000)}-{Letters(random, "ABCDEF", 1, 6)}"),
        ("x", random => Letters(random, "ab", 0, 3) + "x" + Letters(random, "cdx", 0, 3)),
        ("^(?=.*[A-Z]).+$", random => Letters(random, "ab", 0, 3) + "Q" + Letters(random, "cdx", 0, 3)),
        ("^(\\\\|\"|é|日)+$", random => Letters(random, "\\\"é日", 1, 4)),
        ("(foo|bar)$", random => Letters(random, "xyz", 0, 4) + (random.Next(2) == 0 ? "foo" : "bar")),
    ];

    private static readonly (string Format, Func<Random, string> Value)[] Formats =
    [
        ("date", random => new DateOnly(random.Next(1, 9999), 1, 1).AddDays(random.Next(364)).ToString("O", CultureInfo.InvariantCulture)),
        ("time", random => $"{random.Next(24):00}:{random.Next(60):00}:{random.Next(60):00}{(random.Next(2) == 0 ? "Z" : "+01:30")}"),
        ("date-time", random => $"2024-02-29T{random.Next(24):00}:{random.Next(60):00}:00.{random.Next(1000):000}-05:00"),
        ("uuid", _ => Guid.NewGuid().ToString()),
        ("email", random => $"{Letters(random, "abc.", 1, 1, "x")}y@{Letters(random, "abc", 1, 5)}.example.org"),
        ("ipv4", random => $"{random.Next(256)}.{random.Next(256)}.{random.Next(256)}.{random.Next(256)}"),
        ("ipv6", random => random.Next(3) switch { 0 => "::1", 1 => "2001:db8::ff00:42:8329", _ => "1:2:3:4:5:6:7:8" }),
        ("uri", random => $"https://example.org:8080/{Letters(random, "ab", 0, 4)}?q={Letters(random, "ab", 0, 3)}#top"),
        ("hostname", random => $"{Letters(random, "abc", 1, 9)}.org"),
        ("duration", random => $"P{random.Next(1, 9)}DT{random.Next(1, 9)}H"),
    ];

    private static readonly string[] Names = ["name", "né\"m", "", "a/b~c", "value"];

    private readonly Dictionary<JsonNode, Func<JsonNode?>> _values = new(ReferenceEqualityComparer.Instance);
    private JsonObject? _tree;

    /// <summary>A schema.</summary>
    public JsonObject Schema()
    {
        JsonObject schema = Any(MaxDepth);
        if (_tree is not null) schema["$defs"] = new JsonObject { ["tree"] = _tree };
        return schema;
    }

    /// <summary>A value that matches a schema of this generator.</summary>
    public JsonNode? Value(JsonNode schema) => _values[schema]();

    private JsonObject Any(int depth) => random.Next(depth > 0 ? 15 : 8) switch
    {
        0 or 1 => String(),
        2 => Integer(),
        3 => Number(),
        4 => With(new JsonObject { ["type"] = "boolean" }, () => random.Next(2) == 0),
        5 => With(new JsonObject { ["type"] = "null" }, () => null),
        6 => Enumeration(),
        7 => TypeList(),
        8 or 9 => Array(depth),
        10 or 11 or 12 => Object(depth),
        13 => Alternatives(depth),
        _ => random.Next(2) == 0 ? AllOf() : Tree(),
    };

    private JsonObject With(JsonObject schema, Func<JsonNode?> value)
    {
        _values.Add(schema, value);
        return schema;
    }

    private bool Flip() => random.Next(2) == 0;

    private JsonObject String()
    {
        JsonObject schema = new() { ["type"] = "string" };
        switch (random.Next(4))
        {
            case 0:
                (string pattern, Func<Random, string> matching) = Patterns[random.Next(Patterns.Length)];
                schema["pattern"] = pattern;
                return With(schema, () => matching(random));
            case 1:
                (string format, Func<Random, string> formatted) = Formats[random.Next(Formats.Length)];
                schema["format"] = format;
                return With(schema, () => formatted(random));
            case 2:
                int min = random.Next(4), max = min + random.Next(12);
                if (Flip()) schema["minLength"] = min;
                else min = 0;
                schema["maxLength"] = max;
                return With(schema, () => Letters(random, "aé日😀\"\\\n ", min, max));
            default:
                return With(schema, () => Letters(random, "aé日😀\"\\\n\t ", 0, 20));
        }
    }

    private JsonObject Integer()
    {
        JsonObject schema = new() { ["type"] = "integer" };
        long min = -1000, max = 1000;
        if (Flip()) schema["minimum"] = min = random.NextInt64(-2_000_000, 2_000_000);
        if (Flip()) schema["exclusiveMaximum"] = (max = Math.Max(min, 0) + random.Next(200)) + 1;
        else max = Math.Max(max, min + 100);
        if (random.Next(4) > 0) return With(schema, () => random.NextInt64(min, max + 1));
        int divisor = random.Next(1, 30);
        long first = (long)Math.Ceiling(min / (double)divisor) * divisor;
        if (first > max) return With(schema, () => random.NextInt64(min, max + 1));
        schema["multipleOf"] = divisor;
        return With(schema, () => first + (random.NextInt64((max - first) / divisor + 1) * divisor));
    }

    private JsonObject Number()
    {
        JsonObject schema = new() { ["type"] = "number" };
        decimal min = -1000, max = 1000;
        if (Flip()) schema["minimum"] = min = random.Next(-2000, 2000) / 100m;
        if (Flip()) schema["maximum"] = max = Math.Max(min, 0) + (random.Next(1, 5000) / 1000m);
        else max = Math.Max(max, min + 100);
        decimal lowest = Math.Ceiling(min * 100) / 100;
        return With(schema, () => Math.Min(max, lowest + (random.Next((int)((max - lowest) * 100) + 1) / 100m)));
    }

    private JsonObject Enumeration()
    {
        JsonArray values = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => Constant())];
        JsonObject schema = random.Next(3) == 0 ? new JsonObject { ["const"] = values[0]?.DeepClone() } : new JsonObject { ["enum"] = values };
        return With(schema, () => schema.ContainsKey("const") ? schema["const"]?.DeepClone() : values[random.Next(values.Count)]?.DeepClone());
    }

    private JsonNode? Constant() => random.Next(7) switch
    {
        0 => null,
        1 => Flip(),
        2 => random.Next(-50, 50),
        3 => random.Next(1000) / 8m,
        4 => Letters(random, "ab\"é", 0, 6),
        5 => new JsonArray(1, "two"),
        _ => new JsonObject { ["a"] = 1, ["b"] = new JsonArray() },
    };

    private JsonObject TypeList()
    {
        JsonObject schema = new() { ["type"] = new JsonArray("string", "integer", "null"), ["maxLength"] = 5, ["minimum"] = 3 };
        return With(schema, () => random.Next(3) switch { 0 => null, 1 => random.Next(3, 99), _ => Letters(random, "ab", 0, 5) });
    }

    private JsonObject Array(int depth)
    {
        JsonObject schema = new() { ["type"] = "array" }, items = Any(depth - 1);
        JsonObject[] prefix = [.. Enumerable.Range(0, random.Next(3)).Select(_ => Any(depth - 1))];
        bool isClosed = prefix.Length > 0 && Flip();
        schema["items"] = isClosed ? false : items;
        if (prefix.Length > 0) schema["prefixItems"] = new JsonArray([.. prefix]);
        int min = random.Next(isClosed ? prefix.Length + 1 : 4), max = isClosed ? prefix.Length : min + random.Next(4);
        if (Flip()) schema["minItems"] = min;
        else min = 0;
        if (Flip()) schema["maxItems"] = max;
        return With(schema, () => new JsonArray([.. Enumerable.Range(0, random.Next(min, max + 1)).Select(i => Value(i < prefix.Length ? prefix[i] : items))]));
    }

    private JsonObject Object(int depth)
    {
        JsonObject schema = new() { ["type"] = "object" }, properties = [];
        Dictionary<string, JsonObject> known = [];
        foreach (string name in Names.Take(random.Next(5))) known[name] = Any(depth - 1);
        foreach ((string name, JsonObject value) in known) properties.Add(name, value);
        if (known.Count > 0) schema["properties"] = properties;
        string[] required = [.. known.Keys.Where(_ => Flip())];
        if (required.Length > 0) schema["required"] = new JsonArray([.. required.Select(name => (JsonNode)name)]);
        JsonObject? byPattern = random.Next(4) == 0 ? Any(depth - 1) : null, other = null;
        if (byPattern is not null) schema["patternProperties"] = new JsonObject { ["^x-"] = byPattern };
        int rest = random.Next(3);
        if (rest == 0) schema["additionalProperties"] = false;
        else if (rest == 1) schema["additionalProperties"] = other = Any(depth - 1);
        if (known.Count > 1 && random.Next(4) == 0)
        {
            string[] names = [.. known.Keys];
            schema["dependentRequired"] = new JsonObject { [names[0]] = new JsonArray(names[1]) };
        }
        if (random.Next(5) == 0) schema["maxProperties"] = known.Count + 2;
        if (random.Next(5) == 0 && byPattern is null && rest == 2) schema["minProperties"] = 1;
        return With(schema, () => ObjectValue(schema, known, required, byPattern, rest, other));
    }

    private JsonObject ObjectValue(JsonObject schema, Dictionary<string, JsonObject> known, string[] required, JsonObject? byPattern, int rest, JsonObject? other)
    {
        Dictionary<string, JsonNode?> members = [];
        foreach ((string name, JsonObject value) in known)
        {
            if (required.Contains(name) || Flip()) members[name] = Value(value);
        }
        if (schema["dependentRequired"] is JsonObject dependent)
        {
            (string first, JsonNode? second) = dependent.Single();
            if (members.ContainsKey(first)) members.TryAdd((string)second![0]!, Value(known[(string)second[0]!]));
        }
        if (byPattern is not null && Flip()) members["x-" + Letters(random, "abé", 0, 3)] = Value(byPattern);
        if (rest > 0 && (Flip() || schema.ContainsKey("minProperties"))) members["other" + Letters(random, "ab\"", 0, 2)] = rest == 1 ? Value(other!) : Constant();
        return new JsonObject(members.OrderBy(_ => random.Next()));
    }

    private JsonObject Alternatives(int depth)
    {
        if (Flip())
        {
            JsonObject[] options = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => Any(depth - 1))];
            return With(new JsonObject { ["anyOf"] = new JsonArray([.. options]) }, () => Value(options[random.Next(options.Length)]));
        }
        JsonObject[] kinds = [.. Enumerable.Range(0, random.Next(1, 4)).Select(kind => Tagged(kind, depth))];
        return With(new JsonObject { ["oneOf"] = new JsonArray([.. kinds]) }, () => Value(kinds[random.Next(kinds.Length)]));
    }

    private JsonObject Tagged(int kind, int depth)
    {
        JsonObject content = Any(depth - 1);
        JsonObject schema = new()
        {
            ["type"] = "object",
            ["properties"] = new JsonObject { ["kind"] = new JsonObject { ["const"] = $"k{kind}" }, ["content"] = content },
            ["required"] = new JsonArray("kind"),
        };
        return With(schema, () => Flip() ? new JsonObject { ["kind"] = $"k{kind}" } : new JsonObject { ["content"] = Value(content), ["kind"] = $"k{kind}" });
    }

    private JsonObject AllOf()
    {
        JsonObject schema = new()
        {
            ["allOf"] = new JsonArray(
                new JsonObject { ["type"] = "object", ["properties"] = new JsonObject { ["a"] = new JsonObject { ["type"] = "integer" } }, ["required"] = new JsonArray("a") },
                new JsonObject { ["properties"] = new JsonObject { ["a"] = new JsonObject { ["minimum"] = 5 }, ["b"] = new JsonObject { ["type"] = "string" } } },
                new JsonObject { ["anyOf"] = new JsonArray(new JsonObject { ["required"] = new JsonArray("b") }, new JsonObject { ["required"] = new JsonArray("c") }) }),
        };
        return With(schema, () => Flip() ? new JsonObject { ["b"] = "x", ["a"] = random.Next(5, 99) } : new JsonObject { ["a"] = 5, ["c"] = Constant() });
    }

    /// <summary>A recursive schema.</summary>
    private JsonObject Tree()
    {
        _tree ??= new JsonObject
        {
            ["type"] = "object",
            ["properties"] = new JsonObject
            {
                ["value"] = new JsonObject { ["type"] = "integer" },
                ["children"] = new JsonObject { ["type"] = "array", ["items"] = new JsonObject { ["$ref"] = "#/$defs/tree" } },
            },
            ["required"] = new JsonArray("value"),
            ["additionalProperties"] = false,
        };
        return With(new JsonObject { ["$ref"] = "#/$defs/tree" }, () => TreeValue(3));

        JsonObject TreeValue(int depth)
        {
            JsonObject value = new() { ["value"] = random.Next(100) };
            if (depth > 0 && Flip()) value["children"] = new JsonArray([.. Enumerable.Range(0, random.Next(3)).Select(_ => TreeValue(depth - 1))]);
            return value;
        }
    }

    private static string Letters(Random random, string alphabet, int min, int max, string prefix = "")
    {
        string[] letters = [.. alphabet.EnumerateRunes().Select(rune => rune.ToString())];
        return prefix + string.Concat(Enumerable.Range(0, random.Next(min, max + 1)).Select(_ => letters[random.Next(letters.Length)]));
    }
}
