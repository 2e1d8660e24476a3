using Decart.Inference.Tokenization;

namespace Decart.Inference.Tests.Tokenization;

/// <summary>The normalisation forms, with characters from each part of Unicode's own conformance test.</summary>
public class UnicodeNormalizerTests
{
    // Source, NFC, NFD, NFKC, NFKD.
    [TestCase("plain", "plain", "plain", "plain", "plain")]
    [TestCase("\u00E9", "\u00E9", "e\u0301", "\u00E9", "e\u0301")]
    [TestCase("e\u0301", "\u00E9", "e\u0301", "\u00E9", "e\u0301")]
    [TestCase("\u1E9B\u0323", "\u1E9B\u0323", "\u017F\u0323\u0307", "\u1E69", "s\u0323\u0307")]
    [TestCase("D\u0307\u0323", "\u1E0C\u0307", "D\u0323\u0307", "\u1E0C\u0307", "D\u0323\u0307")]
    [TestCase("\uD55C\uAE00", "\uD55C\uAE00", "\u1112\u1161\u11AB\u1100\u1173\u11AF", "\uD55C\uAE00", "\u1112\u1161\u11AB\u1100\u1173\u11AF")]
    [TestCase("\u1112\u1161\u11AB", "\uD55C", "\u1112\u1161\u11AB", "\uD55C", "\u1112\u1161\u11AB")]
    [TestCase("\u212B\u2126", "\u00C5\u03A9", "A\u030A\u03A9", "\u00C5\u03A9", "A\u030A\u03A9")]
    [TestCase("\u0958", "\u0915\u093C", "\u0915\u093C", "\u0915\u093C", "\u0915\u093C")]
    [TestCase("\uFB01\u00BD\u2460", "\uFB01\u00BD\u2460", "\uFB01\u00BD\u2460", "fi1\u20442" + "1", "fi1\u20442" + "1")]
    [TestCase("\U0001D15E", "\U0001D157\U0001D165", "\U0001D157\U0001D165", "\U0001D157\U0001D165", "\U0001D157\U0001D165")]
    [TestCase("\U000110A5\U000110BA", "\U000110AB", "\U000110A5\U000110BA", "\U000110AB", "\U000110A5\U000110BA")]
    [TestCase("\U0002F800", "\u4E3D", "\u4E3D", "\u4E3D", "\u4E3D")]
    [TestCase("\u0385", "\u0385", "\u00A8\u0301", " \u0308\u0301", " \u0308\u0301")]
    [TestCase("\uFF76\uFF9E", "\uFF76\uFF9E", "\uFF76\uFF9E", "\u30AC", "\u30AB\u3099")]
    public void Forms_are_as_in_the_standard(string source, string nfc, string nfd, string nfkc, string nfkd)
    {
        Assert.Multiple(() =>
        {
            Assert.That(Normalize(source, compatibility: false, compose: true), Is.EqualTo(nfc), "NFC");
            Assert.That(Normalize(source, compatibility: false, compose: false), Is.EqualTo(nfd), "NFD");
            Assert.That(Normalize(source, compatibility: true, compose: true), Is.EqualTo(nfkc), "NFKC");
            Assert.That(Normalize(source, compatibility: true, compose: false), Is.EqualTo(nfkd), "NFKD");
        });
    }

    [Test]
    public void Every_character_keeps_its_form_once_it_has_it()
    {
        foreach (bool compatibility in (ReadOnlySpan<bool>)[false, true])
        {
            for (int codePoint = 0; codePoint < 0x30000; codePoint++)
            {
                if (codePoint is >= 0xD800 and <= 0xDFFF) continue;
                string decomposed = Normalize(char.ConvertFromUtf32(codePoint), compatibility, compose: false);
                string composed = Normalize(decomposed, compatibility, compose: true);
                bool stable = Normalize(composed, compatibility, compose: true) == composed && Normalize(composed, compatibility, compose: false) == decomposed;
                if (!stable) Assert.Fail($"U+{codePoint:X4}");
            }
        }
    }

    [Test]
    public void A_long_run_of_marks_is_ordered_promptly()
    {
        string marks = string.Concat(Enumerable.Repeat("\u0301\u0323", 50_000));
        Assert.That(Normalize("e" + marks, compatibility: false, compose: true), Is.EqualTo("\u1EB9" + new string('\u0323', 49_999) + new string('\u0301', 50_000)));
    }

    private static string Normalize(string text, bool compatibility, bool compose) => new UnicodeNormalizer(compatibility, compose).Normalize(text, EncodingBudget.Unlimited);
}
