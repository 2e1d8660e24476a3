namespace Decart.Inference;

/// <summary>How far loading has come.</summary>
/// <param name="Step">What is being done, in words fit to show a user.</param>
/// <param name="BytesLoaded">Bytes of this step done so far.</param>
/// <param name="BytesTotal">Bytes of this step in all; 0 when the step has no size.</param>
public readonly record struct LoadProgress(string Step, long BytesLoaded, long BytesTotal)
{
    /// <summary>The share that is done, from 0 to 1; 0 when <see cref="BytesTotal"/> is not known.</summary>
    public double Fraction => BytesTotal > 0 ? Math.Clamp((double)BytesLoaded / BytesTotal, 0, 1) : 0;
}
