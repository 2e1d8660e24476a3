using System.Text.Json.Nodes;

namespace Decart.Inference.Tests.Tokenization;

/// <summary>Each part of tokenizer.json on its own, with small tokenizers made here.</summary>
public class TokenizerJsonTests
{
    [Test]
    public void Merges_happen_in_the_order_of_their_ranks_and_from_the_left()
    {
        ITokenizer tokenizer = TinyTokenizer.Load(TinyTokenizer.ByteLevel("b c", "a b", "a a", "aa a"));
        Assert.Multiple(() =>
        {
            Assert.That(tokenizer.Encode("abc"), Is.EqualTo(new[] { 'a', 256 }));
            Assert.That(tokenizer.Encode("aaaaa"), Is.EqualTo(new[] { 258, 259 }));
            Assert.That(tokenizer.Encode("ab"), Is.EqualTo(new[] { 257 }));
        });
    }

    [Test]
    public void Merges_may_be_pairs()
    {
        JsonObject json = TinyTokenizer.ByteLevel("a b");
        json["model"]!["merges"] = new JsonArray(new JsonArray("a", "b"));
        Assert.That(TinyTokenizer.Load(json).Encode("ab"), Is.EqualTo(new[] { 256 }));
    }

    [TestCase(true, new[] { 258 })]
    [TestCase(false, new[] { 256, 99 })]
    public void A_whole_piece_outranks_merges_when_they_are_ignored(bool ignore, int[] expected)
    {
        JsonObject json = TinyTokenizer.ByteLevel("a b", "b c");
        json["model"]!["vocab"]!.AsObject().Add("abc", 258);
        json["model"]!["ignore_merges"] = ignore;
        Assert.That(TinyTokenizer.Load(json).Encode("abc"), Is.EqualTo(expected));
    }

    [TestCase("")]
    [TestCase("\0\0")]
    [TestCase("a\r\n\tb  c ")]
    [TestCase("naïve 你好 👩‍👩‍👧‍👦 e\u0301 \U00010400")]
    public void Byte_level_text_comes_back_as_it_was(string text)
    {
        ITokenizer tokenizer = TinyTokenizer.Load(TinyTokenizer.ByteLevel("Ġ Ġ"));
        Assert.That(tokenizer.Decode(tokenizer.Encode(text)), Is.EqualTo(text));
    }

    [Test]
    public void Lone_surrogates_become_replacement_characters()
    {
        ITokenizer tokenizer = TinyTokenizer.Load(TinyTokenizer.ByteLevel());
        Assert.That(tokenizer.Decode(tokenizer.Encode("a\uD800b\uDC00\uD83D\uDE00\uD83D")), Is.EqualTo("a\uFFFDb\uFFFD\U0001F600\uFFFD"));
    }

    [Test]
    public void Added_tokens_follow_their_flags()
    {
        JsonObject json = TinyTokenizer.ByteLevel();
        json["added_tokens"] = new JsonArray(
            TinyTokenizer.AddedToken(256, "<s>", lstrip: true, rstrip: true),
            TinyTokenizer.AddedToken(257, "<s>x"),
            TinyTokenizer.AddedToken(258, "word", special: false, singleWord: true));
        ITokenizer tokenizer = TinyTokenizer.Load(json);
        Assert.Multiple(() =>
        {
            Assert.That(tokenizer.Encode("a \t<s> \nb"), Is.EqualTo(new[] { 'a', 256, 'b' }));
            Assert.That(tokenizer.Encode("<s>x"), Is.EqualTo(new[] { 257 }), "the longest");
            Assert.That(tokenizer.Encode("a-word"), Is.EqualTo(new[] { 'a', '-', 258 }));
            Assert.That(tokenizer.Encode("words"), Is.EqualTo("words".Select(character => (int)character)));
            Assert.That(tokenizer.Decode([256, 'a', 258, 257]), Is.EqualTo("aword"), "special tokens are left out");
            Assert.That(tokenizer.GetTokenBytes(256).IsEmpty);
            Assert.That(tokenizer.GetTokenBytes(258).ToArray(), Is.EqualTo("word"u8.ToArray()));
            Assert.That(tokenizer.VocabularySize, Is.EqualTo(259));
        });
    }

    [TestCase("always", "ab ab", new[] { 1, 2, 3, 1, 2, 3 })]
    [TestCase("first", "ab ab", new[] { 1, 2, 3, 1, 2, 3 })]
    [TestCase("never", "ab ab", new[] { 2, 3, 1, 2, 3 })]
    [TestCase("first", "<s>ab", new[] { 5, 2, 3 })]
    [TestCase("always", "<s>ab", new[] { 5, 1, 2, 3 })]
    public void Metaspace_puts_its_marker_where_the_scheme_says(string scheme, string text, int[] expected)
    {
        JsonObject json = TinyTokenizer.Characters(["<unk>", "▁", "a", "b", "▁a"]);
        json["pre_tokenizer"] = new JsonObject { ["type"] = "Metaspace", ["replacement"] = "▁", ["prepend_scheme"] = scheme, ["split"] = true };
        json["decoder"] = json["pre_tokenizer"]!.DeepClone();
        json["added_tokens"] = new JsonArray(TinyTokenizer.AddedToken(5, "<s>"));
        ITokenizer tokenizer = TinyTokenizer.Load(json);
        Assert.That(tokenizer.Encode(text), Is.EqualTo(expected));
        Assert.That(tokenizer.Decode(tokenizer.Encode(text)), Is.EqualTo(text.Replace("<s>", "", StringComparison.Ordinal)));
    }

