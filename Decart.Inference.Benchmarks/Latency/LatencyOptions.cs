namespace Decart.Inference.Benchmarks.Latency;

/// <summary>The kernels that a GPU uses.</summary>
internal enum KernelChoice
{
    /// <summary>The newest that run on it: on Hopper those of sm_90a.</summary>
    Newest,

    /// <summary>Those that GPUs of the generation before have as well.</summary>
    Sm80,
}

/// <summary>What <see cref="LatencyBenchmark"/> measures.</summary>
internal sealed record LatencyOptions
{
    /// <summary>A folder with config.json, whose shape the decoder has.</summary>
    public required string Model { get; init; }

    public Device Device { get; init; }

    /// <summary>Threads of the processor; null for the default.</summary>
    public int? Threads { get; init; }

    /// <summary>Numbers of sequences decoded together.</summary>
    public IReadOnlyList<int> Batches { get; init; } = [1, 16, 64];

    /// <summary>Tokens of each sequence before the one that is decoded.</summary>
    public IReadOnlyList<int> Contexts { get; init; } = [1024];

    /// <summary>Lengths of prompts; none are measured where it is empty.</summary>
    public IReadOnlyList<int> Prefills { get; init; } = [];

    /// <summary>The format of the weights; null for 16 bits.</summary>
    public WeightFormat? Weights { get; init; }

    /// <summary>The form of keys and values.</summary>
    public KvCacheType KvCacheType { get; init; }

    /// <summary>Whether activations are of 8 bits where weights are.</summary>
    public bool EightBitActivations { get; init; }

    /// <summary>
    /// Whether all tokens of prompts and contexts are the same one, as in some benchmarks. Rows of a product are then much alike, which takes a GPU less power than tokens of texts do, and so less time where power is the limit.
    /// </summary>
    public bool SameToken { get; init; }

    /// <summary>Layers that are computed, the first of the model's; null for all.</summary>
    public int? Layers { get; init; }

    /// <summary>Everything is measured with each.</summary>
    public IReadOnlyList<KernelChoice> Kernels { get; init; } = [KernelChoice.Newest];

    /// <summary>Everything is measured with each.</summary>
    public IReadOnlyList<PagingMode> Pagings { get; init; } = [PagingMode.Auto];

    /// <summary>Decode steps of which the median is taken; of prompts a quarter, but three at least.</summary>
    public int Repetitions { get; init; } = 20;
}
