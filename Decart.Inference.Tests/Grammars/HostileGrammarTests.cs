using System.Diagnostics;
using Decart.Inference.Grammars;

namespace Decart.Inference.Tests.Grammars;

/// <summary>What is meant to take for ever takes a bounded time, and ends with a text or a <see cref="GrammarException"/>, never with the process.</summary>
[CancelAfter(120_000)]
internal sealed class HostileGrammarTests
{
    private static readonly GrammarSampler Sampler = new(PieceTokenizer.Typical());

    private static IEnumerable<TestCaseData> Grammars()
    {
        yield return Case("counts of counts", () => Grammar.Regex("((a{1000}){1000}){1000}"));
        yield return Case("counts of what may be empty", () => Grammar.Regex("((a{0,1000}){0,1000}){0,1000}b"));
        yield return Case("stars of stars", () => Grammar.Regex("((a*)*|(a|a)*)*b"));
        yield return Case("a subset for each text", () => Grammar.Regex(".*a.{200}"));
        yield return Case("many lookaheads", () => Grammar.Regex(string.Concat(Enumerable.Range(0, 26).Select(i => $"(?=.*{(char)('a' + i)})")) + ".*"));
        yield return Case("a million", () => Grammar.Regex("a{1000000}"));
        yield return Case("optional parts in a row", () => Grammar.Regex(string.Concat(Enumerable.Repeat("a?", 20_000))));
        yield return Case("a long text", () => Grammar.Regex(new string('a', 60_000)));
        yield return Case("texts with a long beginning in common", () => Grammar.Choice(new string('x', 100_000), new string('x', 99_999) + "y"));
        yield return Case("each text begins the next", () => Grammar.Choice(Enumerable.Range(1, 3000).Select(length => new string('x', length))));
        yield return Case("deep groups", () => Grammar.Regex(Nest(10_000, "(", "a", ")*")));
        yield return Case("ambiguous stacks", () => Grammar.Gbnf("root ::= \"a\" root x | \"a\" root y | \"b\"\nx ::= \"c\" root | \"d\"\ny ::= \"c\" root | \"d\""));
        yield return Case("loops of nothing", () => Grammar.Gbnf("root ::= ((a?)* b?){0,100000}\na ::= \"a\" a?\nb ::= \"b\" a? b?"));
        yield return Case("doubling rules", () => Grammar.Gbnf("root ::= r0\n" + Rules(60, i => $"r{i + 1} r{i + 1}", "\"a\" root?")));
        yield return Case("a chain of rules", () => Grammar.Gbnf("root ::= r0\n" + Rules(3000, i => $"r{i + 1}", "\"a\" root?")));
        yield return Case("deep schema", () => Grammar.JsonSchema(Nest(120, "{\"type\":\"array\",\"items\":", "{}", "}")));
        yield return Case("schema deeper than is read", () => Grammar.JsonSchema(Nest(2000, "{\"items\":", "{}", "}")));
        yield return Case("product of alternatives", () => Grammar.JsonSchema(
            "{\"allOf\":[" + string.Join(',', Enumerable.Range(0, 14).Select(i => $"{{\"anyOf\":[{{\"required\":[\"a{i}\"]}},{{\"required\":[\"b{i}\"]}}]}}")) + "]}"));
        yield return Case("a reference to itself", () => Grammar.JsonSchema("{\"$ref\":\"#\"}"));
        yield return Case("alternatives of itself", () => Grammar.JsonSchema("{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}"));
        yield return Case("a value that needs itself", () => Grammar.JsonSchema("{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}"));
        yield return Case("a billion items", () => Grammar.JsonSchema("{\"type\":\"array\",\"minItems\":1000000000,\"items\":{\"type\":\"null\"}}"));
        yield return Case("many members", () => Grammar.JsonSchema(
            "{\"type\":\"object\",\"properties\":{" + string.Join(',', Enumerable.Range(0, 2000).Select(i => $"\"p{i}\":{{\"type\":\"string\"}}")) + "}}"));
        yield return Case("many constants", () => Grammar.JsonSchema("{\"enum\":[" + string.Join(',', Enumerable.Range(0, 10_000).Select(i => $"\"v{i * 7919 % 1000003}\"")) + "]}"));
        yield return Case("thousands of categories", () => Grammar.Regex(string.Concat(Enumerable.Repeat("\\p{L}\\P{Lu}[^\\p{N}\\p{S}]", 2000))));
        yield return Case("a class of thousands", () => Grammar.Regex($"[{string.Concat(Enumerable.Range(0x4E00, 20_000).Where(character => character % 2 == 0).Select(char.ConvertFromUtf32))}]+"));
        yield return Case("a chain that comes back", () => Grammar.Gbnf("root ::= \"x\" r0\n" + Rules(15_000, i => $"\"a\" r{i + 1}", "\"b\" | \"c\" root")));
        yield return Case("a chain both ways", () => Grammar.Gbnf("root ::= \"x\" r0\n" + Rules(15_000, i => $"\"a\" r{i + 1} | \"b\" r{Math.Max(0, i - 1)}", "\"c\"")));
        yield return Case("not itself", () => Grammar.JsonSchema("{\"not\":{\"$ref\":\"#\"}}"));
        yield return Case("a member that is not itself", () => Grammar.JsonSchema("{\"type\":\"object\",\"properties\":{\"a\":{\"not\":{\"$ref\":\"#\"}}}}"));
        yield return Case("one of many that overlap", () => Grammar.JsonSchema(
            "{\"oneOf\":[" + string.Join(',', Enumerable.Range(0, 30).Select(i => $"{{\"properties\":{{\"a\":{{\"minimum\":{i}}},\"b{i}\":{{\"maxLength\":{i}}}}}}}")) + "]}"));
        yield return Case("if within if", () => Grammar.JsonSchema(Nest(60, "{\"if\":{\"required\":[\"a\"]},\"then\":", "{\"required\":[\"b\"]}", ",\"else\":{\"required\":[\"c\"]}}")));
        yield return Case("a million different items", () => Grammar.JsonSchema("{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"uniqueItems\":true,\"minItems\":1000000}"));
        yield return Case("a number of many digits", () => Grammar.JsonSchema("{\"type\":\"number\",\"minimum\":1e999999999}"));

        static TestCaseData Case(string name, Func<Grammar> create) => new TestCaseData(create).SetArgDisplayNames(name);
    }

