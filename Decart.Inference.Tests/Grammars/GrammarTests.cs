namespace Decart.Inference.Tests.Grammars;

/// <summary>Which texts grammars describe, and what is refused.</summary>
internal sealed class GrammarTests
{
    [TestCase("{}")]
    [TestCase("[]")]
    [TestCase("null")]
    [TestCase(" true")]
    [TestCase("-0.5e10")]
    [TestCase("1e307")]
    [TestCase("1.7976931348623157e+307")]
    [TestCase("\"a\\n\\u00e9\\ud83d\\ude00 é 日本 😀\"")]
    [TestCase("{ \"a\" : [1, 2,\n\t{\"b\":null}] }")]
    [TestCase("{\"a\":{\"b\":{}},\"c\":[[]]}")]
    public void Json_is_any_value(string text) => Assert.That(Grammar.Json().IsMatch(text), Is.True);

    [TestCase("")]
    [TestCase("{")]
    [TestCase("[1,]")]
    [TestCase("{\"a\":1,}")]
    [TestCase("[1 2]")]
    [TestCase("01")]
    [TestCase("1e400")]
    [TestCase("\"\\ud83d\"")]
    [TestCase("\"\\ude00\\ud83d\"")]
    [TestCase("\"a\tb\"")]
    [TestCase("tru")]
    [TestCase("1 ")]
    [TestCase("{\n\n}")]
    public void What_is_not_json_or_has_too_much_white_space_is_none(string text) => Assert.That(Grammar.Json().IsMatch(text), Is.False);

    [Test]
    public void A_name_stands_once_in_an_object()
    {
        Assert.That(Grammar.Json().IsMatch("{\"a\":1,\"b\":2,\"\":3}"), Is.True);
        Assert.That(Grammar.Json().IsMatch("{\"a\":1,\"b\":2,\"a\":3}"), Is.False);
        Assert.That(Grammar.Json().IsMatch("{\"a\":{\"a\":1}}"), Is.True);
        Assert.That(Grammar.Json().IsMatch("{\"a\":1,\"\\u0061\":2}"), Is.False, "written in one way only, so that names can be compared");
    }

    [Test]
    public void Arrays_and_objects_nest_as_deep_as_readers_expect()
    {
        Assert.That(Grammar.Json().IsMatch(new string('[', 64) + new string(']', 64)), Is.True);
        Assert.That(Grammar.Json().IsMatch(new string('[', 65) + new string(']', 65)), Is.False);
    }

    [Test]
    public void A_json_object_is_nothing_else()
    {
        Assert.That(Grammar.JsonObject().IsMatch("{\"a\":[1]}"), Is.True);
        Assert.That(Grammar.JsonObject().IsMatch("[1]"), Is.False);
    }

    [TestCase("a|bc*", "a", true)]
    [TestCase("a|bc*", "bccc", true)]
    [TestCase("a|bc*", "ac", false)]
    [TestCase("[^a-c]{2,3}", "xyz", true)]
    [TestCase("[^a-c]{2,3}", "日本", true)]
    [TestCase("[^a-c]{2,3}", "xb", false)]
    [TestCase("(?:\\d{4})-(?<month>\\d\\d)", "2024-05", true)]
    [TestCase("^(?=.*[A-Z])(?=.*\\d)[A-Za-z\\d]{8,12}$", "abcdefG1", true)]
    [TestCase("^(?=.*[A-Z])(?=.*\\d)[A-Za-z\\d]{8,12}$", "abcdefgh", false)]
    [TestCase("(?!ab).*", "ac", true)]
    [TestCase("(?!ab).*", "abc", false)]
    [TestCase("\\p{Lu}\\p{L}*", "Éé", true)]
    [TestCase("\\p{Lu}\\p{L}*", "éÉ", false)]
    [TestCase("\\u{1F600}|\\uD83D\\uDE01|\\x41", "😁", true)]
    [TestCase(".", "\n", false)]
    [TestCase("a{,3}", "a{,3}", true)]
    [TestCase("[\\]\\-\\b]+", "]-\b", true)]
    public void A_regular_expression_matches_whole_texts(string pattern, string text, bool matches) =>
        Assert.That(Grammar.Regex(pattern).IsMatch(text), Is.EqualTo(matches));

    [TestCase("(a", "not closed")]
    [TestCase("a)", "never opened")]
    [TestCase("[a", "not closed")]
    [TestCase("*a", "nothing before")]
    [TestCase("a{3,2}", "wrong order")]
    [TestCase("(a)\\1", "reference to a group")]
    [TestCase("\\bword", "word boundary")]
    [TestCase("(?<=a)b", "lookbehind")]
    [TestCase("(?i)a", "group that is not supported")]
    [TestCase("a{2000000}", "repetitions")]
    [TestCase("\\p{Greek}", "category")]
    [TestCase("(a$b)+", "anchor")]
    [TestCase("a&&[^\\s\\S]", "No text")]
    public void What_no_regular_expression_can_be_made_of_is_refused(string pattern, string problem) =>
        Assert.That(() => Grammar.Regex(pattern), Throws.InstanceOf<GrammarException>().With.Message.Contains(problem).IgnoreCase);

    [Test]
    public void A_choice_is_one_of_its_texts()
    {
        Grammar choice = Grammar.Choice("yes", "yesterday", "é");
        Assert.That(((string[])["yes", "yesterday", "é", "yest", "", "no"]).Select(choice.IsMatch), Is.EqualTo(new[] { true, true, true, false, false, false }));
        Assert.That(() => Grammar.Choice(), Throws.InstanceOf<GrammarException>());
    }

    [Test]
    public void Grammars_of_the_same_source_are_the_same()
    {
        Grammar one = Grammar.Choice("a", "b"), same = Grammar.Choice("a", "b");
        Assert.That(one, Is.EqualTo(same));
        Assert.That(one.GetHashCode(), Is.EqualTo(same.GetHashCode()));
        Assert.That(one, Is.Not.EqualTo(Grammar.Choice("ab")));
        Assert.That(Grammar.Regex("a|b"), Is.Not.EqualTo(Grammar.Choice("a|b")));
        Assert.That(Grammar.TextWithout("a\0e"), Is.Not.EqualTo(Grammar.TextWithout("a", "e")));
        Assert.That(() => Grammar.Choice("a", null!), Throws.ArgumentException.With.Property("ParamName").EqualTo("texts"));
        Assert.That(Grammar.Regex("a|b").ToString(), Does.Contain("a|b"));
    }
}
