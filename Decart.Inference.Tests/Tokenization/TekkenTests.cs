using System.Text;
using System.Text.Json.Nodes;
using Decart.Inference.Tests.Checkpoints;

namespace Decart.Inference.Tests.Tokenization;

/// <summary>tekken.json files made here, against a plain search for the pair that comes first in the vocabulary.</summary>
public class TekkenTests
{
    private const string Pattern =
        @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
        + @"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const int Special = 100;

    private static readonly string[] Merged = ["th", "he", " t", "the", " the", "ll", "llo", "hello", "ö", "日本", "  ", "ab", "bc", "abc"];

    [TestCase("the  hello", new[] { "the", " ", " ", "hello" }, Description = "the second space belongs to the word")]
    [TestCase("日本", new[] { "日本" }, Description = "a whole word that is a token is taken, though no merges lead there")]
    [TestCase("日本ö", new[] { "\u00E6", "\u0097", "\u00A5", "\u00E6", "\u009C", "\u00AC", "ö" }, Description = "none lead there in a longer word")]
    [TestCase(" the thé", new[] { " the", " ", "th", "\u00C3", "\u00A9" }, Description = "th comes before a space and t")]
    [TestCase("abcd", new[] { "abc", "d" })]
    [TestCase("bbcb", new[] { "b", "bc", "b" })]
    [TestCase("12", new[] { "1", "2" })]
    public void Ids_are_ranks_after_the_special_tokens(string text, string[] pieces)
    {
        ITokenizer tokenizer = Load(Tekken());
        int[] expected = [.. pieces.Select(IdOf)];
        Assert.That(tokenizer.Encode(text, addSpecialTokens: false), Is.EqualTo(expected));
        Assert.That(tokenizer.Encode(text), Is.EqualTo(new[] { 1 }.Concat(Reference(text))));
        Assert.That(tokenizer.Decode(tokenizer.Encode(text)), Is.EqualTo(text));
    }

    [Test]
    public void Special_tokens_have_the_first_ids()
    {
        ITokenizer unlisted = Load(Tekken());
        Assert.Multiple(() =>
        {
            Assert.That(unlisted.VocabularySize, Is.EqualTo(Special + 256 + Merged.Length));
            Assert.That((unlisted.BosTokenId, unlisted.EosTokenIds[0]), Is.EqualTo(((int?)1, 2)));
            Assert.That(unlisted.Encode("[INST]a[/INST]</s><SPECIAL_42>", addSpecialTokens: false), Is.EqualTo(new[] { 3, Special + 'a', 4, 2, 42 }));
            Assert.That(unlisted.Decode([3, Special + 'a', 4, 2]), Is.EqualTo("a"));
            Assert.That(unlisted.Encode("</s>", addSpecialTokens: false, parseSpecialTokens: false), Has.All.GreaterThanOrEqualTo(Special));
        });
        JsonObject json = Tekken();
        json["special_tokens"] = new JsonArray(Token(0, "<unk>"), Token(1, "<s>"), Token(2, "</s>"), Token(30, "[THINK]"));
        json["config"]!["version"] = "v13";
        ITokenizer listed = Load(json);
        Assert.That(listed.Encode("[THINK][INST]", addSpecialTokens: false).Take(2), Is.EqualTo(new[] { 30, Special + '[' }));

        static JsonObject Token(int rank, string text) => new() { ["rank"] = rank, ["token_str"] = text, ["is_control"] = true };
    }

    [Test]
    public void The_vocabulary_is_cut_to_its_default_size()
    {
        JsonObject json = Tekken();
        json["config"]!["default_vocab_size"] = Special + 256 + 3;
        ITokenizer tokenizer = Load(json);
        Assert.That(tokenizer.Encode(" the", addSpecialTokens: false), Is.EqualTo(new[] { Special + ' ', Special + 256, Special + 'e' }));
        Assert.That(tokenizer.VocabularySize, Is.EqualTo(Special + 259));
    }