    [TestCase("/patternProperties/", TestName = "Names of many heavy expressions")]
    [TestCase("/properties/a", TestName = "Many heavy expressions")]
    [TestCase("/properties/a/enum", TestName = "A list of ten megabytes")]
    [TestCase("/properties/a/enum", TestName = "A text of ten megabytes")]
    [TestCase("/properties", TestName = "Hundreds of thousands of members")]
    [TestCase("/required", TestName = "Hundreds of thousands of required members")]
    public void What_is_too_much_is_refused_at_once_with_its_place(string path)
    {
        string schema = TestContext.CurrentContext.Test.Name switch
        {
            "Names of many heavy expressions" => $"{{\"patternProperties\":{{{string.Join(',', "abcde".Select(letter => $"\"^(\\\\p{{L}}|{letter})+\\\\p{{N}}{{1,50}}{letter}\":{{\"type\":\"null\"}}"))}}}}}",
            "Many heavy expressions" => $"{{\"properties\":{{\"a\":{{\"type\":\"string\",\"allOf\":[{string.Join(',', "abcde".Select(letter => $"{{\"pattern\":\"^[a-e]*{letter}[a-e]{{14}}$\"}}"))}]}}}}}}",
            "A list of ten megabytes" => $"{{\"properties\":{{\"a\":{{\"enum\":[{string.Join(',', Enumerable.Range(0, 1_000_000).Select(i => $"\"v{i}\""))}]}}}}}}",
            "A text of ten megabytes" => $"{{\"properties\":{{\"a\":{{\"enum\":[\"{new string('x', 10_000_000)}\"]}}}}}}",
            "Hundreds of thousands of members" => $"{{\"properties\":{{{string.Join(',', Enumerable.Range(0, 300_000).Select(i => $"\"p{i}\":{{}}"))}}}}}",
            _ => $"{{\"required\":[{string.Join(',', Enumerable.Range(0, 300_000).Select(i => $"\"p{i}\""))}]}}",
        };
        long before = GC.GetAllocatedBytesForCurrentThread();
        TimeSpan used = Process.GetCurrentProcess().TotalProcessorTime;
        GrammarException error = Assert.Throws<GrammarException>(() => Grammar.JsonSchema(schema))!;
        TestContext.Out.WriteLine($"{(GC.GetAllocatedBytesForCurrentThread() - before) >> 20} MB allocated, {Process.GetCurrentProcess().TotalProcessorTime - used} of processor time: {error.Message}");
        Assert.That(error.Path, Does.StartWith(path));
        Assert.That((GC.GetAllocatedBytesForCurrentThread() - before) >> 20, Is.LessThan(400), "megabytes that pass through");
    }

    [TestCase("allOf")]
    [TestCase("oneOf")]
    public void Long_lists_are_compared_at_once(string keyword)
    {
        string[] lists = [.. "vw".Select(letter => $"{{\"enum\":[{string.Join(',', Enumerable.Range(0, 20_000).Select(i => $"\"{letter}{i}\""))},1.0]}}")];
        TimeSpan before = Process.GetCurrentProcess().TotalProcessorTime;
        Grammar grammar = Grammar.JsonSchema($"{{\"{keyword}\":[{lists[0]},{lists[1].Replace("1.0", keyword == "allOf" ? "1" : "2", StringComparison.Ordinal)}]}}");
        Assert.That((Process.GetCurrentProcess().TotalProcessorTime - before).TotalSeconds, Is.LessThan(20));
        Assert.That(((string[])["1", "2", "\"v7\"", "\"w19999\"", "\"x\""]).Select(grammar.IsMatch), Is.EqualTo(keyword == "allOf" ? new[] { true, false, false, false, false } : [true, true, true, true, false]));
    }

    [Test]
    public void A_list_of_ten_thousand_names_is_honest([Values] bool areUnique)
    {
        string names = string.Join(',', Enumerable.Range(0, 10_000).Select(i => $"\"Department of things number {i * 7919 % 1_000_003}\""));
        Grammar grammar = Grammar.JsonSchema(areUnique ? $"{{\"type\":\"array\",\"items\":{{\"enum\":[{names}]}},\"uniqueItems\":true}}" : $"{{\"enum\":[{names}]}}");
        CompiledGrammar compiled = Sampler.Compile(grammar);
        GrammarAutomaton automaton = compiled.Automaton;
        Assert.That(grammar.IsMatch(Sampler.Draw(grammar, new Random(1), moreTokens: 40)));
        Assert.That(compiled.Automaton, Is.SameAs(automaton), "what the grammar itself needs is nothing to replace it for");
    }

    [Test]
    public void Members_of_any_kind_cost_no_rules_of_their_own()
    {
        Grammar grammar = Grammar.JsonSchema($"{{\"type\":\"object\",\"properties\":{{{string.Join(',', Enumerable.Range(0, 40_000).Select(i => $"\"p{i}\":{(i % 2 == 0 ? "{}" : "true")}"))}}}}}");
        Assert.That(grammar.IsMatch("""{"p39998":[1],"p1":{"a":null}}"""));
    }

    [TestCase("""{"const":"\ud800"}""")]
    [TestCase("""{"properties":{"\udc00":{}}}""")]
    [TestCase("""{"enum":[{"a":["\ud800x"]}]}""")]
    [TestCase("""{"x-unknown":"\ud83d"}""")]
    public void Half_a_surrogate_pair_is_refused(string schema) => Assert.That(() => Grammar.JsonSchema(schema), Throws.InstanceOf<GrammarException>().With.Message.Contains("Unicode"));

    [Test]
    public void What_is_put_together_without_end_is_refused()
    {
        Grammar grammar = Grammar.Choice(new string('a', 200_000));
        Assert.That(() => Grammar.Sequence(Enumerable.Repeat(grammar, 100)), Throws.InstanceOf<GrammarException>().With.Message.Contains("too large"));
        grammar = Grammar.Choice("a");
        Assert.That(() => Enumerable.Range(0, 1000).Aggregate(grammar, (inner, _) => Grammar.Repeat(inner, 0, 2)), Throws.InstanceOf<GrammarException>().With.Message.Contains("levels"));
    }

    [Test]
    public void An_element_without_json_is_refused() => Assert.That(() => Grammar.JsonSchema(default(System.Text.Json.JsonElement)), Throws.ArgumentException);

    [TestCaseSource(nameof(Grammars))]
    public void It_ends_with_a_text_or_an_error(Func<Grammar> create)
    {
        try
        {
            Grammar grammar = create();
            if (Sampler.Compile(grammar).Automaton.Start.Cost > 3000) return;
            string text = Sampler.Draw(grammar, new Random(1), moreTokens: 40);
            Assert.That(grammar.IsMatch(text), text);
        }
        catch (GrammarException error)
        {
            Assert.That(error.Message, Is.Not.Empty);
        }
    }

    private static string Nest(int count, string open, string inner, string close) =>
        string.Concat(Enumerable.Repeat(open, count)) + inner + string.Concat(Enumerable.Repeat(close, count));

    private static string Rules(int count, Func<int, string> body, string last) =>
        string.Join('\n', Enumerable.Range(0, count).Select(i => $"r{i} ::= {body(i)}")) + $"\nr{count} ::= {last}";
}
