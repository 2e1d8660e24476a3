using System.Diagnostics.Metrics;
using System.Text.Json.Serialization;
using Decart.Inference.Models.Quantisation;
using Microsoft.Extensions.Logging;

namespace Decart.Inference;

/// <summary>How a session computes. Immutable.</summary>
public sealed record LlmSessionOptions
{
    private const int MostThreads = 1024, MostSequences = 65_536, DefaultBatchTokens = 512;

    /// <summary>Where to compute; <see cref="Device.Auto"/> unless set.</summary>
    public Device Device { get; init; } = Device.Auto;

    /// <summary>
    /// Number of CPU threads, 1 to 1024; <see langword="null"/> (the default) for one per processor available to the process, at
    /// most 64.
    /// </summary>
    public int? Threads { get; init; }

    /// <summary>The most requests computed together, 1 to 65,536; more wait for their turn in the order of arrival. Default 32.</summary>
    public int MaxConcurrentSequences { get; init; } = 32;

    /// <summary>
    /// The most tokens computed in one step, at least <see cref="MaxConcurrentSequences"/>. Longer prompts are computed in chunks between
    /// the other requests' tokens: a larger value computes prompts faster, a smaller one delays running requests less.
    /// <see langword="null"/> (the default) for 512, or for <see cref="MaxConcurrentSequences"/> if that is more.
    /// </summary>
    public int? MaxBatchTokens { get; init; }

    /// <summary>
    /// Bytes reserved for the keys and values of all requests, at least one page; <see langword="null"/> (the default) for the most that the concurrent
    /// sequences can use, limited to half of the memory that is free once the model is loaded (on a GPU, to nine tenths of its free memory). Of several
    /// GPUs each reserves so much for its part.
    /// </summary>
    public long? KvCacheBytes { get; init; }

    /// <summary>
    /// In what form keys and values are kept; <see cref="KvCacheType.Default"/> unless set. With <see cref="KvCacheType.Fp8"/> about twice as many tokens have room in the same memory of a
    /// GPU, and decode steps of long contexts read half as much; answers differ a little from those with the default, and are the same, bit for bit, whatever else is computed.
    /// </summary>
    public KvCacheType KvCacheType { get; init; }

    /// <summary>
    /// Whether weights of few bits are multiplied with activations that are rounded to 8 bits: 8-bit floats (FP8 checkpoints, or <see cref="Quantize"/> with <see cref="WeightFormat.Fp8"/>) that have
    /// at most one scale for 128 columns of a row with such floats; integers that have a scale for each row and no zero (W8A8 checkpoints, or <see cref="WeightFormat.Int8"/>), and integers of 4 bits whose
    /// groups are whole rows or a multiple of 128 columns, with zeros or without (GPTQ, AWQ, W4A16, or <see cref="WeightFormat.Int4"/>), with integers of 8. Each token has a scale of its own; a checkpoint's scales of activations are not used. GPUs of
    /// compute capability 9.0 do so, but not with experts; elsewhere the option has no effect. It is for large models and many tokens: of those prompts take two fifths (8-bit floats), half (8-bit integers) or a quarter (4 bits) less
    /// time, steps of 64 tokens a seventh to a quarter. Answers are less accurate than with activations of 16 bits, and the same, bit for bit, whatever else is computed. Default <see langword="false"/>.
    /// </summary>
    public bool EightBitActivations { get; init; }

    /// <summary>How the keys and values of a sequence are found on their pages; <see cref="PagingMode.Auto"/> unless set.</summary>
    public PagingMode Paging { get; init; }

    /// <summary>
    /// Whether a request that begins with the same tokens as an earlier one reuses its keys and values. Answers are
    /// the same, bit for bit. Default <see langword="true"/>.
    /// </summary>
    public bool PrefixCaching { get; init; } = true;

    /// <summary>
    /// Uses random weights instead of reading any, bfloat16 or as <see cref="Quantize"/> says: a folder with a <c>config.json</c> is enough to measure the speed of a
    /// model of that shape. The output is meaningless. Default <see langword="false"/>.
    /// </summary>
    public bool RandomWeights { get; init; }

    /// <summary>
    /// Rounds the weights of a checkpoint of 16 or 32 bits to fewer while it is loaded: <see cref="WeightFormat.Fp8"/>, <see cref="WeightFormat.Int8"/> or <see cref="WeightFormat.Int4"/>; of one that is quantised already loading
    /// fails. With <see cref="RandomWeights"/>, the format of these, which may be any. <see langword="null"/> (the default) for weights as they are.
    /// </summary>
    public WeightFormat? Quantize { get; init; }

    /// <summary>
    /// How a model that is named <c>org/name</c> is downloaded; <see langword="null"/> (the default) for the defaults of <see cref="ModelHubOptions"/>. Not used where the model is a path.
    /// </summary>
    public ModelHubOptions? Hub { get; init; }

    /// <summary>
    /// Where log messages go; <see langword="null"/> (the default) for nowhere. Prompts and completions are logged at level Trace only.
    /// Messages are written on the threads that compute, load and call, so a logger must not wait for the session. One that throws fails the request, the
    /// loading or the disposal that its message is about.
    /// </summary>
    [JsonIgnore]
    public ILoggerFactory? LoggerFactory { get; init; }

    /// <summary>
    /// Makes the meter of the session; <see langword="null"/> (the default) for the meter that sessions of the process share. Applications that are hosted have a factory, which
    /// <c>AddDecartInference</c> uses.
    /// </summary>
    [JsonIgnore]
    public IMeterFactory? MeterFactory { get; init; }

    /// <summary>The most tokens of one step.</summary>
    internal int TokensPerStep => MaxBatchTokens ?? Math.Max(DefaultBatchTokens, MaxConcurrentSequences);

    internal void Validate()
    {
        foreach ((string name, object? value, string problem) in Problems()) throw new ArgumentOutOfRangeException(name, value, problem);
        Hub?.Validate();
    }

    /// <summary>What is out of range: which option, what it is and what it should be.</summary>
    internal IEnumerable<(string Name, object? Value, string Problem)> Problems()
    {
        if (Threads is < 1 or > MostThreads) yield return (nameof(Threads), Threads, $"Threads must be 1 to {MostThreads}.");
        if (MaxConcurrentSequences is < 1 or > MostSequences)
            yield return (nameof(MaxConcurrentSequences), MaxConcurrentSequences, $"MaxConcurrentSequences must be 1 to {MostSequences}.");
        if (KvCacheBytes is < 1) yield return (nameof(KvCacheBytes), KvCacheBytes, "Keys and values need at least one byte; null for the default.");
        if (!Enum.IsDefined(KvCacheType)) yield return (nameof(KvCacheType), KvCacheType, "KvCacheType must be Default or Fp8.");
        if (!Enum.IsDefined(Paging)) yield return (nameof(Paging), Paging, "Paging must be Auto, Hardware or Table.");
        if (Quantize is { } format && !Enum.IsDefined(format)) yield return (nameof(Quantize), Quantize, $"Quantize must be {string.Join(", ", Enum.GetNames<WeightFormat>())} or null.");
        else if (Quantize is { } few && !RandomWeights && !WeightRounding.Has(few)) yield return (nameof(Quantize), Quantize, "Checkpoints are quantised to Fp8, Int8 or Int4; the other formats are for random weights.");
        if (MaxBatchTokens < MaxConcurrentSequences)
        {
            yield return (
                nameof(MaxBatchTokens),
                MaxBatchTokens,
                $"A step needs room for one token of each of the {MaxConcurrentSequences} concurrent sequences; null for the default.");
        }
    }
}
