using Decart.Inference.Checkpoints;
using Decart.Inference.Tests.Checkpoints;

namespace Decart.Inference.Tests.Tokenization;

/// <summary>Tokenizers in the metadata of GGUF files made here.</summary>
public class GgufTokenizerTests
{
    private const int Normal = 1, Unknown = 2, Control = 3, UserDefined = 4;

    [Test]
    public void Scores_decide_what_is_merged()
    {
        ITokenizer tokenizer = Read(Scored());
        Assert.Multiple(() =>
        {
            Assert.That(tokenizer.Encode("abc"), Is.EqualTo(new[] { 1, 3, 7, 6 }), "ab has a larger score than bc");
            Assert.That(tokenizer.Encode("</s>?", addSpecialTokens: false), Is.EqualTo(new[] { 2, 3, 0 }), "a space after a special token, and no byte tokens");
            Assert.That(tokenizer.Encode("", addSpecialTokens: true), Is.EqualTo(new[] { 1 }));
            Assert.That(tokenizer.Decode(tokenizer.Encode("ab bc")), Is.EqualTo("ab bc"));
            Assert.That(tokenizer.GetTokenBytes(3).ToArray(), Is.EqualTo(" "u8.ToArray()));
            Assert.That(tokenizer.BosTokenId, Is.EqualTo(1));
            Assert.That(tokenizer.EosTokenIds, Is.EqualTo(new[] { 2 }));
        });
    }

    [Test]
    public void The_space_in_front_is_left_out_when_the_file_says_so()
    {
        GgufBytes file = Scored().Add("tokenizer.ggml.add_space_prefix", GgufValueKind.Boolean, writer => writer.Write(false));
        Assert.That(Read(file).Encode("a", addSpecialTokens: false), Is.EqualTo(new[] { 4 }));
    }

    [Test]
    public void Byte_level_tokens_are_split_by_the_rule_of_the_file()
    {
        ITokenizer starcoder = Read(ByteLevel("starcoder")), gpt2 = Read(ByteLevel("gpt-2"));
        Assert.That(gpt2.Encode("11<|im_end|>"), Is.EqualTo(new[] { 2, 3 }));
        Assert.That(starcoder.Encode("11<|im_end|>"), Is.EqualTo(new[] { 1, 1, 3 }));
        Assert.That(gpt2.EosTokenIds, Does.Contain(3));
        Assert.That(gpt2.Decode([0, 2, 4, 3]), Is.EqualTo(" 11<tool>"));
    }

    [Test]
    public void Bytes_that_no_token_has_are_left_out()
    {
        GgufBytes file = ByteLevel("gpt-2").Add("tokenizer.ggml.unknown_token_id", GgufValueKind.UInt32, writer => writer.Write(3u));
        Assert.That(Read(file).Encode("1z1 \U000E0067"), Is.EqualTo(new[] { 1, 1, 0 }));
    }

    [Test]
    public void Every_known_rule_divides_text_and_loses_none_of_it()
    {
        const string Text = "Hello, they'll say 12345 times: naïve 你好 \U0001D400\U0001F600\r\n\t x  \n";
        foreach (string pre in Decart.Inference.Tokenization.GgufSplitRule.All.Keys)
        {
            ITokenizer tokenizer = Read(AllBytes(pre));
            Assert.That(tokenizer.Decode(tokenizer.Encode(Text, addSpecialTokens: false)), Is.EqualTo(Text), pre);
        }
    }

    /// <summary>4294967295 is a converter's -1.</summary>
    [Test]
    public void Special_ids_of_no_token_are_passed_over_with_a_warning()
    {
        GgufBytes file = Scored();
        foreach (string key in (string[])["bos", "eot", "unknown"])
            file.Add($"tokenizer.ggml.{key}_token_id", GgufValueKind.UInt32, writer => writer.Write(uint.MaxValue));
        ITokenizer tokenizer = Read(file);
        Assert.That((tokenizer.BosTokenId, tokenizer.Encode("ab").Count), Is.EqualTo(((int?)null, 2)), "neither BOS nor an unknown token");
        Assert.That(tokenizer.EosTokenIds, Is.EqualTo(new[] { 2 }));
        Assert.That(((Decart.Inference.Tokenization.TextTokenizer)tokenizer).Warnings, Has.Exactly(3).Contains("4294967295"));
    }

