using System.Diagnostics;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Decart.Inference.Grammars;
using FsCheck;
using FsCheck.Fluent;
using Json.Schema;

namespace Decart.Inference.Tests.Grammars;

/// <summary>What matches a schema can be generated, and nothing else: judged by examples and by JsonSchema.Net.</summary>
internal sealed class JsonSchemaTests
{
    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly EvaluationOptions WithFormats = new() { RequireFormatValidation = true };

    private static IEnumerable<TestCaseData> Examples()
    {
        yield return Case("""{"type":"integer"}""", ["0", "-7", "9223372036854775807"], ["1.0", "01", "\"1\"", "9223372036854775808"]);
        yield return Case("""{"type":"integer","minimum":3,"maximum":120}""", ["3", "99", "120"], ["2", "121", "-5", "1200"]);
        yield return Case("""{"type":"integer","exclusiveMinimum":-12,"exclusiveMaximum":-3}""", ["-11", "-4"], ["-12", "-3", "4"]);
        yield return Case("""{"type":"integer","minimum":1.5,"multipleOf":7}""", ["7", "14", "700"], ["1", "0", "8"]);
        yield return Case("""{"type":"integer","maximum":100000000000000000000000}""", ["-9223372036854775808", "100000000000000000000000"], ["100000000000000000000001"]);
        yield return Case("""{"type":"integer","format":"int32"}""", ["2147483647", "-2147483648"], ["2147483648"]);
        yield return Case("""{"type":"number"}""", ["1", "-0.5", "6.02e23", "1e300"], ["1e400", ".5", "+1"]);
        yield return Case("""{"type":"number","minimum":0.25,"exclusiveMaximum":3}""", ["0.25", "0.3", "2.999", "1", "2"], ["0.2", "0.249", "3", "3.0", "-1"]);
        yield return Case("""{"type":"number","minimum":-1.5,"maximum":-0.05}""", ["-1.5", "-1", "-0.05", "-0.1"], ["-1.51", "-0.04", "0", "1"]);
        yield return Case("""{"type":"number","exclusiveMinimum":0}""", ["0.001", "12"], ["0", "0.00", "-1"]);
        yield return Case("""{"type":"number","minimum":1e300,"maximum":1.5e300}""", ["1" + new string('0', 300), "12" + new string('0', 299)], ["1", "2" + new string('0', 300)]);
        yield return Case("""{"type":"number","multipleOf":0.05}""", ["0.05", "1.1", "3", "-0.15"], ["0.01", "1.11"]);
        yield return Case("""{"minimum":5}""", ["5", "\"a\"", "null", "{}"], ["4"]);
        yield return Case("""{"type":"string","minLength":2,"maxLength":3}""", ["\"ab\"", "\"é😀\"", "\"\\n\\u0041\"", "\"\\ud83d\\ude00x\""], ["\"a\"", "\"abcd\""]);
        yield return Case("""{"type":"string","pattern":"^a|b$"}""", ["\"ax\"", "\"xb\""], ["\"xa\"", "\"bx\""]);
        yield return Case("""{"type":"string","pattern":"^[\"\\\\\\n]+$"}""", ["\"\\\"\\\\\\n\""], ["\"x\""]);
        yield return Case("""{"type":"string","pattern":"^[a-z]+$","maxLength":3}""", ["\"abc\""], ["\"abcd\"", "\"\""]);
        yield return Case("""{"type":"string","format":"date"}""", ["\"2024-02-29\"", "\"2000-02-29\"", "\"2023-12-31\""], ["\"2023-02-29\"", "\"1900-02-29\"", "\"2023-04-31\"", "\"2023-13-01\""]);
        yield return Case("""{"type":"string","format":"time"}""", ["\"12:34:56Z\"", "\"23:59:60Z\"", "\"01:02:03.5+05:30\""], ["\"24:00:00Z\"", "\"12:34:60Z\"", "\"12:34\""]);
        yield return Case("""{"type":"string","format":"ipv6"}""", ["\"::\"", "\"1::8\"", "\"::ffff:1.2.3.4\""], ["\"1:2:3\"", "\":::\"", "\"1::2::3\""]);
        yield return Case("""{"type":"string","format":"hostname"}""", ["\"a-b.example\"", "\"localhost\""], ["\"-a\"", "\"a-\"", "\"a..b\""]);
        yield return Case("""{"type":"boolean"}""", ["true", "false"], ["null", "1"]);
        yield return Case("""{"type":["null","string"],"nullable":true}""", ["null", "\"\""], ["1"]);
        yield return Case("""{"type":"string","nullable":true}""", ["null", "\"\""], ["1"]);
        yield return Case("""{"enum":["a",1,null,{"x":[1]},"é\"\n"]}""", ["\"a\"", "1", "null", "{\"x\":[1]}", "{ \"x\" : [ 1 ] }", "\"é\\\"\\n\""], ["2", "{\"x\":[]}"]);
        yield return Case("""{"const":-2.0}""", ["-2.0", "-2"], ["2", "-2.1"]);
        yield return Case("""{"type":"string","enum":["ab","abc",5],"maxLength":2}""", ["\"ab\""], ["\"abc\"", "5"]);
        yield return Case("""{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":2}""", ["[1]", "[1, 2]", "[\n  1\n]"], ["[]", "[1,2,3]", "[1,]", "[\"a\"]"]);
        yield return Case("""{"prefixItems":[{"type":"integer"},{"type":"string"}],"items":false,"type":"array"}""", ["[]", "[1]", "[1,\"a\"]"], ["[\"a\"]", "[1,\"a\",2]"]);
        yield return Case("""{"items":[{"type":"integer"}],"additionalItems":{"type":"null"},"type":"array"}""", ["[1,null]", "[]"], ["[1,2]"]);
        yield return Case("""{"type":"array","maxItems":0}""", ["[]"], ["[1]"]);
        yield return Case(
            """{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"],"additionalProperties":false}""",
            ["{\"a\":1}", "{\"b\":\"\",\"a\":1}", "{ \"a\": 1 , \"b\" : \"x\" }"],
            ["{}", "{\"b\":\"\"}", "{\"a\":1,\"c\":2}", "{\"a\":1,\"a\":2}", "{\"a\":\"1\"}"]);
        yield return Case("""{"type":"object","properties":{"a":true},"additionalProperties":{"type":"null"}}""", ["{\"a\":1,\"x\":null}", "{}"], ["{\"x\":1}", "{\"x\":null,\"x\":null}"]);
        yield return Case(
            """{"type":"object","patternProperties":{"^n":{"type":"number"},"s$":{"minimum":5}},"additionalProperties":false}""",
            ["{\"n\":1}", "{\"ns\":5}", "{\"xs\":\"a\"}"],
            ["{\"ns\":4}", "{\"ns\":\"a\"}", "{\"x\":1}"]);
        yield return Case("""{"type":"object","propertyNames":{"maxLength":2,"pattern":"^[a-z]*$"},"additionalProperties":{"type":"null"}}""", ["{\"ab\":null}"], ["{\"abc\":null}", "{\"A\":null}"]);
        yield return Case("""{"type":"object","minProperties":1,"maxProperties":2,"additionalProperties":{"type":"null"}}""", ["{\"a\":null}", "{\"a\":null,\"b\":null}"], ["{}", "{\"a\":null,\"b\":null,\"c\":null}"]);
        yield return Case(
            """{"type":"object","properties":{"a":true,"b":true,"c":true},"dependentRequired":{"a":["b"]},"additionalProperties":false,"maxProperties":2}""",
            ["{}", "{\"b\":1}", "{\"a\":1,\"b\":1}", "{\"b\":1,\"a\":1}", "{\"c\":1}"],
            ["{\"a\":1}", "{\"a\":1,\"c\":1}", "{\"a\":1,\"b\":1,\"c\":1}"]);
        yield return Case("""{"type":"object","required":["x"],"properties":{"x":false}}""", [], ["{}", "{\"x\":1}"], isEmpty: true);
        yield return Case("""{"anyOf":[{"type":"string"},{"type":"integer","minimum":3}],"maxLength":2}""", ["\"ab\"", "3"], ["\"abc\"", "2"]);
        yield return Case("""{"allOf":[{"minimum":2,"type":"number"},{"maximum":4,"type":"integer"}]}""", ["2", "4"], ["1", "2.5"]);
        yield return Case("""{"oneOf":[{"type":"string"},{"type":"integer","maximum":3},{"type":"integer","minimum":5}]}""", ["\"\"", "3", "5"], ["4"]);
        yield return Case("""{"$defs":{"t":{"type":"object","properties":{"c":{"$ref":"#/$defs/t"}},"additionalProperties":false}},"$ref":"#/$defs/t"}""", ["{}", "{\"c\":{\"c\":{}}}"], ["{\"c\":1}", "{\"d\":{}}"]);
        yield return Case("""{"$id":"http://x/y","$defs":{"a":{"$anchor":"n","type":"null"},"b":{"$id":"z","type":"boolean"}},"anyOf":[{"$ref":"#n"},{"$ref":"z"}]}""", ["null", "true"], ["1"]);
        yield return Case("""{"type":["string","number","null"],"not":{"enum":["a",1,null,2.5]}}""", ["\"b\"", "\"\"", "0.5", "2", "3"], ["\"a\"", "1", "1.0", "2.50", "null"]);
        yield return Case("""{"type":["string","integer"],"not":{"type":"string","pattern":"^x"}}""", ["\"ax\"", "3"], ["\"x\"", "\"xa\""]);
        yield return Case("""{"not":{"type":["object","array","string","null","boolean"]},"minimum":2}""", ["2", "2.5"], ["1", "null", "{}"]);
        yield return Case("""{"type":"number","not":{"type":"integer"},"maximum":2}""", ["1.5", "-0.25"], ["1", "1.0", "2.5"]);
        yield return Case("""{"type":"object","properties":{"a":{"type":"integer"},"b":true},"additionalProperties":false,"not":{"required":["a","b"]}}""", ["{}", "{\"a\":1}", "{\"b\":1}"], ["{\"a\":1,\"b\":1}"]);
        yield return Case("""{"type":"object","additionalProperties":{"type":"null"},"not":{"properties":{"a":{"const":1}}},"properties":{"a":{"enum":[1,2]}}}""", ["{\"a\":2}"], ["{}", "{\"a\":1}", "{\"b\":null}"]);
        yield return Case("""{"anyOf":[{"not":{}},{"type":"string"}]}""", ["\"a\""], ["1"]);
        yield return Case("""{"type":"string","not":{"anyOf":[{"minLength":3},{"maxLength":1}]}}""", ["\"ab\""], ["\"a\"", "\"abc\""]);
        yield return Case("""{"type":"object","properties":{"k":{"enum":["a","b"]},"v":{"type":"integer"}},"required":["k"],"additionalProperties":false,"if":{"properties":{"k":{"const":"a"}}},"then":{"required":["v"]},"else":{"properties":{"v":false}}}""",
            ["{\"k\":\"a\",\"v\":1}", "{\"k\":\"b\"}"],
            ["{\"k\":\"a\"}", "{\"k\":\"b\",\"v\":1}"]);
        yield return Case("""{"type":"object","properties":{"a":true,"b":{"type":"integer"}},"additionalProperties":false,"dependentSchemas":{"a":{"required":["b"]}}}""", ["{}", "{\"b\":1}", "{\"b\":1,\"a\":2}"], ["{\"a\":2}"]);
        yield return Case("""{"type":"object","properties":{"a":true,"b":{"type":"integer"}},"additionalProperties":false,"dependencies":{"a":{"required":["b"]},"b":["a"]}}""", ["{}", "{\"b\":1,\"a\":2}"], ["{\"a\":2}", "{\"b\":2}"]);
        yield return Case("""{"type":"number","oneOf":[{"type":"integer"},{"minimum":2}]}""", ["1", "2.5"], ["3", "1.5"]);
        yield return Case("""{"type":"object","additionalProperties":{"type":"null"},"oneOf":[{"required":["a"]},{"required":["b"]}]}""", ["{\"a\":null}", "{\"b\":null,\"c\":null}"], ["{}", "{\"a\":null,\"b\":null}"]);
        yield return Case(
            """{"oneOf":[{"$ref":"#/$defs/cat"},{"$ref":"#/$defs/dog"}],"discriminator":{"propertyName":"k"},"$defs":{"cat":{"type":"object","properties":{"k":{"const":"cat","default":"cat"}}},"dog":{"type":"object","properties":{"k":{"const":"dog"},"n":{"type":"integer"}},"required":["n"]}}}""",
            ["{\"k\":\"cat\"}", "{\"k\":\"dog\",\"n\":1}"],
            ["{}", "{\"k\":\"dog\"}", "{\"k\":\"cow\"}"]);
        yield return Case("""{"type":"array","items":{"type":["string","integer","null"]},"uniqueItems":true,"minItems":2}""", ["[\"a\",\"b\"]", "[1, 12, null, \"1\"]"], ["[\"a\",\"a\"]", "[1,2,1]", "[null,null]", "[\"a\"]"]);
        yield return Case("""{"type":"array","items":{"enum":["a","b",3]},"uniqueItems":true}""", ["[]", "[ 3 , \"b\" ]", "[\"a\",\"b\",3]"], ["[3,3]", "[\"a\",\"b\",\"a\"]"]);
        yield return Case("""{"type":"array","items":{"enum":["a","b"]},"uniqueItems":true,"minItems":3}""", [], [], isEmpty: true);
        yield return Case("""{"type":"object","propertyNames":{"anyOf":[{"const":"a"},{"pattern":"^x"}]},"additionalProperties":{"type":"null"},"required":["a"]}""", ["{\"a\":null}", "{\"a\":null,\"xy\":null}"], ["{}", "{\"a\":null,\"b\":null}"]);
        yield return Case("""{"type":"object","propertyNames":{"enum":["a"]},"properties":{"b":true}}""", ["{}", "{\"a\":1}"], ["{\"b\":1}"]);
        yield return Case("""{"type":"string","format":"password"}""", ["\"\"", "\"x\""], ["1"]);
        yield return Case("""{"type":"string","format":"uuid4"}""", ["\"123e4567-e89b-42d3-a456-426614174000\""], ["\"123e4567-e89b-12d3-a456-426614174000\""]);
        yield return Case("""{"type":"string","format":"base64"}""", ["\"\"", "\"YQ==\"", "\"YWI=\""], ["\"a\"", "\"YQ=\""]);
        yield return Case("""{"anyOf":[{"type":"number"},{"type":"string","pattern":"^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$"}]}""", ["1", "\"-1.5\""], ["\"-.\"", "\"x\""]);
        yield return Case("true", ["1", "{\"a\":[]}"], ["", "{"]);
        yield return Case("""{"title":"A","description":"B","default":3,"examples":[1],"x-unknown":{"type":"string"},"type":"null"}""", ["null"], ["1"]);
        yield return Case("false", [], ["null"], isEmpty: true);
        yield return Case("""{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"],"maxProperties":1}""", [], ["{}"], isEmpty: true);
        yield return Case("""{"type":"object","minProperties":2,"maxProperties":1}""", [], ["{}"], isEmpty: true);
        yield return Case("""{"type":"object","properties":{"a":{},"b":{},"c":{}},"minProperties":2,"maxProperties":2,"dependentRequired":{"a":["a","b"]},"additionalProperties":false}""", ["{\"a\":1,\"b\":1}", "{\"c\":1,\"b\":1}"], ["{\"a\":1,\"c\":1}", "{\"a\":1}"]);
        yield return Case("""{"type":"object","required":["a"],"dependentRequired":{"a":["b"]},"maxProperties":1}""", [], ["{}"], isEmpty: true);

        static TestCaseData Case(string schema, string[] matching, string[] others, bool isEmpty = false) => new TestCaseData(schema, matching, others, isEmpty).SetArgDisplayNames(schema);
    }

