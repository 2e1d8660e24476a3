using System.Diagnostics;
using System.Text.Json.Nodes;
using Decart.Inference.Checkpoints;
using Decart.Inference.Tests.Checkpoints;
using FsCheck;
using FsCheck.Fluent;

namespace Decart.Inference.Tests.Tokenization;

/// <summary>Bad files give a <see cref="ModelLoadException"/> that names the field, promptly and without allocating by what they claim.</summary>
public class MalformedTokenizerTests
{
    private static readonly TimeSpan LongestRun = TimeSpan.FromSeconds(5);

    [TestCase("model.vocab", """{"a":0,"b":-1}""", "model.vocab.\"b\"", TestName = "a negative id")]
    [TestCase("model.vocab", """{"a":0,"b":1.5}""", "model.vocab.\"b\"", TestName = "an id that is no integer")]
    [TestCase("model.vocab", """{"a":0,"b":"1"}""", "model.vocab.\"b\"", TestName = "an id that is text")]
    [TestCase("model.vocab", """{"a":0,"b":2000000000}""", "model.vocab.\"b\"", TestName = "an id far beyond the number of tokens")]
    [TestCase("model.vocab", """{"a":0,"b":0}""", "model.vocab", TestName = "an id given twice")]
    [TestCase("model.vocab", "7", "model.vocab", TestName = "a vocabulary that is a number")]
    [TestCase("model.merges", """["a b"]""", "model.merges[0]", TestName = "a merge whose result is no token")]
    [TestCase("model.merges", """["b zz"]""", "model.merges[0]", TestName = "a merge of an unknown token")]
    [TestCase("model.merges", """["ab"]""", "model.merges[0]", TestName = "a merge of one token")]
    [TestCase("model.merges", """[["a"]]""", "model.merges[0]", TestName = "a pair of one token")]
    [TestCase("model.merges", """{}""", "model.merges", TestName = "merges that are an object")]
    [TestCase("model.type", "\"WordPiece\"", "model.type", TestName = "a model that is not supported")]
    [TestCase("model.unk_token", "\"missing\"", "model.unk_token", TestName = "an unknown token that is none")]
    [TestCase("model.end_of_word_suffix", "\"</w>\"", "model.end_of_word_suffix", TestName = "a suffix of words")]
    [TestCase("normalizer", """{"type":"BertNormalizer"}""", "normalizer.type", TestName = "a normalizer that is not supported")]
    [TestCase("normalizer", """{"type":"Precompiled","precompiled_charsmap":"?"}""", "normalizer.precompiled_charsmap", TestName = "a map of characters that is not base 64")]
    [TestCase("normalizer", """{"type":"Precompiled","precompiled_charsmap":"CAAAAAAAAAAAAACAYQ=="}""", "normalizer.precompiled_charsmap", TestName = "a map of characters without an end")]
    [TestCase("normalizer", """{"type":"Sequence","normalizers":[{"type":"Replace","pattern":{"Regex":"("},"content":""}]}""", "normalizer.normalizers[0].pattern.Regex", TestName = "a malformed expression")]
    [TestCase("pre_tokenizer", """{"type":"Split","pattern":{"String":" "},"behavior":"Sideways"}""", "pre_tokenizer.behavior", TestName = "a behaviour that is none")]
    [TestCase("pre_tokenizer", """{"type":"Metaspace","replacement":"__"}""", "pre_tokenizer.replacement", TestName = "a marker of two characters")]
    [TestCase("decoder", """{"type":"CTC"}""", "decoder.type", TestName = "a decoder that is not supported")]
    [TestCase("post_processor", """{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}},{"Sequence":{"id":"A"}}],"special_tokens":{"x":{"ids":[999]}}}""", "post_processor.special_tokens.x.ids[0]", TestName = "a template with an id beyond the vocabulary")]
    [TestCase("post_processor", """{"type":"TemplateProcessing","single":[],"special_tokens":{}}""", "post_processor.single", TestName = "a template without the text")]
    [TestCase("added_tokens", """[{"id":2000000000,"content":"x"}]""", "added_tokens[0].id", TestName = "an added id far beyond the vocabulary")]
    [TestCase("added_tokens", """[{"id":0,"content":"x"}]""", "added_tokens[0].id", TestName = "an added id that is another token's")]
    [TestCase("added_tokens", """[{"id":9}]""", "added_tokens[0].content", TestName = "an added token without content")]
    public void The_field_is_named(string path, string value, string field)
    {
        JsonObject json = TinyTokenizer.Characters(["a", "b", "c"]);
        JsonNode parent = json;
        string[] names = path.Split('.');
        foreach (string name in names[..^1]) parent = parent[name]!;
        parent[names[^1]] = JsonNode.Parse(value);
        ModelLoadException exception = Assert.Throws<ModelLoadException>(() => TinyTokenizer.Load(json))!;
        Assert.That(exception.Field, Is.EqualTo(field), exception.Message);
        Assert.That(exception.File, Does.EndWith("tokenizer.json"));
    }

