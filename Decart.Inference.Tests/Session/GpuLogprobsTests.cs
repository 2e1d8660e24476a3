using System.Collections.Frozen;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Loading;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Tests.Kernels.Gpu;
using Decart.Inference.Tests.Models;
using Microsoft.Extensions.Logging.Abstractions;

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
            await using LlmSession session = Open(folder, backend);
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

    private static LlmSession Open(string folder, GpuBackend backend)
    {
        Decoder decoder = Decoders.LoadRandom(folder, backend, maxBatchTokens: 16, maxBatchSequences: 4, seed: 5);
        KvMemory kv = KvMemoryPlan
            .For(backend.Memory, decoder.KvLayout, decoder.ContextLength, sequences: 4, bytes: 64 * decoder.KvLayout.TokenBytes, PagingMode.Table)
            .Create(backend.Memory, prefixCaching: false, NullLogger.Instance);
        ModelInfo info = new()
        {
            Source = folder,
            Architecture = decoder.Config.Architecture,
            VocabularySize = decoder.VocabularySize,
            ContextLength = decoder.ContextLength,
            Device = Device.Cuda(0),
        };
        return new LlmSession(
            new LoadedModel(decoder, kv, null, info, new(), FrozenSet<int>.Empty), new() { MaxBatchTokens = 16, MaxConcurrentSequences = 4, PrefixCaching = false });
    }

    private static TestCaseData Case(string name, GenerationOptions options) => new TestCaseData(options).SetArgDisplayNames(name);
}
