using Decart.Inference.Tests.Checkpoints;

namespace Decart.Inference.Tests.Tokenization;

/// <summary>tokenizer.model files made here.</summary>
public class SentencePieceTests
{
    private const int FirstByte = 3, FirstPiece = 259, HelloPiece = FirstPiece + 4, TwoMarkers = FirstPiece + 5, Marker = FirstPiece + 6, User = FirstPiece + 12;

    [TestCase(SentencePieceBytes.Bpe)]
    [TestCase(SentencePieceBytes.Unigram)]
    public void Text_becomes_pieces_and_bytes(int model)
    {
        ITokenizer tokenizer = Load(SentencePieceBytes.Small(model));
        Assert.Multiple(() =>
        {
            Assert.That(tokenizer.Encode("hello"), Is.EqualTo(new[] { 1, HelloPiece }));
            Assert.That(tokenizer.Encode("hello", addSpecialTokens: false), Is.EqualTo(new[] { HelloPiece }));
            Assert.That(tokenizer.Encode("é", addSpecialTokens: false), Is.EqualTo(new[] { Marker, FirstByte + 0xC3, FirstByte + 0xA9 }));
            Assert.That(tokenizer.Encode("</s>hello", addSpecialTokens: false), Is.EqualTo(new[] { 2, HelloPiece }));
            Assert.That(tokenizer.Encode("helloqxhello", addSpecialTokens: false)[1], Is.EqualTo(User));
            Assert.That(tokenizer.Encode(""), Is.EqualTo(new[] { 1 }));
            Assert.That(tokenizer.BosTokenId, Is.EqualTo(1));
            Assert.That(tokenizer.EosTokenIds, Is.EqualTo(new[] { 2 }));
        });
        foreach (string text in (string[])["hello  hello", " hello ", "日本 \U0001F642", "qx", "a\n\tb"])
            Assert.That(tokenizer.Decode(tokenizer.Encode(text)), Is.EqualTo(text));
    }

    [Test]
    public void The_normalizer_follows_the_file()
    {
        ITokenizer plain = Load(SentencePieceBytes.Small(SentencePieceBytes.Bpe, addDummyPrefix: false));
        Assert.That(plain.Encode("  ", addSpecialTokens: false), Is.EqualTo(new[] { TwoMarkers }));
        ITokenizer collapsing = Load(SentencePieceBytes.Small(SentencePieceBytes.Bpe, removeExtraWhitespaces: true));
        Assert.That(collapsing.Encode("  hello   hello ", addSpecialTokens: false), Is.EqualTo(new[] { HelloPiece, HelloPiece }));
    }

    [Test]
    public void The_most_likely_division_wins_in_a_unigram_model()
    {
        // "hello" -4 against "hell" -3 + "o" -11; "he" -2 + "lo" -12 against "he" -2 + "l" -10 + "o" -11.
        ITokenizer tokenizer = Load(SentencePieceBytes.Small(SentencePieceBytes.Unigram, addDummyPrefix: false));
        Assert.That(tokenizer.Encode("hello", addSpecialTokens: false), Is.EqualTo(new[] { FirstPiece + 3 }));
        Assert.That(tokenizer.Encode("helo", addSpecialTokens: false), Is.EqualTo(new[] { FirstPiece + 1, FirstPiece + 11 }));
    }