    [Test]
    public void Unknown_characters_become_bytes_or_the_unknown_token()
    {
        JsonObject json = TinyTokenizer.Characters(["<unk>", "a"]);
        json["model"]!["fuse_unk"] = true;
        Assert.That(TinyTokenizer.Load(json).Encode("a??a?"), Is.EqualTo(new[] { 1, 0, 1, 0 }));
        json["model"]!["fuse_unk"] = false;
        Assert.That(TinyTokenizer.Load(json).Encode("a??"), Is.EqualTo(new[] { 1, 0, 0 }));
        JsonObject bytes = TinyTokenizer.Characters(["<unk>", "a", .. Enumerable.Range(0, 256).Select(value => $"<0x{value:X2}>")]);
        bytes["model"]!["byte_fallback"] = true;
        bytes["decoder"] = TinyTokenizer.Parse("""{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"}]}""");
        ITokenizer tokenizer = TinyTokenizer.Load(bytes);
        Assert.That(tokenizer.Encode("aé"), Is.EqualTo(new[] { 1, 2 + 0xC3, 2 + 0xA9 }));
        Assert.That(tokenizer.Decode([1, 2 + 0xC3, 2 + 0xA9, 2 + 0xC3, 1]), Is.EqualTo("aéa".Insert(2, "\uFFFD")));
        Assert.That(tokenizer.GetTokenBytes(2 + 0xC3).ToArray(), Is.EqualTo(new byte[] { 0xC3 }));
    }

    [Test]
    public void Words_are_merged_apart_only_where_no_merge_joins_them()
    {
        string[] pieces = ["<unk>", "▁", "a", "b", "▁a", "a▁"];
        const string Text = "a▁a▁▁ab";
        Assert.That(TinyTokenizer.Load(TinyTokenizer.Characters(pieces, "▁ a")).Encode(Text), Is.EqualTo(new[] { 2, 4, 1, 4, 3 }));
        Assert.That(TinyTokenizer.Load(TinyTokenizer.Characters(pieces, "a ▁", "▁ a")).Encode(Text), Is.EqualTo(new[] { 5, 5, 4, 3 }));
    }

    [Test]
    public void A_template_puts_tokens_around_the_text()
    {
        JsonObject json = TinyTokenizer.ByteLevel();
        json["added_tokens"] = new JsonArray(TinyTokenizer.AddedToken(256, "<s>"), TinyTokenizer.AddedToken(257, "</s>"));
        json["post_processor"] = TinyTokenizer.Parse("""
            {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}}],
             "special_tokens":{"<s>":{"id":"<s>","ids":[256],"tokens":["<s>"]},"</s>":{"id":"</s>","ids":[257],"tokens":["</s>"]}}}
            """);
        ITokenizer tokenizer = TinyTokenizer.Load(json);
        Assert.That(tokenizer.Encode("a"), Is.EqualTo(new[] { 256, 'a', 257 }));
        Assert.That(tokenizer.Encode("a", addSpecialTokens: false), Is.EqualTo(new[] { 'a' }));
        Assert.That(tokenizer.Encode(""), Is.EqualTo(new[] { 256, 257 }));
    }

    [Test]
    public void The_other_files_say_what_begins_and_ends_a_text()
    {
        JsonObject json = TinyTokenizer.ByteLevel();
        json["added_tokens"] = new JsonArray(TinyTokenizer.AddedToken(256, "<s>"), TinyTokenizer.AddedToken(257, "</s>"), TinyTokenizer.AddedToken(258, "<turn>"));
        ITokenizer tokenizer = TinyTokenizer.Load(
            json,
            ("tokenizer_config.json", """{"bos_token":{"content":"<s>"},"eos_token":"<turn>","add_bos_token":true}"""),
            ("generation_config.json", """{"eos_token_id":[257,258],"bos_token_id":0}"""));
        Assert.That(tokenizer.BosTokenId, Is.EqualTo(256));
        Assert.That(tokenizer.EosTokenIds, Is.EqualTo(new[] { 257, 258 }));
        Assert.That(tokenizer.Encode("a"), Is.EqualTo(new[] { 256, 'a' }), "add_bos_token without a post-processor");
        ITokenizer bare = TinyTokenizer.Load(json, ("config.json", """{"bos_token_id":256,"eos_token_id":257}"""));
        Assert.That(bare.BosTokenId, Is.EqualTo(256));
        Assert.That(bare.EosTokenIds, Is.EqualTo(new[] { 257 }));
        Assert.That(TinyTokenizer.Load(json).BosTokenId, Is.Null);
        Assert.That(TinyTokenizer.Load(json).EosTokenIds, Is.Empty);
    }

    [Test]
    public void Ids_outside_the_vocabulary_are_refused()
    {
        ITokenizer tokenizer = TinyTokenizer.Load(TinyTokenizer.ByteLevel());
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Decode([256]));
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.GetTokenBytes(-1));
        Assert.Throws<ArgumentNullException>(() => tokenizer.Encode(null!));
    }

    [Test]
    public void Threads_share_a_tokenizer()
    {
        ITokenizer tokenizer = TinyTokenizer.Load(TinyTokenizer.ByteLevel("a b", "c d", "ab cd", "Ġ a"));
        string[] texts = [.. Enumerable.Range(0, 200).Select(seed => string.Join(' ', Enumerable.Range(0, 40).Select(i => "abcd"[(seed + i) % 4] + "abcd"[..(i % 5)])))];
        int[][] expected = [.. texts.Select(text => tokenizer.Encode(text).ToArray())];
        Parallel.For(0, 2000, i => Assert.That(tokenizer.Encode(texts[i % texts.Length]), Is.EqualTo(expected[i % texts.Length])));
    }
}
