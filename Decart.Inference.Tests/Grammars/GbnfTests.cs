namespace Decart.Inference.Tests.Grammars;

/// <summary>Grammars as llama.cpp writes them.</summary>
internal sealed class GbnfTests
{
    private const string Arithmetic = """
        # sums of products
        root  ::= (expression "=" space term "\n")+
        expression ::= term ([-+*/] space term)*
        term  ::= identifier | number | "(" space expression ")" space
        identifier ::= [a-z] [a-z0-9_]* space
        number ::= [0-9]{1,3} space   # at most three digits
        space ::= [ \t\n]*
        """;

    [TestCase("a=3\n", true)]
    [TestCase("a + (b2 * 12) = 7\nx=(y)\n", true)]
    [TestCase("a=3", false)]
    [TestCase("a + = 3\n", false)]
    [TestCase("a=1234\n", false)]
    [TestCase("((a)=3\n", false)]
    public void Rules_quantifiers_groups_and_comments_are_understood(string text, bool matches) =>
        Assert.That(Grammar.Gbnf(Arithmetic).IsMatch(text), Is.EqualTo(matches));

    [TestCase("root ::= [^a-c\\n]", "d", true)]
    [TestCase("root ::= [^a-c\\n]", "\n", false)]
    [TestCase("root ::= \"\\x41\\u00e9\\U0001F600\\\"\"", "Aé😀\"", true)]
    [TestCase("root ::= .", "日", true)]
    [TestCase("root ::= \"\" | \"a\"", "", true)]
    [TestCase("root ::= \"a\"{2,}", "aaa", true)]
    [TestCase("root ::= \"a\"{0}", "", true)]
    [TestCase("root ::=\n  \"a\"\n  | b\nb ::= \"b\" b?", "bbb", true)]
    [TestCase("root ::= \"(\" root \")\" | \"\"", "((()))", true)]
    [TestCase("root ::= \"(\" root \")\" | \"\"", "((())", false)]
    public void Characters_and_repetitions_are_read_as_they_are_written(string grammar, string text, bool matches) =>
        Assert.That(Grammar.Gbnf(grammar).IsMatch(text), Is.EqualTo(matches));

    [TestCase("""{"a": [1, -2.5e+1, "x\u00e9\n", {}], "b":null}""", true)]
    [TestCase("""{"a"}""", false)]
    [TestCase("{\n    \"a\" :1}", true)]
    [TestCase("{\n                     \"a\":1}", false)]
    public void Rules_may_be_laid_out_with_comments_and_empty_alternatives(string text, bool matches) =>
        Assert.That(
            Grammar.Gbnf(
                """
                # values of JSON
                root   ::= object   # the whole
                value  ::= object | array | string | number | ("true" | "false" | "null") ws
                object ::= "{" ws (
                    pair
                    ("," ws pair)*   # more of them
                  )? "}" ws
                pair   ::= string ":" ws value
                array  ::= "[" ws (
                    value
                    ("," ws value)*
                  )? "]" ws
                string ::= "\"" (
                    [^"\\\x7F\x00-\x1F] |
                    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4})
                  )* "\"" ws
                number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws

                ws     ::= | " " | "\n" [ \t]{0,20}
                """).IsMatch(text),
            Is.EqualTo(matches));

    [Test]
    public void Texts_may_follow_another_rule() => Assert.That(Grammar.Gbnf("root ::= \"a\"\nother ::= \"b\" root", "other").IsMatch("ba"), Is.True);

    [TestCase("root ::= root \"a\" | \"b\"", "begins with itself")]
    [TestCase("root ::= a\na ::= b? root \"x\"\nb ::= \"y\"", "begins with itself")]
    [TestCase("x ::= \"a\"", "no rule root")]
    [TestCase("root ::= \"a", "does not end")]
    [TestCase("root ::= (\"a\"", "not closed")]
    [TestCase("root ::= [a-", "does not end")]
    [TestCase("root ::= [z-a]", "wrong order")]
    [TestCase("root ::= \"a\"\nroot ::= \"b\"", "second rule")]
    [TestCase("root ::= a b", "no rule")]
    [TestCase("root ::= <think>", "not supported")]
    [TestCase("root = \"a\"", "without ::=")]
    [TestCase("root ::= \"a\"{3,1}", "wrong order")]
    [TestCase("root ::= \"\\q\"", "not known")]
    [TestCase("root ::= \"a\" )", "does not belong")]
    [TestCase("root ::= \"a\" root", "No text")]
    [TestCase("", "no rule root")]
    public void What_is_no_grammar_is_refused(string grammar, string problem) =>
        Assert.That(() => Grammar.Gbnf(grammar), Throws.InstanceOf<GrammarException>().With.Message.Contains(problem));

    [Test]
    public void Drawn_texts_have_the_form()
    {
        GrammarSampler sampler = new(PieceTokenizer.Typical());
        Grammar grammar = Grammar.Gbnf(Arithmetic);
        for (int seed = 0; seed < 200; seed++)
        {
            string text = sampler.Draw(grammar, new Random(seed), moreTokens: seed % 50);
            Assert.That(grammar.IsMatch(text), text);
        }
    }
}