    [TestCase("config.default_vocab_size", "100000", "vocab")]
    [TestCase("config.default_vocab_size", "150", "config.default_vocab_size")]
    [TestCase("config.pattern", "\"(\"", "config.pattern")]
    [TestCase("config.version", "\"v11\"", null)]
    [TestCase("config.version", "3", "config.version")]
    [TestCase("vocab", "7", "vocab")]
    [TestCase("special_tokens", """[{"rank":100,"token_str":"x"}]""", "special_tokens[0].rank")]
    [TestCase("special_tokens", """[{"rank":1,"token_str":"x"},{"rank":2,"token_str":"x"}]""", "special_tokens[1].token_str")]
    public void What_is_wrong_is_named(string path, string value, string? field)
    {
        JsonObject json = Tekken();
        JsonNode parent = path.Contains('.') ? json["config"]! : json;
        parent[path.Split('.')[^1]] = JsonNode.Parse(value);
        Assert.That(() => Load(json), Throws.TypeOf<ModelLoadException>().With.Property("Field").EqualTo(field).And.Message.Contains("tekken.json"));
    }

    [TestCase("token_bytes", "\"?\"")]
    [TestCase("token_bytes", "\"\"")]
    [TestCase("token_bytes", "\"Yg==\"", Description = "another byte's")]
    [TestCase("rank", "3")]
    public void A_token_that_is_wrong_is_named(string member, string value)
    {
        JsonObject json = Tekken();
        json["vocab"]![5]![member] = JsonNode.Parse(value);
        Assert.That(() => Load(json), Throws.TypeOf<ModelLoadException>().With.Property("Field").EqualTo($"vocab[5].{member}"));
    }

    internal static JsonObject Tekken()
    {
        IEnumerable<byte[]> tokens = Enumerable.Range(0, 256).Select(value => new[] { (byte)value }).Concat(Merged.Select(Encoding.UTF8.GetBytes));
        return new JsonObject
        {
            ["config"] = new JsonObject
            {
                ["pattern"] = Pattern,
                ["num_vocab_tokens"] = 1000,
                ["default_vocab_size"] = Special + 256 + Merged.Length,
                ["default_num_special_tokens"] = Special,
                ["version"] = "v3",
            },
            ["vocab"] = new JsonArray([.. tokens.Select((bytes, rank) => (JsonNode)new JsonObject { ["rank"] = rank, ["token_bytes"] = Convert.ToBase64String(bytes), ["token_str"] = null })]),
        };
    }

    private static ITokenizer Load(JsonObject json)
    {
        using TemporaryFolder folder = new();
        folder.Write("tekken.json", json.ToJsonString());
        return Tokenizer.Load(folder.Path);
    }

    private static int IdOf(string piece) => Special + (Array.IndexOf(Merged, piece) is >= 0 and int index ? 256 + index : piece[0]);

    /// <summary>The rule of tiktoken, word by word: the whole word if it is a token, else the neighbours are joined whose joint token comes first.</summary>
    private static List<int> Reference(string text)
    {
        List<int> ids = [];
        foreach (System.Text.RegularExpressions.Match word in System.Text.RegularExpressions.Regex.Matches(text, Pattern))
        {
            List<string> parts = [.. Encoding.UTF8.GetBytes(word.Value).Select(value => ((char)value).ToString())];
            if (RankOf(string.Concat(parts)) is not null) parts = [string.Concat(parts)];
            while (parts.Count > 1)
            {
                int[] ranks = [.. parts.Zip(parts.Skip(1), (left, right) => RankOf(left + right) ?? int.MaxValue)];
                int best = Array.IndexOf(ranks, ranks.Min());
                if (ranks[best] == int.MaxValue) break;
                parts[best] += parts[best + 1];
                parts.RemoveAt(best + 1);
            }
            ids.AddRange(parts.Select(part => Special + RankOf(part)!.Value));
        }
        return ids;
    }

    private static int? RankOf(string bytes)
    {
        if (bytes.Length == 1) return bytes[0];
        int index = Array.FindIndex(Merged, token => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(token)) == bytes);
        return index < 0 ? null : 256 + index;
    }
}
