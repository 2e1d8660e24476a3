using System.Numerics.Tensors;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Tests.Kernels.Gpu;

namespace Decart.Inference.Tests.Models;

/// <summary>Every family on the GPU's kernels.</summary>
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuModelTests(string device)
{
    [TestCaseSource(typeof(TinyModels), nameof(TinyModels.Names))]
    public void Prompts_and_decoding_give_the_logits_of_the_cpu(string model) => Compare(model, tensorCores: false);

    [TestCase("mixtral")]
    [TestCase("gemma2")]
    public void Tensor_cores_give_the_logits_of_the_cpu(string model) => Compare(model, tensorCores: true);

    [Test]
    public void Chunks_and_company_change_no_bit([Values("mixtral", "gemma2", "falcon RefinedWeb")] string model, [Values] KvCacheType keysAndValues)
    {
        float[][] together = TinyModelRuns.Run(model, new GpuBackend(GpuDevices.Create(device), keysAndValues), TinyModelRuns.Together);
        float[][] alone = TinyModelRuns.Run(model, new GpuBackend(GpuDevices.Create(device), keysAndValues), TinyModelRuns.Alone);
        for (int i = 0; i < alone.Length; i++) Assert.That(alone[i], Is.EqualTo(together[i]), $"answer {i}");
    }

    private void Compare(string model, bool tensorCores)
    {
        float[][] expected = TinyModelRuns.Run(model, new CpuBackend(threads: 1), TinyModelRuns.Together);
        float[][] found = TinyModelRuns.Run(model, new GpuBackend(GpuDevices.Create(device, tensorCores: tensorCores)), TinyModelRuns.Together);
        TestContext.Out.WriteLine($"largest logit difference {expected.Zip(found, (a, b) => DecoderRuns.MaxDifference(a, b)).Max():g3}");
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.That(DecoderRuns.MaxDifference(expected[i], found[i]), Is.LessThanOrEqualTo(1e-2f), $"answer {i}");
            Assert.That(TensorPrimitives.CosineSimilarity<float>(expected[i], found[i]), Is.GreaterThanOrEqualTo(0.99999f), $"answer {i}");
        }
    }
}
