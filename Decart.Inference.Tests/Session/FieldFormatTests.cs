using System.Text.Json;

namespace Decart.Inference.Tests.Session;

/// <summary>Files from the field whose tensors are stored in encodings that their names do not tell.</summary>
[TestFixtureSource(typeof(SessionDevices), nameof(SessionDevices.Fixtures))]
[CancelAfter(120_000)]
public class FieldFormatTests(string device)
{
    [Test]
    [NeedsFixtures]
    public async Task Q3_K_files_with_IQ4_NL_inside_give_the_tokens_of_llama_cpp()
    {
        string folder = Fixtures.Path("..", "field", "gguf-iq4nl-inside-k-quants");
        if (!Directory.Exists(folder)) Assert.Ignore("The shared inputs from the field are absent.");
        JsonElement expected = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(folder, "expected.json"))).RootElement;
        int[] prompt = expected.GetProperty("prompt").Deserialize<int[]>()!, greedy = expected.GetProperty("greedy").Deserialize<int[]>()!;
        await using LlmSession session = await LlmSession.LoadAsync(Path.Combine(folder, "model.gguf"), new() { Device = SessionDevices.Get(device) });
        GenerationResult result = await session.GenerateAsync(prompt, new() { Temperature = 0, MaxTokens = greedy.Length, IgnoreEndOfText = true });
        Assert.That(result.TokenIds, Is.EqualTo(greedy));
    }
}
