namespace Decart.Inference.Models.Quantisation;

/// <summary>How the layers of a checkpoint keep quantised weights: what a scheme's file has to say.</summary>
internal interface IQuantisationScheme
{
    /// <summary>The weight of a layer whose tensors are there, or null where it is stored as it is.</summary>
    /// <exception cref="ModelLoadException">A tensor is missing, has another shape or type, or holds what it cannot.</exception>
    QuantisedWeight? Find(LayerTensors layer);
}
