using System.Numerics.Tensors;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Models;
using Decart.Inference.Tests.Kernels.Gpu;

namespace Decart.Inference.Tests.Models;

/// <summary>Every checkpoint with a reference on a GPU: the logits of transformers, and its greedy tokens wherever rounding cannot change them.</summary>
[Category("Cuda")]
internal sealed class GpuReferenceTests
{
    private const float Tolerance = 3e-2f, MinCosine = 0.9995f;
    private const int MaxBatchTokens = 256;

    [TestCaseSource(typeof(ReferenceAnswers), nameof(ReferenceAnswers.Cases))]
    public void Logits_are_those_of_transformers_and_the_cpu(string folder)
    {
        ReferenceAnswers answers = ReferenceAnswers.Read(folder);
        using IKernels gpu = new GpuKernels(GpuDevices.CreateCuda()), cpu = new CpuKernels(threads: 2);
        using Decoder found = answers.Load(gpu, MaxBatchTokens, 1), expected = answers.Load(cpu, MaxBatchTokens, 1);
        float largest = 0;
        for (int i = 0; i < answers.Prompts.Length; i++)
        {
            // The CPU's logits are those of transformers, as other tests show; they tell how far apart the two best tokens are.
            int[] prompt = answers.Prompts[i], greedy = answers.Greedy[i];
            using KvRanges gpuRange = new(gpu, found.KvLayout, 1, prompt.Length + greedy.Length), cpuRange = new(cpu, expected.KvLayout, 1, prompt.Length + greedy.Length);
            float[] logits = found.Prefill(gpuRange[0], prompt), reference = expected.Prefill(cpuRange[0], prompt);
            Assert.That(DecoderRuns.MaxDifference(logits, answers.LogitsLast[i]), Is.LessThanOrEqualTo(Tolerance), $"prompt {i}");
            for (int step = 0; step < greedy.Length; step++)
            {
                float error = DecoderRuns.MaxDifference(logits, reference);
                largest = Math.Max(largest, error);
                Assert.That(error, Is.LessThanOrEqualTo(Tolerance), $"prompt {i}, token {step}");
                Assert.That(TensorPrimitives.CosineSimilarity<float>(logits, reference), Is.GreaterThanOrEqualTo(MinCosine), $"prompt {i}, token {step}");
                if (Gap(reference) > 2 * error) Assert.That(DecoderRuns.ArgMax(logits), Is.EqualTo(greedy[step]), $"prompt {i}, token {step}");
                if (step + 1 == greedy.Length) break;
                logits = found.Prefill(gpuRange[0], [greedy[step]], firstPosition: prompt.Length + step);
                reference = expected.Prefill(cpuRange[0], [greedy[step]], firstPosition: prompt.Length + step);
            }
        }
        TestContext.Out.WriteLine($"largest logit difference {largest:g3}");
    }

    /// <summary>The distance of the two best.</summary>
    private static float Gap(float[] logits)
    {
        float[] sorted = [.. logits.OrderDescending().Take(2)];
        return sorted[0] - sorted[1];
    }
}
