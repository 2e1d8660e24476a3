using Decart.Inference.Tokenization;
using FsCheck;
using FsCheck.Fluent;

namespace Decart.Inference.Tests.Tokenization;

/// <summary>Scanners against the expressions that they stand for, and Oniguruma's syntax against what it means.</summary>
public class PatternTests
{
    /// <summary>What tokenizers trip over: each kind of letter, number, space and mark, inside and outside the basic plane.</summary>
    private static readonly string[] Fragments =
    [
        "a", "Z", "é", "你", "한", "ß", "ſ", "\u01C5", "\U00010400", "\U00020000", "\U0001D400",
        "1", "9", "²", "Ⅷ", "\u0663", "\U0001D7D8", " ", "  ", "\n", "\r", "\t", "\u00A0", "\u2003", "\u3000", "\u2028", "\u0085", "'", "'s", "'T", "'re", "'LL", "'ve", "'D", "'ſ", ".", "!?", "-", "\u0301", "\u200B", "\u200D", "\U0001F600", "\U0001F3FD", "\0", "\uE000", "\uFFFD", "$", "_",
    ];

    private static Arbitrary<string> Texts =>
        (from count in Gen.Choose(0, 20) from parts in Gen.Elements(Fragments).ArrayOf(count) select string.Concat(parts)).ToArbitrary();

