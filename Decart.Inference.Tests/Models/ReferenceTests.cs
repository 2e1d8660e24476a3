using Decart.Inference.Kernels;
using Decart.Inference.Models;

namespace Decart.Inference.Tests.Models;

/// <summary>Every checkpoint with a reference gives the logits and the greedy tokens that transformers gives.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.Names))]
public sealed class ReferenceTests(string device)
{
    private const float Tolerance = 5e-4f;
    private const int MaxBatchTokens = 256;

    [TestCaseSource(typeof(ReferenceAnswers), nameof(ReferenceAnswers.Cases))]
    public void Logits_and_greedy_tokens_are_those_of_transformers(string folder)
    {
        ReferenceAnswers answers = ReferenceAnswers.Read(folder);
        using IBackend backend = Devices.Create(device);
        using Decoder decoder = answers.Load(backend, MaxBatchTokens, answers.Prompts.Length);
        float largest = 0;
        for (int i = 0; i < answers.Prompts.Length; i++)
        {
            (int[] tokens, float[] logits) = decoder.Generate(answers.Prompts[i], answers.Greedy[i].Length);
            largest = Math.Max(largest, DecoderRuns.MaxDifference(logits, answers.LogitsLast[i]));
            Assert.That(tokens, Is.EqualTo(answers.Greedy[i]), $"prompt {i}");
        }
        TestContext.Out.WriteLine($"largest logit difference {largest:g3}");
        Assert.That(largest, Is.LessThanOrEqualTo(Tolerance));
    }
}
