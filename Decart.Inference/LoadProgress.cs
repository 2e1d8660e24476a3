namespace Decart.Inference;

/// <summary>Progress of loading a model.</summary>
/// <param name="Step">What is being done, worded for users.</param>
/// <param name="BytesLoaded">Bytes of this step done so far.</param>
/// <param name="BytesTotal">Total bytes of this step; 0 when the step has no size.</param>
public readonly record struct LoadProgress(string Step, long BytesLoaded, long BytesTotal)
{
    /// <summary>The fraction done, from 0 to 1; 0 when <see cref="BytesTotal"/> is not known.</summary>
    public double Fraction => BytesTotal > 0 ? Math.Clamp((double)BytesLoaded / BytesTotal, 0, 1) : 0;
}
