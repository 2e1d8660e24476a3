namespace Decart.Inference.Sampling;

/// <summary>A model's logits are not numbers: whatever the request, a sound model does not give such.</summary>
internal sealed class NonFiniteLogitsException(string message) : InvalidOperationException(message);
