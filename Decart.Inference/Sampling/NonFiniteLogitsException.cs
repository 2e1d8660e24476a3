namespace Decart.Inference.Sampling;

/// <summary>A model's logits are not finite numbers, which an undamaged model never gives.</summary>
internal sealed class NonFiniteLogitsException(string message) : InvalidOperationException(message);