    [TestCase(Gpt2Pattern.Expression)]
    [TestCase(Cl100kPattern.ThreeDigits)]
    [TestCase(Cl100kPattern.SingleDigits)]
    public void A_scanner_finds_what_its_expression_finds(string expression)
    {
        ITextPattern scanner = RegexPattern.Create(expression);
        RegexPattern regex = RegexPattern.CreateRegex(expression);
        Assert.That(scanner, Is.Not.TypeOf<RegexPattern>());
        Prop.ForAll(Texts, text => Assert.That(Matches(scanner, text), Is.EqualTo(Matches(regex, text))))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(3000).WithQuietOnSuccess(true));
    }

    [TestCase(@"[^a]?+a", "ba a", new[] { "ba", " a" }, TestName = "a possessive quantifier after a class")]
    [TestCase(@"a++a|b", "aaab", new[] { "b" }, TestName = "a possessive quantifier gives nothing back")]
    [TestCase(@"(?:ab){2}+", "ababababab", new[] { "abababab" }, TestName = "a second quantifier after an interval")]
    [TestCase(@"\p{L}+", "a\U00010400b\U0001F600c", new[] { "a\U00010400b", "c" }, TestName = "letters beyond the basic plane")]
    [TestCase(@"[^\s\p{L}\p{N}]", "a\U0001F600\U0001D7D8", new[] { "\U0001F600" }, TestName = "a negated class takes a whole code point")]
    [TestCase(@".", "\U0001F600", new[] { "\U0001F600" }, TestName = "the dot takes a whole code point")]
    [TestCase("[\U0001F600-\U0001F602]+|x", "\U0001F601\U0001F602\U0001F603x", new[] { "\U0001F601\U0001F602", "x" }, TestName = "a range beyond the basic plane")]
    [TestCase(@"\x{1F600}|\x41|\u0042", "A\U0001F600B", new[] { "A", "\U0001F600", "B" }, TestName = "escapes of code points")]
    [TestCase(@"\p{Han}+", "a漢字\U00020000b", new[] { "漢字\U00020000" }, TestName = "a script")]
    [TestCase(@"[\p{L}&&[^\p{Han}]]+", "ab漢\U00020000c", new[] { "ab", "c" }, TestName = "an intersection with a negation")]
    [TestCase(@"(?i:s)", "sSſ", new[] { "s", "S", "ſ" }, TestName = "the long s is an s")]
    [TestCase(@"^a|b$", "a\nab\nb", new[] { "a", "a", "b", "b" }, TestName = "anchors are those of lines")]
    [TestCase(@"\w+", "a_1é漢-\u0301", new[] { "a_1é漢", "\u0301" }, TestName = "characters of words")]
    [TestCase(@"\b", "a\u1087\u200D b", new[] { "", "", "", "" }, TestName = "a word includes spacing marks and ends before a joiner")]
    [TestCase(@"\b.\B.\b", "\u0915\u093E\u200Dab", new[] { "\u0915\u093E", "ab" }, TestName = "places within words are no boundaries")]
    [TestCase(@"\p{^L}|\P{L}", "a1", new[] { "1" }, TestName = "negated properties")]
    [TestCase(@"a{,2}b", "aab", new[] { "aab" }, TestName = "an interval without a lower bound")]
    [TestCase(@"x{", "x{", new[] { "x{" }, TestName = "a brace that is no interval")]
    [TestCase(@"[]a]+", "]a", new[] { "]a" }, TestName = "a bracket first in a class")]
    public void Expressions_mean_what_Oniguruma_says(string expression, string text, string[] expected) =>
        Assert.That(Matches(RegexPattern.Create(expression), text).Select(match => text.Substring(match.Start, match.Length)), Is.EqualTo(expected));

    [TestCase(@"\p{NoSuchProperty}")]
    [TestCase(@"(a")]
    [TestCase(@"a)")]
    [TestCase(@"[a")]
    [TestCase(@"*a")]
    [TestCase(@"\")]
    [TestCase(@"\p{L")]
    [TestCase(@"\x{110000}")]
    [TestCase(@"[z-a]")]
    [TestCase(@"(?<name>a)")]
    [TestCase(@"[a[b]]")]
    public void Expressions_that_are_not_understood_are_refused(string expression) =>
        Assert.That(() => RegexPattern.Create(expression), Throws.InstanceOf<ArgumentException>());

    [Test]
    public void An_expression_that_backtracks_without_end_is_stopped()
    {
        RegexPattern pattern = RegexPattern.CreateRegex("^(a|aa)+$", TimeSpan.FromMilliseconds(100));
        Assert.That(
            () => Matches(pattern, new string('a', 200) + "b"),
            Throws.TypeOf<TokenizationException>().With.Message.Contains("^(a|aa)+$").And.Message.Contains("0.1 s"));
    }

    /// <summary>Each search ends well within its own limit; that there are so many is what takes minutes.</summary>
    [Test]
    [CancelAfter(60_000)]
    public void Slow_matches_together_are_ended_too()
    {
        RegexPattern pattern = RegexPattern.CreateRegex(@"(a|aa)+$|a{18}c?");
        string text = string.Concat(Enumerable.Repeat(new string('a', 24) + "b", 100_000));
        long start = System.Diagnostics.Stopwatch.GetTimestamp();
        Assert.That(
            () => Matches(pattern, text, new EncodingBudget(TimeSpan.FromMilliseconds(300), CancellationToken.None)),
            Throws.TypeOf<TokenizationException>().With.Message.Contains("0.3 s"));
        using CancellationTokenSource cancellation = new(300);
        Assert.That(() => Matches(pattern, text, new EncodingBudget(TimeSpan.MaxValue, cancellation.Token)), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(System.Diagnostics.Stopwatch.GetElapsedTime(start), Is.LessThan(TimeSpan.FromSeconds(20)));
    }

    [TestCase(nameof(SplitBehavior.Isolated), false, "a| | |b| |c")]
    [TestCase(nameof(SplitBehavior.Removed), false, "a|b|c")]
    [TestCase(nameof(SplitBehavior.Removed), true, " | | ")]
    [TestCase(nameof(SplitBehavior.MergedWithPrevious), false, "a | |b |c")]
    [TestCase(nameof(SplitBehavior.MergedWithNext), false, "a| | b| c")]
    [TestCase(nameof(SplitBehavior.Contiguous), false, "a|  |b| |c")]
    public void Delimiters_go_where_the_behaviour_says(string behavior, bool invert, string expected)
    {
        PreTokenizedText text = new(EncodingBudget.Unlimited);
        text.Reset("a  b c".AsMemory(), beginsInput: true);
        text.Split(new LiteralPattern(" "), Enum.Parse<SplitBehavior>(behavior), invert);
        Assert.That(string.Join('|', text.Pieces.ToArray().Select(piece => text.Text.Slice(piece.Start, piece.Length).ToString())), Is.EqualTo(expected));
    }

    private static List<Piece> Matches(ITextPattern pattern, string text, EncodingBudget? budget = null)
    {
        List<Piece> matches = [];
        pattern.Match(text, matches, budget ?? EncodingBudget.Unlimited);
        return matches;
    }
}