    [TestCaseSource(nameof(Examples))]
    public void Keywords_say_what_the_standard_says(string schema, string[] matching, string[] others, bool isEmpty)
    {
        if (isEmpty)
        {
            Assert.That(() => Grammar.JsonSchema(schema), Throws.InstanceOf<GrammarException>().With.Message.Contains("No text"));
            return;
        }
        Grammar grammar = Grammar.JsonSchema(schema);
        Assert.Multiple(() =>
        {
            foreach (string text in matching) Assert.That(grammar.IsMatch(text), Is.True, text);
            foreach (string text in others) Assert.That(grammar.IsMatch(text), Is.False, text);
        });
    }

    [TestCase("""{"properties":{"a/b":{"$dynamicRef":"#a"}}}""", "/properties/a~1b/$dynamicRef")]
    [TestCase("""{"items":{"anyOf":[{},{"contains":{}}]}}""", "/items/anyOf/1/contains")]
    [TestCase("""{"not":{"uniqueItems":true}}""", "/not/uniqueItems")]
    [TestCase("""{"if":{"multipleOf":2},"then":false}""", "/if/multipleOf")]
    [TestCase("""{"not":{"enum":[1,[2]]}}""", "/not/enum/1")]
    [TestCase("""{"type":"array","items":{"type":"string","pattern":"^a"},"uniqueItems":true,"minItems":2}""", "/minItems")]
    [TestCase("""{"type":"array","uniqueItems":true}""", "/uniqueItems")]
    [TestCase("""{"uniqueItems":"x"}""", "/uniqueItems")]
    [TestCase("""{"type":"object","properties":{"c":false,"d":false},"minProperties":2,"additionalProperties":false,"patternProperties":{"^x$":{"type":"boolean"}}}""", "/minProperties")]
    [TestCase("""{"type":"object","properties":{"a":{},"b":{},"c":false},"minProperties":2,"additionalProperties":false,"patternProperties":{"^x$":{}},"dependentRequired":{"a":["b"],"b":["c"]}}""", "/minProperties")]
    [TestCase("""{"properties":{"a":{},"b":{},"c":{},"d":{}},"minProperties":3,"maxProperties":3,"dependentRequired":{"a":["b"],"b":["a"],"c":["d"],"d":["c"]}}""", "/minProperties")]
    [TestCase("""{"type":"string","format":"regex"}""", "/format")]
    [TestCase("""{"type":"string","pattern":"(a)\\1"}""", "/pattern")]
    [TestCase("""{"patternProperties":{"(":{}}}""", "/patternProperties/(")]
    [TestCase("""{"oneOf":[{"multipleOf":2},{"multipleOf":3}]}""", "/oneOf")]
    [TestCase("""{"$ref":"https://example.org/other.json"}""", "/$ref")]
    [TestCase("""{"$ref":"#/$defs/missing"}""", "/$ref")]
    [TestCase("""{"type":"text"}""", "/type")]
    [TestCase("""{"properties":[]}""", "/properties")]
    [TestCase("""{"minLength":"3"}""", "/minLength")]
    [TestCase("""{"multipleOf":0}""", "/multipleOf")]
    [TestCase("""{"items":{"items":3}}""", "/items/items")]
    [TestCase("""{"allOf":[]}""", "/allOf")]
    [TestCase("""{"allOf":[{"properties":{"a":{}}}],"unevaluatedProperties":false}""", "/unevaluatedProperties")]
    public void What_is_not_supported_is_refused_with_its_place(string schema, string path)
    {
        GrammarException error = Assert.Throws<GrammarException>(() => Grammar.JsonSchema(schema))!;
        Assert.That(error.Path, Is.EqualTo(path));
        Assert.That(error.Message, Does.Contain(path));
    }

