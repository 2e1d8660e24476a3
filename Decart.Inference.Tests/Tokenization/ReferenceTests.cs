using System.Text.Json;
using Decart.Inference.Checkpoints;
using Decart.Inference.Tests.Checkpoints;

namespace Decart.Inference.Tests.Tokenization;

/// <summary>Ids and texts that the reference implementations computed for real tokenizers.</summary>
public class ReferenceTests
{
    [TestCase("llama2")]
    [TestCase("llama3_1")]
    [TestCase("qwen3")]
    [NeedsFixtures]
    public void Every_text_has_the_reference_ids(string name)
    {
        ITokenizer tokenizer = Tokenizer.Load(Fixtures.Path("tokenizers", name));
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path("tokenizers", "tokens.json")));
        Assert.Multiple(() =>
        {
            foreach (JsonElement row in document.RootElement.GetProperty(name).GetProperty("rows").EnumerateArray())
            {
                string text = row.GetProperty("text").GetString()!;
                int[] ids = Ids(row.GetProperty("ids"));
                Assert.That(tokenizer.Encode(text, addSpecialTokens: false), Is.EqualTo(ids), text);
                Assert.That(tokenizer.Encode(text), Is.EqualTo(Ids(row.GetProperty("ids_special"))), text);
                // The reference writes special tokens out, which decoding here leaves out.
                if (!ids.Any(id => tokenizer.GetTokenBytes(id).IsEmpty))
                    Assert.That(tokenizer.Decode(ids), Is.EqualTo(row.GetProperty("decoded").GetString()), text);
            }
        });
    }

    [Test]
    [NeedsFixtures]
    public void The_storyteller_of_llama2c_has_the_reference_ids()
    {
        ITokenizer tokenizer = Tokenizer.Load(Fixtures.Path("real", "stories260k"));
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path("real", "golden", "stories260k.tokenizer.json")));
        Assert.Multiple(() =>
        {
            foreach (JsonElement row in document.RootElement.EnumerateArray())
            {
                string text = row.GetProperty("text").GetString()!;
                int[] ids = Ids(row.GetProperty("ids"));
                Assert.That(tokenizer.Encode(text), Is.EqualTo(ids), text);
                Assert.That(tokenizer.Decode(ids), Is.EqualTo(row.GetProperty("decoded").GetString()), text);
            }
        });
    }

    [TestCase("stories260k")]
    [TestCase("tinystories-656k")]
    [NeedsFixtures]
    public void Prompts_have_the_reference_ids(string name)
    {
        ITokenizer tokenizer = Tokenizer.Load(Fixtures.Path("real", name));
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path("real", "golden", $"{name}.json")));
        foreach (JsonElement row in document.RootElement.GetProperty("cases").EnumerateArray())
        {
            string text = row.GetProperty("prompt").GetString()!;
            Assert.That(tokenizer.Encode(text), Is.EqualTo(Ids(row.GetProperty("prompt_ids"))), text);
        }
    }

    [TestCase("ggml-vocab-llama-spm")]
    [TestCase("ggml-vocab-gpt-2")]
    [TestCase("ggml-vocab-falcon")]
    [TestCase("ggml-vocab-starcoder")]
    [NeedsFixtures]
    public void Vocabularies_of_gguf_have_the_ids_of_llama_cpp(string name)
    {
        string path = Fixtures.Path("gguf", "vocab", $"{name}.gguf");
        using GgufFile file = GgufFile.Open(path);
        ITokenizer tokenizer = Tokenizer.FromGguf(file);
        string[] texts = File.ReadAllText(path + ".inp").Split("\n__ggml_vocab_test__\n");
        string[] expected = File.ReadAllText(path + ".out").Split('\n');
        Assert.Multiple(() =>
        {
            for (int i = 0; i < texts.Length; i++)
            {
                int[] ids = [.. expected[i].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)];
                Assert.That(tokenizer.Encode(texts[i], addSpecialTokens: false), Is.EqualTo(ids), texts[i]);
                Assert.That(tokenizer.Decode(ids), Is.EqualTo(texts[i]));
            }
        });
    }

    [Test]
    [NeedsFixtures]
    public void SmolLM2_as_gguf_has_the_reference_ids()
    {
        using GgufFile file = GgufFile.Open(Fixtures.Path("gguf", "SmolLM2-135M-Instruct-Q4_1.gguf"));
        ITokenizer tokenizer = Tokenizer.FromGguf(file);
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path("gguf", "SmolLM2-135M-Instruct-Q4_1.tokens.json")));
        Assert.Multiple(() =>
        {
            foreach (JsonElement row in document.RootElement.GetProperty("rows").EnumerateArray())
            {
                string text = row.GetProperty("text").GetString()!;
                int[] ids = Ids(row.GetProperty("ids"));
                Assert.That(tokenizer.Encode(text), Is.EqualTo(ids), text);
                if (!ids.Any(id => tokenizer.GetTokenBytes(id).IsEmpty))
                    Assert.That(tokenizer.Decode(ids), Is.EqualTo(row.GetProperty("decoded").GetString()), text);
            }
            Assert.That(tokenizer.BosTokenId, Is.EqualTo(1));
            Assert.That(tokenizer.EosTokenIds[0], Is.EqualTo(2));
        });
    }

    [Test]
    [NeedsFixtures]
    public void The_same_vocabulary_gives_the_same_ids_as_json_and_as_sentencepiece()
    {
        ITokenizer json = Tokenizer.Load(Fixtures.Path("real", "stories260k"));
        using TemporaryFolder folder = new();
        folder.Write("tokenizer.model", File.ReadAllBytes(Fixtures.Path("real", "stories260k", "tokenizer.model")));
        ITokenizer sentencePiece = Tokenizer.Load(folder.Path);
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path("tokenizers", "tokens.json")));
        Assert.Multiple(() =>
        {
            foreach (JsonElement row in document.RootElement.GetProperty("llama2").GetProperty("rows").EnumerateArray())
            {
                string text = row.GetProperty("text").GetString()!;
                Assert.That(sentencePiece.Encode(text), Is.EqualTo(json.Encode(text)), text);
                Assert.That(sentencePiece.Decode(json.Encode(text)), Is.EqualTo(json.Decode(json.Encode(text))), text);
            }
            Assert.That(sentencePiece.BosTokenId, Is.EqualTo(1));
            Assert.That(sentencePiece.EosTokenIds, Is.EqualTo(new[] { 2 }));
        });
    }

    private static int[] Ids(JsonElement element) => [.. element.EnumerateArray().Select(id => id.GetInt32())];
}
