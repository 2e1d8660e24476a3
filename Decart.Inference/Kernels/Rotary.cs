namespace Decart.Inference.Kernels;

/// <summary>How cosines and sines follow from positions, ready for the device.</summary>
internal abstract class RotaryTable : IDisposable
{
    public abstract void Dispose();
}

/// <summary>The values of a rotary embedding (Su et al., RoFormer, 2021) after any scaling of its frequencies.</summary>
/// <param name="InverseFrequencies">
/// One for each rotated pair, the rest of a head passes through; <see cref="Sets"/> of them one after another where longer sequences have others.
/// </param>
/// <param name="Scale">Factor on cosines and sines (YaRN's attention factor), 1 otherwise.</param>
/// <param name="Interleaved">Pairs are neighbours (2i, 2i+1), as in GGUF's Llama files, instead of (i, i + half).</param>
internal sealed record RotaryParameters(float[] InverseFrequencies, float Scale, bool Interleaved)
{
    /// <summary>How many sets of frequencies there are.</summary>
    public int Sets { get; init; } = 1;

    /// <summary>The longest sequence of the first set; each next set is for one token more, the last for all that are longer.</summary>
    public int FirstSetLength { get; init; }

    /// <summary>Rotated pairs of a head.</summary>
    public int Pairs => InverseFrequencies.Length / Sets;

    /// <summary>The frequencies of a token: by the length that its sequence's keys are rotated for, or by its own position beyond that.</summary>
    /// <param name="position">The token's position.</param>
    /// <param name="rotaryLength">See <see cref="Memory.KvView.RotaryLength"/>.</param>
    public ReadOnlySpan<float> Frequencies(int position, int rotaryLength)
    {
        int set = Math.Clamp(Math.Max(position + 1, rotaryLength) - FirstSetLength, 0, Sets - 1);
        return InverseFrequencies.AsSpan(set * Pairs, Pairs);
    }
}