    [Test]
    public void What_is_not_json_is_no_schema() =>
        Assert.That(() => Grammar.JsonSchema("{"), Throws.InstanceOf<GrammarException>().With.InnerException.InstanceOf<JsonException>());

    [Test]
    public void A_schema_lives_as_long_as_its_grammar()
    {
        Grammar grammar;
        using (JsonDocument document = JsonDocument.Parse("""{"type":"object","properties":{"a":{"const":1}},"required":["a"]}""")) grammar = Grammar.JsonSchema(document.RootElement);
        Assert.That(new GrammarSampler(PieceTokenizer.Typical()).Draw(grammar, new System.Random(1), 0), Does.Match("\"a\"\\s*:\\s*1"));
    }

    [Test]
    public void Texts_drawn_from_generated_schemas_match_them_and_values_that_match_them_are_texts()
    {
        GrammarSampler sampler = new(PieceTokenizer.Typical("property", "\"kind\":", "\"value\":"));
        Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), seed =>
        {
            System.Random random = new(seed);
            SchemaGenerator generator = new(random);
            JsonObject schema = generator.Schema();
            string text = schema.ToJsonString(Plain);
            Grammar grammar = Grammar.JsonSchema(text);
            JsonSchema validator = JsonSchema.FromText(text);
            for (int i = 0; i < 4; i++)
            {
                string drawn = sampler.Draw(grammar, random, moreTokens: random.Next(60));
                Assert.That(Matches(validator, WithoutMarks(drawn)), $"drew {drawn} from {text}");
                Assert.That(grammar.IsMatch(drawn), $"{drawn} of {text}");
                string value = generator.Value(schema)?.ToJsonString(Plain) ?? "null";
                Assert.That(Matches(validator, value), $"the generator made {value} for {text}");
                Assert.That(grammar.IsMatch(value), $"{value} is out of reach in {text}");
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(600));
    }

