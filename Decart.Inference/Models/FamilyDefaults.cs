namespace Decart.Inference.Models;

/// <summary>What transformers documents for the fields that a family's <c>config.json</c> leaves out.</summary>
internal sealed record FamilyDefaults
{
    public static FamilyDefaults Llama { get; } = new();

    public static FamilyDefaults Mistral { get; } = new() { IntermediateSize = 14336, KvHeads = 8, Context = 131072 };

    public static FamilyDefaults Mixtral { get; } = Mistral with { Theta = 1e6, NormEpsilon = 1e-5 };

    public static FamilyDefaults Qwen2 { get; } = new() { VocabularySize = 151936, IntermediateSize = 22016, KvHeads = 32, Context = 32768 };

    public static FamilyDefaults Qwen3 { get; } = Qwen2 with { HeadDim = 128 };

    public static FamilyDefaults Qwen3Moe { get; } = Qwen2 with { HiddenSize = 2048, IntermediateSize = 6144, Layers = 24, KvHeads = 4 };

    public static FamilyDefaults Phi3 { get; } = new()
    {
        VocabularySize = 32064,
        HiddenSize = 3072,
        IntermediateSize = 8192,
        Context = 4096,
        NormEpsilon = 1e-5,
    };

    public static FamilyDefaults Gemma2 { get; } = new()
    {
        VocabularySize = 256000,
        HiddenSize = 2304,
        IntermediateSize = 9216,
        Layers = 26,
        Heads = 8,
        KvHeads = 4,
        HeadDim = 256,
        Context = 8192,
        Tied = true,
    };

    public int VocabularySize { get; init; } = 32000;

    public int HiddenSize { get; init; } = 4096;

    public int IntermediateSize { get; init; } = 11008;

    public int Layers { get; init; } = 32;

    public int Heads { get; init; } = 32;

    /// <summary>Null for as many as query heads.</summary>
    public int? KvHeads { get; init; }

    /// <summary>Null for the hidden size divided by the heads.</summary>
    public int? HeadDim { get; init; }

    public int Context { get; init; } = 2048;

    public double Theta { get; init; } = 10000;

    public double NormEpsilon { get; init; } = 1e-6;

    public bool Tied { get; init; }
}
