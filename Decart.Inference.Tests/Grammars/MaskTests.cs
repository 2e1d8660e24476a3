using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Decart.Inference.Grammars;
using Decart.Inference.Grammars.Automata;
using Decart.Inference.Grammars.Languages;
using Decart.Inference.Sampling;

namespace Decart.Inference.Tests.Grammars;

/// <summary>Masks allow the tokens whose bytes the grammar can read one after the other, all of them and no others, however tokens and parts of the grammar overlap.</summary>
internal sealed class MaskTests
{
    /// <summary>Tokens that end one part of a text and begin another.</summary>
    private static readonly string[] Spanning =
    [
        "\",\"b\":", "\":1,\"", "\",\"a\":\"", "1,\"a\":", "{\"a\":{\"", "{\"a\":1}", "}]}", "}},", "\"}", "\":\"\",", "\":\"\"}", "0}", "a\":", "ab\":\"", "\"ab\"", "\",\"ab", "b\":[", "],\"", "1,", "1]", ",1",
        "null,\"", "\":null", "\":null}", "\\\"", "\"a\":", "\"x", "x\"", "\"x\":null,\"xa\":", "k\":\"k0\"", "{\"k\":\"",
    ];

    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    [Test]
    public void A_mask_allows_what_can_be_read_and_nothing_else(
        [Values(
            """{"type":"object","properties":{"a":{"type":"string"},"ab":{"type":"integer"},"b":{"type":"array","items":{"type":"integer"}},"abc":{}},"additionalProperties":false}""",
            """{"type":"object","properties":{"a":{"type":"integer"},"ab":{"type":"null"},"b":{"$ref":"#"}},"required":["ab"]}""",
            """{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"},"x":{"type":"null"}},"additionalProperties":{"type":"null"},"minProperties":2,"maxProperties":4}""",
            """{"type":"object","properties":{"a":true,"b":true,"ab":true},"dependentRequired":{"a":["b"]},"maxProperties":2,"additionalProperties":false}""",
            """{"anyOf":[{"type":"object","properties":{"a":{"type":"integer"},"k":{"const":"k0"}},"required":["k"]},{"type":"object","properties":{"a":{"type":"string"},"k":{"const":"k1"}},"required":["k"],"additionalProperties":false}]}""",
            """{"type":"object","patternProperties":{"^x":{"type":"null"},"b$":{"type":"integer"}},"properties":{"a":{"type":"string","maxLength":3}},"additionalProperties":false}""",
            """{"type":"array","items":{"enum":["a","ab",1,12,null]},"uniqueItems":true}""",
            """{"type":"array","items":{"type":["integer","string","null"]},"uniqueItems":true,"minItems":2}""",
            """{"type":"array","items":{"type":"object","properties":{"a":{"type":"object"},"b":{"type":"number"}}}}""",
            "true")] string schema,
        [Values] bool hasAllBytes)
    {
        Random random = new(schema.Length);
        PieceTokenizer tokenizer = hasAllBytes ? PieceTokenizer.Typical(Spanning) : WithFewBytes();
        Grammar grammar = Grammar.JsonSchema(schema);
        for (int text = 0; text < 12; text++) Follow(grammar, tokenizer, random);
    }

    [Test]
    public void Masks_of_generated_schemas_are_exact()
    {
        PieceTokenizer tokenizer = PieceTokenizer.Typical([.. Spanning, "me\":", "né\\\"", "value\":", "\"kind\":\"k", "other"]);
        for (int seed = 0; seed < 60; seed++)
        {
            Random random = new(seed);
            Grammar grammar = Grammar.JsonSchema(new SchemaGenerator(random).Schema().ToJsonString(Plain));
            for (int text = 0; text < 2; text++) Follow(grammar, tokenizer, random);
        }
    }

    [Test]
    public void Orders_of_members_and_new_names_are_not_remembered([Values] bool areKnown)
    {
        const int Members = 30;
        JsonObject properties = [];
        for (int i = 0; areKnown && i < Members; i++) properties[$"m{i}"] = new JsonObject { ["type"] = "string" };
        Grammar grammar = Grammar.JsonSchema(new JsonObject { ["type"] = "object", ["properties"] = properties, ["additionalProperties"] = !areKnown }.ToJsonString());
        PieceTokenizer tokenizer = PieceTokenizer.Typical(Spanning);
        CompiledGrammar compiled = new GrammarSampler(tokenizer).Compile(grammar);
        GrammarAutomaton automaton = compiled.Automaton;
        Random random = new(1);
        int[] order = [.. Enumerable.Range(0, Members)];
        for (int document = 0; document < 200; document++)
        {
            random.Shuffle(order);
            string text = $"{{{string.Join(',', order.Select(i => $"\"m{(areKnown ? i : random.Next())}\":\"a\""))}}}";
            GrammarMatcher matcher = new(compiled, [], ignoresEnd: false);
            foreach (int token in tokenizer.Encode(text))
            {
                Assert.That(matcher.Next(10_000).Allows(token), text);
                matcher.Accept(token);
            }
            Assert.That(matcher.IsAtEnd, text);
        }
        Assert.That(automaton.IsFull, Is.False);
        Assert.That(compiled.Automaton, Is.SameAs(automaton));
    }

    /// <summary>Draws a text and compares each mask on its way with what the automaton reads, with tokens enough and with few left.</summary>
    private static void Follow(Grammar grammar, PieceTokenizer tokenizer, Random random)
    {
        CompiledGrammar compiled = new GrammarSampler(tokenizer).Compile(grammar);
        GrammarAutomaton automaton = compiled.Automaton;
        Position position = automaton.Start;
        if (position.Cost == Distances.Infinite) return;
        for (int i = 0; i < 25 && !position.IsAtEnd; i++)
        {
            Position[] after = [.. Enumerable.Range(0, tokenizer.Eos).Select(token => automaton.After(position, tokenizer.GetTokenBytes(token).Span))];
            foreach (int left in (int[])[int.MaxValue - 1, position.Cost - 1, position.Cost, position.Cost + 1 + random.Next(4)])
            {
                if (left < 0) continue;
                TokenMask mask = automaton.Allowed(position, left).Mask;
                for (int token = 0; token < tokenizer.Eos; token++)
                {
                    bool isPossible = !after[token].IsDead && after[token].Cost <= left;
                    // With few left what is counted may be more than what is needed.
                    bool isAsExpected = mask.Allows(token) == isPossible || (isPossible && left < Distances.Infinite - 1);
                    if (!isAsExpected) Assert.Fail($"{grammar}: token {token} ({tokenizer.Decode([token])}) is {(isPossible ? "refused" : "allowed")} with {left} left at step {i}.");
                }
                Assert.That(mask.Allows(tokenizer.Eos), Is.EqualTo(position.Accepts));
                Assert.That(position.Accepts || mask.Words.ContainsAnyExcept(0u), "a promise that is not kept");
            }
            Position[] possible = Array.FindAll(after, next => !next.IsDead && next.Cost < Distances.Infinite - 1);
            if (possible.Length == 0) break;
            position = possible[random.Next(possible.Length)];
        }
    }

    /// <summary>A vocabulary in which most bytes are only parts of longer tokens.</summary>
    private static PieceTokenizer WithFewBytes() => new([.. Spanning, "{", "}", "\"", "1", "2", "[", "]", "a", "b", ":", ",", "null", "k\"", "k", "c", " "]);
}