    [Test]
    public void What_other_schemas_exclude_is_not_drawn([Values(
        """{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"},"c":{"type":"boolean"}},"additionalProperties":false,"not":{"required":["a","b"]}}""",
        """{"type":["string","integer","null"],"not":{"enum":["true","",0,null]}}""",
        """{"type":"object","properties":{"k":{"enum":["a","b","c"]},"v":{"type":"integer"}},"required":["k"],"additionalProperties":false,"if":{"properties":{"k":{"const":"a"}}},"then":{"required":["v"]},"else":{"properties":{"v":{"maximum":5}}}}""",
        """{"oneOf":[{"type":"object","properties":{"a":{"type":"integer"}}},{"type":"object","properties":{"b":{"type":"string"}},"required":["b"]}]}""",
        """{"type":"number","oneOf":[{"type":"integer","maximum":50},{"minimum":2}]}""",
        """{"type":"array","items":{"type":["string","integer"]},"uniqueItems":true,"minItems":3,"maxItems":6}""",
        """{"type":"array","items":{"enum":["a","ab","abc",1,12,null,true]},"uniqueItems":true,"minItems":5}""",
        """{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"dependentSchemas":{"a":{"required":["b"],"properties":{"b":{"minimum":7}}}}}""",
        """{"not":{"anyOf":[{"type":"object"},{"type":"array"},{"minimum":3},{"type":"string","pattern":"a"}]}}""",
        """{"anyOf":[{"type":"null"},{"type":"object","required":["a","b"],"maxProperties":1}]}""",
        """{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"},"c":{"type":"null"},"d":false},"minProperties":2,"maxProperties":2,"dependentRequired":{"a":["b","c"]},"additionalProperties":false}""",
        """{"type":"object","properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},"required":["a"],"minProperties":2,"maxProperties":2,"dependentRequired":{"b":["c"]},"additionalProperties":false}""",
        """{"type":"array","items":{"type":"object","properties":{"a":{"anyOf":[{"type":"null"},{"type":"object","minProperties":3,"maxProperties":2}]}},"maxProperties":1},"maxItems":2}""")] string text)
    {
        GrammarSampler sampler = new(PieceTokenizer.Typical());
        Grammar grammar = Grammar.JsonSchema(text);
        JsonSchema validator = JsonSchema.FromText(text);
        for (int seed = 0; seed < 40; seed++)
        {
            string drawn = sampler.Draw(grammar, new System.Random(seed), moreTokens: seed);
            Assert.That(Matches(validator, drawn), drawn);
            Assert.That(grammar.IsMatch(drawn), drawn);
        }
    }

