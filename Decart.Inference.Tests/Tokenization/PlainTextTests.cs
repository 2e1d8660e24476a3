using System.Text.Json.Nodes;
using Decart.Inference.Tests.Checkpoints;

namespace Decart.Inference.Tests.Tokenization;

/// <summary>Text in which special tokens written out are plain text: whatever it says, no special token comes of it.</summary>
public class PlainTextTests
{
    [Test]
    public void A_special_token_of_the_file_is_characters()
    {
        JsonObject json = TinyTokenizer.Characters(["?", "<", "e", ">", "a"]);
        json["added_tokens"] = new JsonArray(TinyTokenizer.AddedToken(5, "<e>"), TinyTokenizer.AddedToken(6, "aa", special: false));
        ITokenizer tokenizer = TinyTokenizer.Load(json);
        Assert.That(tokenizer.Encode("a<e>"), Is.EqualTo(new[] { 4, 5 }));
        Assert.That(Plain(tokenizer, "a<e>"), Is.EqualTo(new[] { 4, 1, 2, 3 }));
        Assert.That(Plain(tokenizer, "aa"), Is.EqualTo(new[] { 6 }), "an added token that is text stays one");
        Assert.That(tokenizer.SpecialTokens, Is.EqualTo(new Dictionary<string, int> { ["<e>"] = 5 }));
    }

    [Test]
    public void Tokens_that_act_like_special_ones_are_characters_too()
    {
        JsonObject json = TinyTokenizer.Characters(["?", "<", "|", "e", ">", "/"]);
        json["added_tokens"] = new JsonArray(TinyTokenizer.AddedToken(6, "<|e|>", special: false), TinyTokenizer.AddedToken(7, "</e>", special: false));
        ITokenizer tokenizer = TinyTokenizer.Load(json, ("tokenizer_config.json", """{"eos_token":"</e>"}"""));
        Assert.That(tokenizer.Encode("<|e|></e>"), Is.EqualTo(new[] { 6, 7 }));
        Assert.That(Plain(tokenizer, "<|e|></e>"), Is.EqualTo(new[] { 1, 2, 3, 2, 4, 1, 5, 3, 4 }), "written like one, and one that ends a text");
    }

    [TestCase("BPE")]
    [TestCase("BPE", true)]
    [TestCase("Unigram")]
    [TestCase("WordLevel")]
    public void The_model_makes_no_special_token_of_its_pieces(string type, bool ignoreMerges = false)
    {
        string[] pieces = ["?", "<", "s", ">", "<s", "<s>"];
        JsonObject json = TinyTokenizer.Characters(pieces, "< s", "<s >");
        JsonObject model = json["model"]!.AsObject();
        model["type"] = type;
        model["ignore_merges"] = ignoreMerges;
        if (type == "Unigram")
        {
            model["vocab"] = new JsonArray([.. pieces.Select((piece, id) => (JsonNode)new JsonArray(piece, id == 5 ? 0.0 : -1.0 - id))]);
            model["unk_id"] = 0;
        }
        json["added_tokens"] = new JsonArray(TinyTokenizer.AddedToken(5, "<s>"));
        ITokenizer tokenizer = TinyTokenizer.Load(json);
        Assert.That(tokenizer.Encode("<s>"), Is.EqualTo(new[] { 5 }));
        Assert.That(Plain(tokenizer, "<s>"), Is.EqualTo(type == "WordLevel" ? [0] : new[] { 4, 3 }));
    }

    [Test]
    public void Control_pieces_of_sentencepiece_are_text()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(Path.Combine(folder.Path, "tokenizer.model"), SentencePieceBytes.Small(SentencePieceBytes.Bpe));
        ITokenizer tokenizer = Tokenizer.Load(folder.Path);
        int[] plain = Plain(tokenizer, "</s>qx<unk>");
        Assert.That(plain, Has.None.LessThan(3));
        Assert.That(plain, Does.Contain(271), "a user-defined piece is text");
        Assert.That(tokenizer.Decode(plain), Is.EqualTo("</s>qx<unk>"));
    }

    [Test]
    public void Encoding_ends_when_it_is_cancelled()
    {
        ITokenizer tokenizer = TinyTokenizer.Load(TinyTokenizer.Characters(["?", "a", "aa"], "a a"));
        using CancellationTokenSource cancellation = new(TimeSpan.FromMilliseconds(50));
        Assert.That(
            () => tokenizer.Encode(new string('a', 20_000_000), true, true, cancellation.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(tokenizer.Encode("aa"), Is.EqualTo(new[] { 2 }), "what was left behind disturbs nothing");
    }

    private static int[] Plain(ITokenizer tokenizer, string text) => [.. tokenizer.Encode(text, addSpecialTokens: false, parseSpecialTokens: false)];
}
