using System.Collections.Immutable;
using Decart.Inference.Kernels;

namespace Decart.Inference.Models;

/// <summary>How the attention and the feed-forward block of a layer are arranged.</summary>
internal enum BlockArrangement
{
    /// <summary>x += attention(norm(x)); x += feedForward(norm(x)).</summary>
    Sequential,
    /// <summary>x += attention(norm(x)) + feedForward(the same norm of x).</summary>
    Parallel,
    /// <summary>x += attention(norm(x)) + feedForward(another norm of x).</summary>
    ParallelTwoNorms,
    /// <summary>x += norm(attention(norm(x))); x += norm(feedForward(norm(x))).</summary>
    Sandwich,
}

/// <summary>The mixture-of-experts blocks of a model.</summary>
/// <param name="Count">Experts of a block.</param>
/// <param name="PerToken">Experts that each token uses.</param>
/// <param name="IntermediateSize">Inner width of an expert.</param>
/// <param name="Renormalise">Whether the chosen experts' probabilities are divided by their sum.</param>
/// <param name="DenseLayers">The layers that have an ordinary feed-forward block instead.</param>
internal sealed record ExpertsConfig(int Count, int PerToken, int IntermediateSize, bool Renormalise, ImmutableHashSet<int> DenseLayers);

/// <summary>
/// The common form of every family's configuration: all that <see cref="Decoder"/> needs to know, in one
/// vocabulary. Made by <see cref="ModelLoader.ReadConfig"/>, which has checked every value.
/// </summary>
internal sealed record ModelConfig
{
    /// <summary>The architecture's name in the file: <c>model_type</c> or <c>general.architecture</c>.</summary>
    public required string Architecture { get; init; }

    public required int VocabularySize { get; init; }

    public required int HiddenSize { get; init; }

    /// <summary>Inner width of the feed-forward block.</summary>
    public required int IntermediateSize { get; init; }

    public required int Layers { get; init; }

    public required int Heads { get; init; }

    public required int KvHeads { get; init; }

    public required int HeadDim { get; init; }

    /// <summary>The most tokens a sequence can hold.</summary>
    public required int ContextLength { get; init; }

    public required float NormEpsilon { get; init; }

    /// <summary>LayerNorm with biases instead of RMSNorm.</summary>
    public bool LayerNorm { get; init; }

    /// <summary>Added to the stored norm scales (Gemma stores scale - 1).</summary>
    public float NormOffset { get; init; }

    public BlockArrangement Arrangement { get; init; }

    public required ActivationFunction Activation { get; init; }

    /// <summary>Whether the feed-forward block has a gate.</summary>
    public bool Gated { get; init; } = true;

    /// <summary>Null for models without rotary embedding.</summary>
    public RotaryConfig? Rotary { get; init; }

    /// <summary>One for each head; null without ALiBi.</summary>
    public ImmutableArray<float>? AlibiSlopes { get; init; }

    /// <summary>The attention window of each layer in tokens, 0 where a token sees everything before it.</summary>
    public required ImmutableArray<int> Windows { get; init; }

    /// <summary>Factor on query-key products.</summary>
    public required float AttentionScale { get; init; }

    /// <summary>Cap of attention scores, 0 for none.</summary>
    public float AttentionSoftCap { get; init; }

    /// <summary>Cap of logits, 0 for none.</summary>
    public float LogitSoftCap { get; init; }

    public float EmbeddingScale { get; init; } = 1;

    /// <summary>Whether each query and key head is normalised.</summary>
    public bool QueryKeyNorm { get; init; }

    public bool QueryKeyValueBias { get; init; }

    public bool AttentionOutputBias { get; init; }

    public bool FeedForwardBias { get; init; }

    public ExpertsConfig? Experts { get; init; }

    /// <summary>Whether the output matrix is the embedding table.</summary>
    public bool TiedEmbeddings { get; init; }

    /// <summary>Whether there is an output matrix; without, as in models that were saved without their head, there are hidden states and no logits.</summary>
    public bool HasOutput { get; init; } = true;

    public int? BosTokenId { get; init; }

    public ImmutableArray<int> EosTokenIds { get; init; } = [];

    /// <summary>What the checkpoint's author recommends for sampling.</summary>
    public GenerationOptions Generation { get; init; } = new();

    public required WeightNames Names { get; init; }

    /// <summary>The same window in every layer.</summary>
    public static ImmutableArray<int> SameWindows(int layers, int window) => [.. Enumerable.Repeat(window, layers)];

    public bool HasExperts(int layer) => Experts is not null && !Experts.DenseLayers.Contains(layer);
}

/// <summary>Limits that no real model comes near: beyond them a configuration is damaged or hostile.</summary>
internal static class ModelLimits
{
    public const int Vocabulary = 1 << 24;
    public const int Hidden = 1 << 18;
    public const int Intermediate = 1 << 20;
    public const int Layers = 2048;
    public const int Heads = 4096;
    public const int HeadDim = 2048;
    public const int Context = 1 << 28;
    public const int Experts = 8192;
}