    [Test]
    public void Polymorphic_types_are_read_back()
    {
        JsonSerializerOptions options = new(JsonSerializerDefaults.Web) { TypeInfoResolver = new DefaultJsonTypeInfoResolver() };
        Grammar grammar = Grammar.JsonSchema(options.GetJsonSchemaAsNode(typeof(Shape)).ToJsonString());
        GrammarSampler sampler = new(PieceTokenizer.Typical("\"$type\":", "\"sides\":", "\"radius\":"));
        HashSet<Type> types = [];
        for (int seed = 0; seed < 60; seed++)
        {
            string text = sampler.Draw(grammar, new System.Random(seed), moreTokens: 40);
            if (JsonSerializer.Deserialize<Shape>(text, options) is { } shape) types.Add(shape.GetType()); // null is one of them too
        }
        Assert.That(types, Is.EquivalentTo(new[] { typeof(Circle), typeof(Polygon) }));
        Assert.That(grammar.IsMatch("""{"$type":"circle","radius":1,"name":"a"}"""), Is.True);
        Assert.That(grammar.IsMatch("""{"radius":1,"name":"a","$type":"circle"}"""), Is.False, "it is read only as the first member");
    }

    [JsonDerivedType(typeof(Circle), "circle")]
    [JsonDerivedType(typeof(Polygon), "polygon")]
    private abstract record Shape(string Name);

