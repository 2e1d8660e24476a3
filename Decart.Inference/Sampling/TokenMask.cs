namespace Decart.Inference.Sampling;

/// <summary>The tokens that may be chosen. Immutable: whoever has it may keep it.</summary>
/// <param name="words">For each token of the model's vocabulary a bit, from the lowest bit of the first word up.</param>
internal sealed class TokenMask(uint[] words)
{
    private const int WordBits = 32;

    public ReadOnlySpan<uint> Words => words;

    /// <summary>Words of a mask.</summary>
    /// <param name="vocabularySize">Number of tokens.</param>
    public static int WordCount(int vocabularySize) => (vocabularySize + WordBits - 1) / WordBits;

    /// <summary>Sets a token's bit in the words of a mask that is being made.</summary>
    public static void Allow(Span<uint> words, int token) => words[token / WordBits] |= 1u << (token % WordBits);

    /// <summary>Clears a token's bit in the words of a mask that is being made.</summary>
    public static void Forbid(Span<uint> words, int token) => words[token / WordBits] &= ~(1u << (token % WordBits));

    public bool Allows(int token) => (words[token / WordBits] >> (token % WordBits) & 1) != 0;

    /// <summary>Makes the logits of all other tokens negative infinity.</summary>
    public void Apply(Span<float> logits)
    {
        for (int word = 0; word < words.Length; word++)
        {
            uint bits = words[word];
            if (bits == uint.MaxValue) continue;
            Span<float> group = logits[(word * WordBits)..Math.Min(logits.Length, (word + 1) * WordBits)];
            if (bits == 0)
            {
                group.Fill(float.NegativeInfinity);
                continue;
            }
            for (int i = 0; i < group.Length; i++)
            {
                if ((bits >> i & 1) == 0) group[i] = float.NegativeInfinity;
            }
        }
    }
}
