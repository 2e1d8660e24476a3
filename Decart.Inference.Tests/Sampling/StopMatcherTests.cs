using System.Text;
using Decart.Inference.Sampling;
using FsCheck;
using FsCheck.Fluent;

namespace Decart.Inference.Tests.Sampling;

public class StopMatcherTests
{
    /// <summary>Texts over two letters, cut into pieces, and stop sequences that occur in them often and overlap.</summary>
    [Test]
    public void Any_cutting_gives_what_a_search_in_the_whole_text_gives()
    {
        Gen<string> text = Gen.Elements('a', 'b').ArrayOf().Select(letters => new string(letters));
        Gen<string> stop = Gen.Elements('a', 'b').NonEmptyListOf().Select(letters => string.Concat(letters.Take(6)));
        var cases =
            from pieces in text.ListOf()
            from stops in stop.NonEmptyListOf()
            select (Pieces: pieces.ToArray(), Stops: stops.Take(4).ToArray());

        Prop.ForAll(cases.ToArbitrary(), @case =>
        {
            (string expected, bool matched) = Search(string.Concat(@case.Pieces), @case.Stops);
            var matcher = MatcherOf(@case.Stops);
            var passed = new StringBuilder();
            foreach (string piece in @case.Pieces)
            {
                passed.Append(matcher.Append(piece));
                if (!expected.StartsWith(passed.ToString(), StringComparison.Ordinal)) return false;
            }
            passed.Append(matcher.Flush());
            return passed.ToString() == expected && matcher.Matched is not null == matched;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
    }

    [Test]
    public void Only_what_could_begin_a_stop_sequence_is_held_back()
    {
        var matcher = MatcherOf("###", "\n\n");
        Assert.That(matcher.Append("one #"), Is.EqualTo("one "));
        Assert.That(matcher.Append("2"), Is.EqualTo("#2"));
        Assert.That(matcher.Append("##\n"), Is.EqualTo("##"));
        Assert.That(matcher.Append("#"), Is.EqualTo("\n"));
        Assert.That(matcher.Flush(), Is.EqualTo("#"));
    }

    /// <summary>Text in which special tokens stand (T, U), which have no characters, and stop sequences that name them.</summary>
    [Test]
    public void Any_cutting_gives_what_a_search_with_tokens_gives()
    {
        Gen<string> text = Gen.Elements('a', 'b', 'T', 'U').ArrayOf().Select(letters => new string(letters));
        Gen<string> stop = Gen.Elements('a', 'b', 'T').NonEmptyListOf().Select(letters => string.Concat(letters.Take(4)));
        var cases =
            from symbols in text
            from stops in stop.NonEmptyListOf()
            select (Symbols: symbols, Stops: stops.Take(4).ToArray());

        Prop.ForAll(cases.ToArbitrary(), @case =>
        {
            (string expected, bool matched) = SearchWithTokens(@case.Symbols, @case.Stops);
            var matcher = new StopMatcher(AutomatonOf(@case.Stops, tokens: false), AutomatonOf([.. @case.Stops.Where(stop => stop.Contains('T'))], tokens: true));
            var passed = new StringBuilder();
            foreach (char symbol in @case.Symbols)
            {
                passed.Append(char.IsUpper(symbol) ? matcher.AppendToken(symbol) : matcher.Append(symbol.ToString()));
                if (!expected.StartsWith(passed.ToString(), StringComparison.Ordinal)) return false;
            }
            passed.Append(matcher.Flush());
            return passed.ToString() == expected && matcher.Matched is not null == matched;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
    }

    [Test]
    public void The_sequence_that_matched_is_named()
    {
        StopMatcher matcher = MatcherOf("bc", "abc", "d");
        Assert.That(matcher.Append("xabcd"), Is.EqualTo("x"));
        Assert.That(matcher.Matched, Is.EqualTo("abc"));
        Assert.That(matcher.Append("more") + matcher.Flush(), Is.Empty);
    }

    /// <summary>Sequences that all nearly match at every character: compared one by one they would take minutes.</summary>
    [Test]
    [CancelAfter(20_000)]
    public void Many_long_sequences_take_no_longer_than_one()
    {
        string[] stops = [.. Enumerable.Range(0, 300).Select(i => new string('a', 200) + i)];
        StopMatcher matcher = MatcherOf(stops);
        var passed = new StringBuilder();
        long start = System.Diagnostics.Stopwatch.GetTimestamp();
        for (int i = 0; i < 100_000; i++) passed.Append(matcher.Append("aaaa"));
        passed.Append(matcher.Flush());
        Assert.That(passed.Length, Is.EqualTo(400_000));
        Assert.That(System.Diagnostics.Stopwatch.GetElapsedTime(start), Is.LessThan(TimeSpan.FromSeconds(2)));
    }

    private static StopMatcher MatcherOf(params string[] stops) => new(AutomatonOf(stops, tokens: false), null);

    private static StopAutomaton? AutomatonOf(string[] stops, bool tokens) => stops.Length == 0 ? null : new(stops.Select(stop =>
        (stop, (IReadOnlyList<int>)[.. stop.Select(symbol => tokens && char.IsUpper(symbol) ? StopAutomaton.TokenSymbol(symbol) : (int)symbol)])));

    /// <summary>At each symbol: sequences of text end in the visible text, those with tokens in the symbols; the longest text is cut off.</summary>
    private static (string Text, bool Matched) SearchWithTokens(string symbols, string[] stops)
    {
        string visible = "";
        for (int end = 1; end <= symbols.Length; end++)
        {
            if (!char.IsUpper(symbols[end - 1])) visible += symbols[end - 1];
            int[] lengths =
            [
                .. stops.Where(stop => !char.IsUpper(symbols[end - 1]) && visible.EndsWith(stop, StringComparison.Ordinal)).Select(stop => stop.Length),
                .. stops.Where(stop => stop.Contains('T') && symbols[..end].EndsWith(stop, StringComparison.Ordinal)).Select(stop => stop.Count(char.IsLower)),
            ];
            if (lengths.Length > 0) return (visible[..^lengths.Max()], true);
        }
        return (visible, false);
    }

    private static (string Text, bool Matched) Search(string text, string[] stops)
    {
        for (int end = 1; end <= text.Length; end++)
        {
            int longest = stops.Where(stop => text[..end].EndsWith(stop, StringComparison.Ordinal)).Select(stop => stop.Length).DefaultIfEmpty().Max();
            if (longest > 0) return (text[..(end - longest)], true);
        }
        return (text, false);
    }
}
