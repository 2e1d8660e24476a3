using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Models;
using Decart.Inference.Tests.Kernels.Gpu;

namespace Decart.Inference.Tests.Models;

/// <summary>Whole models whose weights stay in the bits of their file, beside the same with weights of halves.</summary>
[Cuda]
internal sealed class GpuPackedModelTests
{
    private static IEnumerable<TestCaseData> Files => CudaAttribute.Choose<TestCaseData>(
    [
        new TestCaseData("TinyStories-656K-q4_0.gguf", 1), new TestCaseData("TinyStories-656K-q8_0.gguf", 1), new TestCaseData("SmolLM2-135M-Instruct-Q4_1.gguf", 1),
        new TestCaseData("TinyStories-656K-q4_0.gguf", 2), new TestCaseData("TinyStories-656K-q8_0.gguf", 2),
    ]);

    [NeedsFixtures]
    [TestCaseSource(nameof(Files))]
    public void Logits_have_the_bits_of_widened_weights(string file, int gpus)
    {
        float[][] packed = Run(file, gpus, packs: true), widened = Run(file, gpus, packs: false);
        for (int step = 0; step < packed.Length; step++) Assert.That(packed[step], Is.EqualTo(widened[step]), $"step {step}");
    }

    /// <summary>The logits after a prompt and after each of two tokens more.</summary>
    private static float[][] Run(string file, int gpus, bool packs)
    {
        using IBackend backend = gpus == 1 ? new GpuBackend(GpuDevices.CreateCuda(packs: packs)) : ParallelDevices.OfCuda(gpus, packs);
        using Decoder decoder = Decoders.Load(Fixtures.Path("gguf", file), backend, maxBatchTokens: 16, 1);
        using KvRanges ranges = new(backend, decoder.KvLayout, 1, 16);
        return [decoder.Prefill(ranges[0], [1, 403, 407]), decoder.Prefill(ranges[0], [261], firstPosition: 3), decoder.Prefill(ranges[0], [378], firstPosition: 4)];
    }
}
