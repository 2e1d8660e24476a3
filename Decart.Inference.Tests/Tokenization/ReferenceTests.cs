using System.Text.Json;

namespace Decart.Inference.Tests.Tokenization;

/// <summary>Ids and texts that the reference implementations computed for real tokenizers.</summary>
public class ReferenceTests
{
    [TestCase("llama2")]
    [TestCase("llama3_1")]
    [TestCase("qwen3")]
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
                if (!ids.Any(id => tokenizer.GetTokenBytes(id).IsEmpty)) Assert.That(tokenizer.Decode(ids), Is.EqualTo(row.GetProperty("decoded").GetString()), text);
            }
        });
    }

    [Test]
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

    private static int[] Ids(JsonElement element) => [.. element.EnumerateArray().Select(id => id.GetInt32())];
}