    [Test]
    public void The_chat_templates_end_token_ends_a_text()
    {
        GgufBytes file = Strings(ByteLevel("gpt-2"), "tokenizer.chat_template", "{{ message['content'] + '<tool>' }}");
        Assert.That(Read(file).EosTokenIds, Is.EqualTo(new[] { 3 }), "a token that is text does not");
        GgufBytes done = Strings(Merges(Model("gpt2", ["a", "<done>"], [Normal, Control])), "tokenizer.chat_template", "{{ message['content'] + '<done>' }}");
        Assert.That(Read(done).EosTokenIds, Is.EqualTo(new[] { 1 }));
    }

    [Test]
    public void What_is_wrong_is_named()
    {
        AssertWrong("tokenizer.ggml.pre", ByteLevel("martian"));
        AssertWrong("tokenizer.ggml.model", Strings(new GgufBytes(), "tokenizer.ggml.model", "bert"));
        AssertWrong("tokenizer.ggml.merges[0]", Merges(Model("gpt2", ["a", "b"], [Normal, Normal]), "a b"));
        AssertWrong("tokenizer.ggml.tokens[1]", Model("gpt2", ["a", "a"], [Normal, Normal]));
        AssertWrong("tokenizer.ggml.token_type", Model("gpt2", ["a", "b"], [Normal]));
        AssertWrong("tokenizer.ggml.scores", Scores(Model("llama", ["a", "b"], [Normal, Normal]), [0]));
        AssertWrong("tokenizer.ggml.tokens", Strings(new GgufBytes(), "tokenizer.ggml.model", "gpt2"));
    }

    private static void AssertWrong(string field, GgufBytes file) =>
        Assert.That(() => Read(file), Throws.TypeOf<ModelLoadException>().With.Property("Field").EqualTo(field));

    /// <summary>A vocabulary of the SentencePiece kind.</summary>
    internal static GgufBytes Scored() => Scores(
        Model("llama", ["<unk>", "<s>", "</s>", "▁", "a", "b", "c", "ab", "bc"], [Unknown, Control, Control, Normal, Normal, Normal, Normal, Normal, Normal]),
        [0, 0, 0, -5, -5, -5, -5, -1, -2]);

    private static GgufBytes ByteLevel(string pre)
    {
        GgufBytes model = Model("gpt2", ["Ġ", "1", "11", "<|im_end|>", "<tool>"], [Normal, Normal, Normal, Control, UserDefined]);
        return Merges(Strings(model, "tokenizer.ggml.pre", pre), "1 1");
    }

    private static GgufBytes AllBytes(string pre)
    {
        string[] tokens = [.. TinyTokenizer.ByteLevel()["model"]!["vocab"]!.AsObject().Select(member => member.Key)];
        return Merges(Strings(Model("gpt2", tokens, [.. Enumerable.Repeat(Normal, tokens.Length)]), "tokenizer.ggml.pre", pre));
    }

    internal static GgufBytes Model(string model, string[] tokens, int[] kinds) => Strings(new GgufBytes(), "tokenizer.ggml.model", model)
        .AddArray("tokenizer.ggml.tokens", GgufValueKind.String, (ulong)tokens.Length, writer => Array.ForEach(tokens, token => GgufBytes.WriteString(writer, token)))
        .AddArray("tokenizer.ggml.token_type", GgufValueKind.Int32, (ulong)kinds.Length, writer => Array.ForEach(kinds, writer.Write));

    internal static GgufBytes Scores(GgufBytes bytes, float[] scores) =>
        bytes.AddArray("tokenizer.ggml.scores", GgufValueKind.Single, (ulong)scores.Length, writer => Array.ForEach(scores, writer.Write));

    internal static GgufBytes Merges(GgufBytes bytes, params string[] merges) =>
        bytes.AddArray("tokenizer.ggml.merges", GgufValueKind.String, (ulong)merges.Length, writer => Array.ForEach(merges, merge => GgufBytes.WriteString(writer, merge)));

    internal static GgufBytes Strings(GgufBytes bytes, string key, string value) => bytes.Add(key, GgufValueKind.String, writer => GgufBytes.WriteString(writer, value));

    private static ITokenizer Read(GgufBytes bytes)
    {
        using TemporaryFolder folder = new();
        using GgufFile file = GgufFile.Open(folder.Write("model.gguf", bytes.Compose(0)));
        return Tokenizer.FromGguf(file);
    }
}
