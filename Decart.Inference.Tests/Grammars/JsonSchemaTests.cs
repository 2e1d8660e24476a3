using System.Diagnostics;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
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
        yield return Case("true", ["1", "{\"a\":[]}"], ["", "{"]);
        yield return Case("""{"title":"A","description":"B","default":3,"examples":[1],"x-unknown":{"type":"string"},"type":"null"}""", ["null"], ["1"]);
        yield return Case("false", [], ["null"], isEmpty: true);

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

    [TestCase("""{"properties":{"a/b":{"not":{}}}}""", "/properties/a~1b/not")]
    [TestCase("""{"items":{"anyOf":[{},{"contains":{}}]}}""", "/items/anyOf/1/contains")]
    [TestCase("""{"if":{}}""", "/if")]
    [TestCase("""{"type":"array","uniqueItems":true}""", "/uniqueItems")]
    [TestCase("""{"type":"string","format":"regex"}""", "/format")]
    [TestCase("""{"type":"string","pattern":"(a)\\1"}""", "/pattern")]
    [TestCase("""{"patternProperties":{"(":{}}}""", "/patternProperties/(")]
    [TestCase("""{"oneOf":[{"type":"integer"},{"type":"number"}]}""", "/oneOf")]
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
        return schema.Evaluate(document.RootElement, WithFormats).IsValid;
    }
}
