using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Models;
using Decart.Inference.Sampling;
using Decart.Inference.Tests.Kernels.Gpu;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Session;

/// <summary>Scores and embeddings on a device that samples tokens itself, beside completions whose steps stay in flight.</summary>
[CancelAfter(300_000)]
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuScoringTests(string device)
{
    [TestCase("llama")]
    [TestCase("falcon 40B")]
    public async Task Scores_have_the_bits_of_logits_and_embeddings_are_those_of_the_processor(string model)
    {
        string folder = TinyModels.WriteFolder(TinyModels.Config(model));
        try
        {
            using GpuBackend backend = new(GpuDevices.Create(device));
            await using LlmSession session = GpuSessions.OpenRandom(folder, backend);
            int[] prompt = [5, 17, 90, 3, 44, 61, 2];
            GenerationOptions options = new() { MaxTokens = 12, Seed = 3, IgnoreEndOfText = true };
            GenerationResult alone = await session.GenerateAsync(prompt, options);
            Task<GenerationResult> other = session.GenerateAsync(prompt, options);
            Task<IReadOnlyList<TokenLogprobs>> scoring = session.ScoreAsync(prompt, topLogprobs: 2);
            Task<float[]> mean = session.EmbedAsync(prompt), last = session.EmbedAsync(prompt, new() { Pooling = EmbeddingPooling.LastToken, Normalize = false });
            Assert.That((await other).TokenIds, Is.EqualTo(alone.TokenIds));
            IReadOnlyList<TokenLogprobs> scores = await scoring;
            Sampler sampler = new(session.Model.VocabularySize);
            for (int i = 0; i < scores.Count; i++)
                Assert.That(scores[i], Is.EqualTo(sampler.Logprobs(prompt[i + 1], await session.NextTokenLogitsAsync(prompt[..(i + 1)]), 2)), $"token {i + 1}");
            float[][] hidden = HiddenStates(folder, prompt);
            Assert.That(await last, Is.EqualTo(hidden[^1]).Within(0.02));
            double[] sum = [.. Enumerable.Range(0, hidden[0].Length).Select(k => hidden.Sum(row => (double)row[k]))];
            double length = Math.Sqrt(sum.Sum(value => value * value));
            Assert.That(await mean, Is.EqualTo(sum.Select(value => value / length)).Within(0.01));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>The hidden states of a prompt on the processor.</summary>
    private static float[][] HiddenStates(string folder, int[] prompt)
    {
        using CpuBackend backend = new(threads: 2);
        using Decoder decoder = Decoders.LoadRandom(folder, backend, maxBatchTokens: 16, maxBatchSequences: 4, seed: 5);
        return decoder.HiddenStates(prompt);
    }
}
