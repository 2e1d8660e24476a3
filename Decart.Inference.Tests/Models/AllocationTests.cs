using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Models;
using Decart.Inference.Tests.Kernels;

namespace Decart.Inference.Tests.Models;

public class AllocationTests
{
    [TestCaseSource(typeof(TinyModels), nameof(TinyModels.Names))]
    public void A_step_allocates_nothing_once_warm(string model)
    {
        ModelConfig config = TinyCheckpoint.Read(TinyModels.Config(model));
        int[] prompt = [.. Enumerable.Range(0, 30)];
        using var backend = new CpuBackend(threads: 2);
        using Decoder decoder = Decoder.Load(TinyCheckpoint.Weights(config), config, backend, prompt.Length, 1);
        using TestKv kv = new(decoder.KvLayout, prompt.Length);
        Batch batch = new();
        batch.Add(kv.View, prompt, 0, wantsLogits: true);
        Assert.That(Allocations.InSteadyState(() => decoder.Forward(batch)), Is.Zero);
    }
}
