using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;

namespace Decart.Inference.Tests.Kernels;

/// <summary>Weights and vectors from tensors that no file holds.</summary>
internal static class StoredTensors
{
    private const string Source = "memory";

    public static WeightParts AsWeight(params ReadOnlySpan<StoredTensor> tensors) => new(Source, tensors);

    public static Weight CreateWeight(this ITensorFactory factory, params ReadOnlySpan<StoredTensor> tensors) => factory.CreateWeight(AsWeight(tensors));

    public static WeightVector CreateVector(this ITensorFactory factory, StoredTensor[] tensors, float offset = 0) =>
        factory.CreateVector(new VectorParts(Source, tensors), offset);
}
