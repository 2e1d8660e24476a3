namespace Decart.Inference.Benchmarks.Throughput;

/// <summary>What <see cref="ThroughputBenchmark"/> measures.</summary>
internal sealed record ThroughputOptions
{
    /// <summary>A folder or a .gguf file; a folder with nothing but config.json has random weights.</summary>
    public required string Model { get; init; }

    public Device Device { get; init; }

    /// <summary>Threads of the processor; null for the default.</summary>
    public int? Threads { get; init; }

    /// <summary>Requests of a round, submitted at once.</summary>
    public int Requests { get; init; } = 128;

    public LengthRange Prompt { get; init; } = new(128, 128);

    public LengthRange Output { get; init; } = new(128, 128);

    /// <summary>Numbers of requests that the session computes together; each is tried.</summary>
    public IReadOnlyList<int> Concurrencies { get; init; } = [32];

    /// <summary>Most tokens of a step; each is tried with each concurrency, or the session's default where it is empty.</summary>
    public IReadOnlyList<int> BatchTokens { get; init; } = [];

    public PagingMode Paging { get; init; }

    /// <summary>The format of the weights; null for 16 bits, or those of the checkpoint.</summary>
    public WeightFormat? Weights { get; init; }

    /// <summary>The form of keys and values.</summary>
    public KvCacheType KvCacheType { get; init; }

    /// <summary>Whether activations are of 8 bits where weights are.</summary>
    public bool EightBitActivations { get; init; }

    /// <summary>Memory for keys and values; null for the session's default.</summary>
    public long? KvCacheBytes { get; init; }

    /// <summary>Rounds of each try, of which the median one is reported, after one that does not count.</summary>
    public int Rounds { get; init; } = 1;

    /// <summary>Dollars that the device costs an hour; null where nobody asks.</summary>
    public double? PricePerHour { get; init; }

    /// <summary>Requests whose tokens are compared with those that they get alone.</summary>
    public int Checked { get; init; }

    /// <summary>What answers must look like; each is tried with each concurrency, in the same session.</summary>
    public IReadOnlyList<AnswerForm> Forms { get; init; } = [AnswerForm.Text];

    /// <summary>The temperature of answers, each of which has a seed of its own.</summary>
    public float Temperature { get; init; }

    /// <summary>A folder whose tokenizer is used; null for the model's own, or a made-up one where it has none and forms ask for one.</summary>
    public string? Tokenizer { get; init; }

    /// <summary>Chooses lengths, prompts and answers.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Whether the model's folder has no weights.</summary>
    public bool RandomWeights =>
        File.Exists(Path.Combine(Model, "config.json")) && !Directory.EnumerateFiles(Model).Any(file => Path.GetExtension(file) is ".safetensors" or ".gguf");
}
