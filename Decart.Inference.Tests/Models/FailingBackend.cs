using Decart.Inference.Kernels;
using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Models;

/// <summary>A device that fails in its steps once it is told to.</summary>
/// <param name="inner">What it is otherwise; owned.</param>
internal sealed class FailingBackend(IBackend inner) : IBackend
{
    public bool Fails { get; set; }

    public IDeviceMemory Memory => inner.Memory;

    public int KvElementBytes => inner.KvElementBytes;

    public ITensorFactory Tensors => inner.Tensors;

    public IKernels Kernels => inner.Kernels;

    public IDeviceSampler? Sampler => inner.Sampler;

    public void Prepare(int maxTokens, int contextLength, Action operations) => inner.Prepare(maxTokens, contextLength, operations);

    public void BeginStep(Batch batch) => inner.BeginStep(batch);

    public void Run(Action operations)
    {
        if (Fails) throw new InvalidOperationException("Injected: the device is lost.");
        inner.Run(operations);
    }

    public void Read(Activations x, int row, Span<float> destination) => inner.Read(x, row, destination);

    public void Read(WeightVector vector, Span<float> destination) => inner.Read(vector, destination);

    public void Wait() => inner.Wait();

    public void Dispose() => inner.Dispose();
}