    private sealed record Circle(string Name, double Radius) : Shape(Name);

    private sealed record Polygon(string Name, int Sides) : Shape(Name);

    [Test]
    public void A_schema_of_a_hundred_properties_over_a_real_vocabulary_is_compiled_at_once()
    {
        ITokenizer tokenizer = Tokenizer.Load(Fixtures.Path("tokenizers", "llama3_1"));
        GrammarVocabulary vocabulary = new(tokenizer, tokenizer.VocabularySize, new HashSet<int>(tokenizer.EosTokenIds));
        JsonObject properties = [];
        string[] types = ["string", "integer", "boolean", "null"];
        for (int i = 0; i < 100; i++) properties[$"property_{i}"] = new JsonObject { ["type"] = types[i % types.Length] };
        Grammar grammar = Grammar.JsonSchema(new JsonObject { ["type"] = "object", ["properties"] = properties, ["additionalProperties"] = false }.ToJsonString());
        TimeSpan fastest = Enumerable.Range(0, 10).Min(_ =>
        {
            long start = Stopwatch.GetTimestamp();
            GC.KeepAlive(new CompiledGrammar(grammar, vocabulary));
            return Stopwatch.GetElapsedTime(start);
        });
        Assert.That(fastest.TotalMilliseconds, Is.LessThan(50));
    }

    /// <summary>The validator counts what is drawn as one, the standard counts code points: what is drawn over other characters takes their place.</summary>
    private static string WithoutMarks(string text) =>
        string.Concat(text.EnumerateRunes().Select(rune => rune.Value > 0x7F && !Rune.IsLetter(rune) ? "\u00F8" : rune.ToString()));

    private static bool Matches(JsonSchema schema, string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        try { return schema.Evaluate(document.RootElement, WithFormats).IsValid; }
        catch (FormatException) when (!IsOfDecimals(document.RootElement)) { return true; } // the validator compares numbers as decimals: of larger ones it says nothing
    }

    private static bool IsOfDecimals(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Number => value.TryGetDecimal(out _),
        JsonValueKind.Array => value.EnumerateArray().All(IsOfDecimals),
        JsonValueKind.Object => value.EnumerateObject().All(member => IsOfDecimals(member.Value)),
        _ => true,
    };
}
