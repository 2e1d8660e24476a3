using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Tests.Kernels.Gpu;
using Decart.Inference.Tests.Models;
using Decart.Inference.Tests.Session;

namespace Decart.Inference.Tests.Grammars;

/// <summary>Grammars where the device chooses the tokens and a step is launched before those of the step before are known.</summary>
[CancelAfter(300_000)]
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuGrammarTests(string device)
{
    /// <summary>Of the 96 tokens of the small models, 95 are text.</summary>
    private static readonly PieceTokenizer Vocabulary = new([.. Enumerable.Range(32, 95).Select(character => $"{(char)character}")]);

    [Test]
    public async Task Every_text_has_the_form_and_requests_without_a_grammar_are_as_they_were_alone()
    {
        string folder = TinyModels.WriteFolder(TinyModels.Config("llama"));
        try
        {
            using GpuBackend backend = new(GpuDevices.Create(device));
            await using LlmSession session = GpuSessions.OpenRandom(folder, backend, tokens: 96, Vocabulary);
            Grammar json = Grammar.JsonSchema("""{"type":"array","items":{"enum":["cat",12,null,{"a":true}]},"minItems":1}"""), word = Grammar.Regex("[a-z]{2,9}!");
            GenerationOptions free = new() { MaxTokens = 14, Seed = 3, Temperature = 1 };
            int[] prompt = [5, 17, 90, 3];
            GenerationResult expected = await session.GenerateAsync(prompt, free);
            int alone = (await session.GenerateAsync(prompt, free with { Grammar = word })).TokenIds.Count;
            Grammar?[] grammars = [json, null, word, json];
            GenerationResult[] results = await Task.WhenAll(grammars.Select((grammar, i) =>
                session.GenerateAsync(prompt, free with { Grammar = grammar, MaxTokens = 14, TopLogprobs = i == 3 ? 1 : null, Temperature = i == 0 ? 50 : 1 })));
            Assert.That(results[1].TokenIds, Is.EqualTo(expected.TokenIds));
            Assert.That(results[2].TokenIds, Has.Count.EqualTo(alone));
            for (int i = 0; i < grammars.Length; i++) Assert.That(grammars[i]?.IsMatch(results[i].Text), Is.Not.False, results[i].Text);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
