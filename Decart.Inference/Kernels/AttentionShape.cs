namespace Decart.Inference.Kernels;

/// <summary>The shape and rules of attention in one layer.</summary>
/// <param name="Heads">Query heads; head h reads key/value head h / (Heads / KvHeads).</param>
/// <param name="KvHeads">Key/value heads.</param>
/// <param name="HeadDim">Elements of a head.</param>
/// <param name="Scale">Factor on query-key products.</param>
/// <param name="SoftCap">Scores become cap * tanh(score / cap) when not 0 (Gemma 2).</param>
/// <param name="Window">Token i sees tokens j with i - j &lt; Window when not 0 (Mistral).</param>
/// <param name="AlibiSlopes">One for each head: score += slope * (j - i) (Press et al., ALiBi, 2021); null without ALiBi.</param>
internal sealed record AttentionShape(
    int Heads, int KvHeads, int HeadDim, float Scale, float SoftCap = 0, int Window = 0, float[]? AlibiSlopes = null);
