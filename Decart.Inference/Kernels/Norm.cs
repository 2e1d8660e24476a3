namespace Decart.Inference.Kernels;

/// <summary>A normalisation over the last dimension.</summary>
/// <param name="Scale">Multiplier for each element.</param>
/// <param name="Bias">Added to each element after scaling; null for none.</param>
/// <param name="Epsilon">Added to the variance or mean square.</param>
/// <param name="RemoveMean">Whether the mean is subtracted first: LayerNorm (Ba et al., 2016) instead of RMSNorm (Zhang and Sennrich, 2019).</param>
internal sealed record Norm(WeightVector Scale, WeightVector? Bias, float Epsilon, bool RemoveMean);