    [TestCase("tokenizer_config.json", "[]", null)]
    [TestCase("tokenizer_config.json", """{"bos_token":7}""", "bos_token")]
    [TestCase("tokenizer_config.json", """{"add_bos_token":"yes"}""", "add_bos_token")]
    [TestCase("tokenizer_config.json", """{"added_tokens_decoder":{"x":{"content":"y"}}}""", "added_tokens_decoder.\"x\"")]
    [TestCase("added_tokens.json", """{"<x>":-1}""", "\"<x>\"")]
    [TestCase("added_tokens.json", """{"<x>":0}""", "\"<x>\"")]
    [TestCase("generation_config.json", """{"eos_token_id":["a"]}""", "eos_token_id[0]")]
    [TestCase("config.json", """{"eos_token_id":"two"}""", "eos_token_id")]
    public void The_other_files_are_checked_too(string file, string content, string? field)
    {
        ModelLoadException exception = Assert.Throws<ModelLoadException>(() => TinyTokenizer.Load(TinyTokenizer.Characters(["a", "b"]), (file, content)))!;
        Assert.That(exception.Field, Is.EqualTo(field), exception.Message);
        Assert.That(exception.File, Does.EndWith(file));
    }

    [Test]
    public void Ids_that_the_model_cannot_take_do_no_harm() => Assert.That(
        TinyTokenizer.Load(TinyTokenizer.Characters(["a", "b", "c"]), ("config.json", """{"vocab_size":2}""")).Encode("abc"), Is.EqualTo(new[] { 0, 1, 2 }));

    [TestCase("""{"eos_token_id":[1,9,-1,4294967295]}""")]
    [TestCase("""{"eos_token_id":1,"bos_token_id":-1}""")]
    public void Ids_of_no_token_are_passed_over(string generation) => Assert.That(
        TinyTokenizer.Load(TinyTokenizer.Characters(["a", "b"]), ("generation_config.json", generation)).EosTokenIds, Is.EqualTo(new[] { 1 }));

    [Test]
    public void A_folder_without_a_tokenizer_says_so()
    {
        using TemporaryFolder folder = new();
        Assert.That(() => Tokenizer.Load(folder.Path), Throws.TypeOf<ModelLoadException>().With.Message.Contains("tokenizer.json").And.Message.Contains("tokenizer.model"));
        Assert.That(() => Tokenizer.Load(Path.Combine(folder.Path, "absent")), Throws.TypeOf<ModelLoadException>());
    }

    [Test]
    public void A_mutated_tokenizer_json_loads_or_is_rejected() => CheckMutations("tokenizer.json", System.Text.Encoding.UTF8.GetBytes(Everything().ToJsonString()));

    [Test]
    public void A_mutated_tokenizer_model_loads_or_is_rejected() => CheckMutations("tokenizer.model", SentencePieceBytes.Small(SentencePieceBytes.Bpe));

