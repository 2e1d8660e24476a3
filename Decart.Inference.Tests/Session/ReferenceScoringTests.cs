using Decart.Inference.Checkpoints;
using Decart.Inference.Models;
using Decart.Inference.Tests.Kernels;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Session;

/// <summary>Scores and hidden states of checkpoints whose logits are known from transformers.</summary>
[CancelAfter(120_000)]
public class ReferenceScoringTests
{
    private static readonly EmbeddingOptions Last = new() { Pooling = EmbeddingPooling.LastToken, Normalize = false };

    [TestCaseSource(typeof(ReferenceAnswers), nameof(ReferenceAnswers.Cases))]
    public async Task Scores_and_hidden_states_are_those_of_the_known_logits(string folder)
    {
        ReferenceAnswers answers = ReferenceAnswers.Read(folder);
        using ReferenceBackend backend = new();
        using Decoder reference = answers.Load(backend, maxBatchTokens: 256, maxBatchSequences: 1);
        await using LlmSession session = await LlmSession.LoadAsync(folder, new() { Device = Device.Cpu, MaxConcurrentSequences = 5, MaxBatchTokens = 13 });
        for (int i = 0; i < answers.Prompts.Length; i++)
        {
            (int[] prompt, int[] greedy, float[] known) = (answers.Prompts[i], answers.Greedy[i], answers.LogitsLast[i]);
            Task<IReadOnlyList<TokenLogprobs>> scoring = session.ScoreAsync((int[])[.. prompt, .. greedy], topLogprobs: 1);
            Task<float[]> last = session.EmbedAsync(prompt, Last), mean = session.EmbedAsync(prompt, Last with { Pooling = EmbeddingPooling.Mean });

            TokenLogprobs[] completion = [.. (await scoring).Skip(prompt.Length - 1)];
            Assert.That(completion.Select(score => score.Top[0].TokenId), Is.EqualTo(greedy), "the greedy tokens are the most probable");
            Assert.That(completion.Select(score => score.Logprob), Is.EqualTo(completion.Select(score => score.Top[0].Logprob)));
            double logSum = Math.Log(known.Sum(logit => Math.Exp(logit)));
            Assert.That(completion[0].Logprob, Is.EqualTo(known[greedy[0]] - logSum).Within(1e-3));

            Assert.That(Logits(folder, await last), Is.EqualTo(known).Within(1e-3f), "the output matrix makes the logits of the last hidden state");
            float[][] hidden = reference.HiddenStates(prompt);
            Assert.That(await last, Is.EqualTo(hidden[^1]).Within(1e-3f));
            Assert.That(await mean, Is.EqualTo(Enumerable.Range(0, hidden[0].Length).Select(k => hidden.Average(row => (double)row[k]))).Within(1e-3));
        }
        Assert.That(session.GetStatistics().KvPagesInUse, Is.Zero);
    }

    /// <summary>The logits that the output matrix makes of a hidden state, in float64.</summary>
    private static float[] Logits(string folder, float[] hidden)
    {
        using TensorSource source = ModelLoader.Open(folder);
        ModelConfig config = ModelLoader.ReadConfig(source);
        string[] names = config.TiedEmbeddings ? [config.Names.Embedding, config.Names.Output] : [config.Names.Output];
        StoredTensor matrix = default;
        Assert.That(names.Any(name => source.TryGet(name + ".weight", out matrix)));
        float[] logits = new float[config.VocabularySize];
        for (int token = 0; token < logits.Length; token++)
        {
            double logit = ReferenceWeight.Widen(matrix, token).Zip(hidden, (weight, value) => weight * value).Sum();
            logits[token] = (float)(config.LogitSoftCap == 0 ? logit : config.LogitSoftCap * Math.Tanh(logit / config.LogitSoftCap));
        }
        return logits;
    }
}
