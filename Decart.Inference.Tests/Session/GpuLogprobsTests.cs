using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Tests.Kernels.Gpu;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Session;

/// <summary>A session on a device that samples tokens itself: what a caller asks to see changes nothing of what is sampled.</summary>
[CancelAfter(300_000)]
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuLogprobsTests(string device)
{
    private static IEnumerable<TestCaseData> Options()
    {
        GenerationOptions plain = new() { MaxTokens = 10, Seed = 3, IgnoreEndOfText = true };
        yield return Case("greedy", plain with { Temperature = 0 });
        yield return Case("sampled", plain with { Temperature = 1.2f });
        yield return Case("penalised", plain with { RepetitionPenalty = 1.4f, PresencePenalty = 0.5f, LogitBias = new Dictionary<int, float> { [7] = 3 } });
    }

    [TestCaseSource(nameof(Options))]
    public async Task Asking_for_log_probabilities_changes_no_token(GenerationOptions options)
    {
        string folder = TinyModels.WriteFolder(TinyModels.Config("llama"));
        try
        {
            using GpuBackend backend = new(GpuDevices.Create(device));
            await using LlmSession session = GpuSessions.OpenRandom(folder, backend);
            int[] prompt = [5, 17, 90, 3];
            GenerationResult expected = await session.GenerateAsync(prompt, options);
            Task<GenerationResult> other = session.GenerateAsync(prompt, options); // steps have rows of both kinds
            GenerationResult found = await session.GenerateAsync(prompt, options with { TopLogprobs = 2 });

            Assert.That(found.TokenIds, Is.EqualTo(expected.TokenIds));
            Assert.That((await other).TokenIds, Is.EqualTo(expected.TokenIds));
            Assert.That(found.Logprobs!.Select(entry => entry.TokenId), Is.EqualTo(found.TokenIds));
            foreach (int i in (int[])[0, 4, 9])
            {
                float[] logits = await session.NextTokenLogitsAsync((int[])[.. prompt, .. found.TokenIds.Take(i)]);
                double logSum = Math.Log(logits.Sum(logit => Math.Exp(logit)));
                Assert.That(found.Logprobs![i].Logprob, Is.EqualTo(logits[found.TokenIds[i]] - logSum).Within(1e-4), $"token {i}, by the model's own logits");
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static TestCaseData Case(string name, GenerationOptions options) => new TestCaseData(options).SetArgDisplayNames(name);
}
