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
            var matcher = new StopMatcher(@case.Stops);
            var passed = new StringBuilder();
            foreach (string piece in @case.Pieces)
            {
                passed.Append(matcher.Append(piece));
                if (!expected.StartsWith(passed.ToString(), StringComparison.Ordinal)) return false;
            }
            passed.Append(matcher.Flush());
            return passed.ToString() == expected && matcher.Matched == matched;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
    }

    [Test]
    public void Only_what_could_begin_a_stop_sequence_is_held_back()
    {
        var matcher = new StopMatcher(["###", "\n\n"]);
        Assert.That(matcher.Append("one #"), Is.EqualTo("one "));
        Assert.That(matcher.Append("2"), Is.EqualTo("#2"));
        Assert.That(matcher.Append("##\n"), Is.EqualTo("##"));
        Assert.That(matcher.Append("#"), Is.EqualTo("\n"));
        Assert.That(matcher.Flush(), Is.EqualTo("#"));
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
