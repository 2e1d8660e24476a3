using Decart.Inference.Kernels;
using Decart.Inference.Models;

namespace Decart.Inference.Tests.Models;

/// <summary>Trained models continue prompts as float64 arithmetic does, token for token.</summary>
public class GoldenTests
{
    private const float Tolerance = 5e-4f, GgufTolerance = 1e-2f;
    private const int MaxBatchTokens = 512;

    [TestCaseSource(typeof(GoldenAnswers), nameof(GoldenAnswers.Trained))]
    public void Trained_models_tell_their_stories(string device, object answers) => Check(device, (GoldenAnswers)answers, Tolerance);

    [TestCaseSource(typeof(GoldenAnswers), nameof(GoldenAnswers.Gguf))]
    public void Gguf_files_tell_their_stories(string device, object answers) => Check(device, (GoldenAnswers)answers, GgufTolerance);

    /// <remarks>No answers are known for this file.</remarks>
    [Test]
    [NeedsFixtures]
    public void A_random_model_with_a_real_vocabulary_loads()
    {
        using IBackend backend = Devices.Create(Devices.Cpu);
        using Decoder decoder = Decoders.Load(Fixtures.Path("gguf", "llama-2-tiny-random.gguf"), backend, MaxBatchTokens, 1);
        Assert.That(decoder.VocabularySize, Is.EqualTo(32000));
        Assert.That(decoder.Generate([1, 15043, 3186], 4).FirstLogits, Is.All.Matches<float>(float.IsFinite));
    }

    private static void Check(string device, GoldenAnswers answers, float tolerance)
    {
        using IBackend backend = Devices.Create(device);
        using Decoder decoder = Decoders.Load(answers.Checkpoint, backend, MaxBatchTokens, 1);
        (int[] tokens, float[] logits) = decoder.Generate(answers.Prompt, answers.Greedy.Length);
        float largest = DecoderRuns.MaxDifference([.. answers.LogitIds.Select(id => logits[id])], answers.Logits);
        TestContext.Out.WriteLine($"largest logit difference {largest:g3}");
        Assert.That(largest, Is.LessThanOrEqualTo(tolerance));
        Assert.That(tokens, Is.EqualTo(answers.Greedy));
    }
}