    [Test]
    public void Files_beside_it_add_tokens_and_say_which_are_special()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(Path.Combine(folder.Path, "tokenizer.model"), SentencePieceBytes.Small(SentencePieceBytes.Bpe));
        folder.Write("added_tokens.json", """{"<|start|>": 272, "<stop>": 273, "</s>": 2}""");
        folder.Write("special_tokens_map.json", """{"eos_token": {"content": "<stop>", "lstrip": false}, "pad_token": null, "additional_special_tokens": ["qx", "hell"]}""");
        ITokenizer tokenizer = Tokenizer.Load(folder.Path);
        Assert.Multiple(() =>
        {
            Assert.That(tokenizer.VocabularySize, Is.EqualTo(274));
            Assert.That(tokenizer.Encode("<|start|><stop>qx</s>", addSpecialTokens: false), Is.EqualTo(new[] { 272, 273, User, 2 }));
            Assert.That(tokenizer.Encode("<|start|>hello", addSpecialTokens: false)[0], Is.EqualTo(272), "in the text as it is, without a space before it");
            Assert.That(tokenizer.EosTokenIds, Is.EqualTo(new[] { 273 }));
            Assert.That(tokenizer.SpecialTokens.Keys, Is.EquivalentTo(new[] { "<unk>", "<s>", "</s>", "<stop>", "qx", "hell" }));
            Assert.That(tokenizer.Decode([272, 273, User]), Is.EqualTo("<|start|>"), "one that nothing calls special is text");
            Assert.That(tokenizer.Encode("hello", addSpecialTokens: false, parseSpecialTokens: false), Is.EqualTo(new[] { Marker, FirstPiece + 1, FirstPiece, FirstPiece + 10 }), "a special token takes part in no merge");
        });
    }

    [TestCase("""{"<a>": 5}""", "\"<a>\"", Description = "the id of another piece")]
    [TestCase("""{"hello": 300}""", "\"hello\"", Description = "a piece that has an id")]
    [TestCase("""{"<a>": 300, "<b>": 300}""", "\"<b>\"", Description = "an id twice")]
    [TestCase("""{"<a>": "300"}""", "\"<a>\"", Description = "an id that is text")]
    public void Added_tokens_that_contradict_the_pieces_are_refused(string json, string field)
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(Path.Combine(folder.Path, "tokenizer.model"), SentencePieceBytes.Small(SentencePieceBytes.Bpe));
        folder.Write("added_tokens.json", json);
        Assert.That(() => Tokenizer.Load(folder.Path), Throws.TypeOf<ModelLoadException>().With.Property("Field").EqualTo(field));
    }

    [Test]
    public void Truncated_files_are_refused_wherever_they_end()
    {
        byte[] whole = SentencePieceBytes.Small(SentencePieceBytes.Bpe);
        int rejected = 0;
        for (int length = 0; length < whole.Length; length += 7)
        {
            try
            {
                Load(whole[..length]);
            }
            catch (ModelLoadException)
            {
                rejected++;
            }
        }
        Assert.That(rejected, Is.GreaterThan(whole.Length / 7 / 2));
    }

    [Test]
    public void What_is_not_supported_is_named()
    {
        SentencePieceBytes mapped = new SentencePieceBytes().Piece("a", 0, SentencePieceBytes.Normal).Message(3, [2 << 3 | 2, 1, 0]);
        Assert.That(() => Load(mapped.ToArray()), Throws.TypeOf<ModelLoadException>().With.Property("Field").EqualTo("normalizer_spec.precompiled_charsmap"));
        Assert.That(() => Load(SentencePieceBytes.Small(4)), Throws.TypeOf<ModelLoadException>().With.Property("Field").EqualTo("trainer_spec.model_type"));
        Assert.That(() => Load(new SentencePieceBytes().Piece("a", 0, 9).ToArray()), Throws.TypeOf<ModelLoadException>().With.Property("Field").EqualTo("pieces[0].type"));
        Assert.That(() => Load(new SentencePieceBytes().Message(2, []).ToArray()), Throws.TypeOf<ModelLoadException>().With.Property("Field").EqualTo("pieces"));
        Assert.That(() => Load([]), Throws.TypeOf<ModelLoadException>().With.Message.Contains("found an empty file"));
    }

    private static ITokenizer Load(byte[] bytes)
    {
        using TemporaryFolder folder = new();
        folder.Write("tokenizer.model", bytes);
        return Tokenizer.Load(folder.Path);
    }
}
