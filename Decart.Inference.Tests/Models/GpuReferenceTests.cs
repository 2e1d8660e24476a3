using System.Numerics.Tensors;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Models;
using Decart.Inference.Tests.Kernels.Gpu;

namespace Decart.Inference.Tests.Models;

/// <summary>
/// Every checkpoint whose answers are known, on a GPU: its logits are near the CPU's, which are checked against the known ones elsewhere, and along the
/// known continuation its best token is the known one wherever rounding cannot change that.
/// </summary>
[Cuda]
internal sealed class GpuReferenceTests
{
    /// <summary>For the logits after the prompt, which are the known ones.</summary>
    private const float Tolerance = 3e-2f, MinCosine = 0.9995f;

    /// <summary>For SmolLM2, 30 layers of which 4-bit weights with offsets are rounded; see docs/gpu.md, "Numbers".</summary>
    private const float SmolLmTolerance = 6e-2f;

    /// <summary>
    /// For the largest of hundreds of thousands of logits along continuations, where keys and values of 16 bits alone make differences of 0.03 (an exact
    /// computation with nothing but these rounded does).
    /// </summary>
    private const float ContinuationTolerance = 8e-2f, ContinuationMeanSquare = 1.2e-2f * 1.2e-2f;

    private const int MaxBatchTokens = 512;

    private static IEnumerable<TestCaseData> Cases => CudaAttribute.Choose<TestCaseData>(
    [
        .. ReferenceAnswers.Cases().Concat(ReferenceAnswers.QuantisedCases()).Where(test => Directory.Exists((string)test.Arguments[0]!)).Select(test => ReferenceAnswers.Read((string)test.Arguments[0]!)).SelectMany(answers => answers.Prompts.Select(
            (prompt, i) => new TestCaseData(answers.Folder, prompt, answers.Greedy[i]).SetArgDisplayNames(Path.GetFileName(answers.Folder), $"{i}"))),
        .. GoldenAnswers.All().Select(answers => new TestCaseData(answers.Checkpoint, answers.Prompt, answers.Greedy).SetArgDisplayNames(answers.Name)),
    ]);

    [TestCaseSource(nameof(Cases))]
    public void Known_continuations_are_followed(string checkpoint, int[] prompt, int[] greedy)
    {
        using IBackend gpu = new GpuBackend(GpuDevices.CreateCuda()), cpu = new CpuBackend(threads: 2);
        using Decoder found = Decoders.Load(checkpoint, gpu, MaxBatchTokens, 1), expected = Decoders.Load(checkpoint, cpu, MaxBatchTokens, 1);
        int tokens = prompt.Length + greedy.Length;
        using KvRanges gpuRange = new(gpu, found.KvLayout, 1, tokens), cpuRange = new(cpu, expected.KvLayout, 1, tokens);
        float[] logits = found.Prefill(gpuRange[0], prompt), reference = expected.Prefill(cpuRange[0], prompt);
        float largest = 0, cosine = 1, first = DecoderRuns.MaxDifference(logits, reference);
        double squares = 0;
        for (int step = 0; step < greedy.Length; step++)
        {
            float error = DecoderRuns.MaxDifference(logits, reference);
            largest = Math.Max(largest, error);
            squares += MeanSquare(logits, reference);
            cosine = Math.Min(cosine, TensorPrimitives.CosineSimilarity<float>(logits, reference));
            if (Gap(reference) > 2 * error) Assert.That(DecoderRuns.ArgMax(logits), Is.EqualTo(greedy[step]), $"token {step}");
            if (step + 1 == greedy.Length) break;
            logits = found.Prefill(gpuRange[0], [greedy[step]], firstPosition: prompt.Length + step);
            reference = expected.Prefill(cpuRange[0], [greedy[step]], firstPosition: prompt.Length + step);
        }
        squares /= greedy.Length;
        TestContext.Out.WriteLine(
            $"largest logit difference {first:g3} after the prompt, {largest:g3} in {greedy.Length} steps; root mean square {Math.Sqrt(squares):g3}, least cosine {cosine:g7}");
        Assert.Multiple(() =>
        {
            Assert.That(first, Is.LessThanOrEqualTo(checkpoint.Contains("SmolLM2", StringComparison.Ordinal) ? SmolLmTolerance : Tolerance));
            Assert.That(largest, Is.LessThanOrEqualTo(ContinuationTolerance));
            Assert.That(squares, Is.LessThanOrEqualTo(ContinuationMeanSquare));
            Assert.That(cosine, Is.GreaterThanOrEqualTo(MinCosine));
        });
    }

    /// <summary>Rounding activations to 8 bits changes a quantised checkpoint's logits a little, and not at all where it is multiplied as always.</summary>
    [NeedsFixtures]
    [TestCaseSource(nameof(QuantisedFolders))]
    public void Activations_of_eight_bits_stay_near(string checkpoint)
    {
        ReferenceAnswers answers = ReferenceAnswers.Read(checkpoint);
        int[] prompt = answers.Prompts[^1];
        float[] halves = Run(eightBitActivations: false), found = Run(eightBitActivations: true);
        float cosine = TensorPrimitives.CosineSimilarity<float>(found, answers.LogitsLast[^1]), difference = DecoderRuns.MaxDifference(found, halves);
        TestContext.Out.WriteLine($"largest difference {difference:g3} of {halves.Max(Math.Abs):g3}, cosine to the known logits {cosine:g7}");
        Assert.That(cosine, Is.GreaterThan(0.995f));
        using CudaDevice device = GpuDevices.CreateCuda();
        // Groups of 64 columns stay with activations of 16 bits.
        bool rounds = GpuMatMulLauncher.MultipliesCodes(device) && !checkpoint.Contains("g64", StringComparison.Ordinal);
        Assert.That(difference, rounds ? Is.GreaterThan(0) : Is.Zero);

        float[] Run(bool eightBitActivations)
        {
            using IBackend gpu = new GpuBackend(GpuDevices.CreateCuda(), eightBitActivations: eightBitActivations);
            using Decoder decoder = Decoders.Load(checkpoint, gpu, MaxBatchTokens, 1);
            using KvRanges range = new(gpu, decoder.KvLayout, 1, prompt.Length);
            return decoder.Prefill(range[0], prompt);
        }
    }

    private static IEnumerable<TestCaseData> QuantisedFolders => CudaAttribute.Choose<TestCaseData>([.. ReferenceAnswers.QuantisedCases()]);

    private static double MeanSquare(float[] logits, float[] reference) =>
        logits.Zip(reference, (a, b) => ((double)a - b) * (a - b)).Average();

    /// <summary>The distance of the two best.</summary>
    private static float Gap(float[] logits)
    {
        float[] best = [.. logits.OrderDescending().Take(2)];
        return best[0] - best[1];
    }
}