    [Test]
    public void A_mutated_tekken_json_loads_or_is_rejected() => CheckMutations("tekken.json", System.Text.Encoding.UTF8.GetBytes(TekkenTests.Tekken().ToJsonString()));

    [TestCase("stories260k", "tokenizer.json")]
    [TestCase("stories260k", "tokenizer.model")]
    [TestCase("tinystories-656k", "tokenizer.json")]
    [NeedsFixtures]
    public void A_mutated_real_tokenizer_loads_or_is_rejected(string model, string name) => CheckMutations(name, File.ReadAllBytes(Fixtures.Path("real", model, name)));

    [Test]
    public void A_mutated_gguf_vocabulary_loads_or_is_rejected() => CheckMutations("model.gguf", GgufTokenizerTests.Scored().Compose(0));

    [Test]
    [NeedsFixtures]
    public void A_mutated_real_gguf_vocabulary_loads_or_is_rejected()
    {
        byte[] file = File.ReadAllBytes(Fixtures.Path("gguf", "TinyStories-656K-q4_0.gguf"));
        CheckMutations("model.gguf", file, headerEnd: file.AsSpan().IndexOf("token_embd.weight"u8));
    }

    private static ITokenizer Load(string folder, string name)
    {
        if (!name.EndsWith(".gguf", StringComparison.Ordinal)) return Tokenizer.Load(folder);
        using GgufFile file = GgufFile.Open(Path.Combine(folder, name));
        return Tokenizer.FromGguf(file);
    }

    private static void CheckMutations(string name, byte[] original, int? headerEnd = null)
    {
        using TemporaryFolder folder = new();
        int rejected = 0;
        Prop.ForAll(Mutation.Some(headerEnd ?? original.Length).ToArbitrary(), mutations =>
        {
            byte[] bytes = mutations.Aggregate(original, (bytes, mutation) => mutation.Apply(bytes));
            folder.Write(name, bytes);
            long allocatedBefore = GC.GetAllocatedBytesForCurrentThread();
            Stopwatch watch = Stopwatch.StartNew();
            try
            {
                ITokenizer tokenizer = Load(folder.Path, name);
                IReadOnlyList<int> ids = tokenizer.Encode("Once upon a time, ünïcödé 日本 \U0001F642 <s>\0\r\n  12345");
                Assert.That(ids, Is.All.InRange(0, tokenizer.VocabularySize - 1));
                Assert.That(tokenizer.Decode(ids), Is.Not.Null);
            }
            catch (ModelLoadException exception)
            {
                Assert.That(exception.File, Is.Not.Null);
                rejected++;
            }
            Assert.That(watch.Elapsed, Is.LessThan(LongestRun));
            Assert.That(GC.GetAllocatedBytesForCurrentThread() - allocatedBefore, Is.LessThan((8 << 20) + (64L * bytes.Length)));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(400).WithQuietOnSuccess(true));
        Assert.That(rejected, Is.GreaterThan(40), "the mutations hardly damage anything");
    }

    /// <summary>A tokenizer with one of everything.</summary>
    private static JsonObject Everything()
    {
        JsonObject json = TinyTokenizer.ByteLevel("a b", "Ġ a", "ab c");
        json["added_tokens"] = new JsonArray(TinyTokenizer.AddedToken(259, "<s>"), TinyTokenizer.AddedToken(260, "</s>", lstrip: true, normalized: true));
        json["normalizer"] = TinyTokenizer.Parse("""{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace","pattern":{"Regex":"x+"},"content":"y"}]}""");
        json["pre_tokenizer"] = TinyTokenizer.Parse("""
            {"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":" ?\\p{L}+| ?[^\\s\\p{L}]+|\\s+"},"behavior":"Isolated","invert":false},
             {"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]}
            """);
        json["post_processor"] = TinyTokenizer.Parse("""
            {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"special_tokens":{"<s>":{"id":"<s>","ids":[259],"tokens":["<s>"]}}}
            """);
        return json;
    }
}
