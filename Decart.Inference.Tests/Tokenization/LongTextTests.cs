using System.Diagnostics;
using System.Text.Json.Nodes;
using Decart.Inference.Tokenization;

namespace Decart.Inference.Tests.Tokenization;

/// <summary>Time grows about linearly with the text, whatever the text.</summary>
public class LongTextTests
{
    private const int Length = 100_000;

    // An idle core takes some 20 ms for the worst of these; a quadratic algorithm takes many seconds.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    private static IEnumerable<TestCaseData> Texts()
    {
        Random random = new(1);
        yield return Case("one letter", new string('a', Length));
        yield return Case("letters", string.Create(Length, random, (text, r) => { foreach (ref char c in text) c = (char)('a' + r.Next(26)); }));
        yield return Case("ideographs", string.Create(Length / 3, random, (text, r) => { foreach (ref char c in text) c = (char)('\u4E00' + r.Next(3000)); }));
        yield return Case("spaces", new string(' ', Length));
        yield return Case("newlines", new string('\n', Length));
        yield return Case("returns and newlines", string.Concat(Enumerable.Repeat("\r\n", Length / 2)));
        yield return Case("spaces before a word", new string(' ', Length) + "x");
        yield return Case("digits", new string('7', Length));
        yield return Case("marks", "e" + new string('\u0301', Length));
        yield return Case("emoji", string.Concat(Enumerable.Repeat("\U0001F469\u200D", Length / 7)));
        yield return Case("half a special token", string.Concat(Enumerable.Repeat("<|", Length / 2)));

        static TestCaseData Case(string name, string text) => new TestCaseData(text).SetArgDisplayNames(name);
    }

    [Test]
    public void Rules_that_multiply_a_text_are_ended([Values("String", "Regex")] string kind)
    {
        JsonObject json = TinyTokenizer.ByteLevel();
        JsonNode?[] rules = [.. Enumerable.Range(0, 5).Select(_ => TinyTokenizer.Parse(
            $$"""{"type":"Replace","pattern":{"{{kind}}":"a"},"content":"{{new string('a', 1000)}}"}"""))];
        json["normalizer"] = new JsonObject { ["type"] = "Sequence", ["normalizers"] = new JsonArray(rules) };
        ITokenizer tokenizer = TinyTokenizer.Load(json);
        Assert.That(() => tokenizer.Encode("a"), Throws.TypeOf<TokenizationException>().With.Message.Contains("1000000000 characters"));
    }

    [TestCaseSource(nameof(Texts))]
    public void Byte_level_BPE(string text)
    {
        JsonObject json = TinyTokenizer.ByteLevel("a a", "aa aa", "aaaa aaaa", "Ġ Ġ", "ĠĠ ĠĠ", "Ċ Ċ", "ĊĊ ĊĊ", "e l", "t h", "i n", "ä ½", "7 7");
        json["pre_tokenizer"] = TinyTokenizer.Parse("""{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}""");
        json["normalizer"] = TinyTokenizer.Parse("""{"type":"NFC"}""");
        json["added_tokens"] = new JsonArray(TinyTokenizer.AddedToken(268, "<|end|>"), TinyTokenizer.AddedToken(269, "<|begin|>"));
        AssertPrompt(TinyTokenizer.Load(json), text, new UnicodeNormalizer(compatibility: false, compose: true).Normalize(text, EncodingBudget.Unlimited));
    }

    [TestCaseSource(nameof(Texts))]
    [NeedsFixtures]
    public void Real_tokenizers(string text)
    {
        AssertPrompt(LlamaTwo.Value, text, text);
        AssertPrompt(LlamaThree.Value, text, text);
    }

    private static Lazy<ITokenizer> LlamaTwo { get; } = new(() => Tokenizer.Load(Fixtures.Path("tokenizers", "llama2")));

    private static Lazy<ITokenizer> LlamaThree { get; } = new(() => Tokenizer.Load(Fixtures.Path("tokenizers", "llama3_1")));

    private static void AssertPrompt(ITokenizer tokenizer, string text, string decoded)
    {
        tokenizer.Encode("warm");
        Stopwatch watch = Stopwatch.StartNew();
        IReadOnlyList<int> ids = tokenizer.Encode(text, addSpecialTokens: false);
        Assert.That(watch.Elapsed, Is.LessThan(Limit));
        Assert.That(tokenizer.Decode(ids), Is.EqualTo(decoded));
    }
}
