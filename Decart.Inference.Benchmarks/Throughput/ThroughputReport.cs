using Decart.Inference.Benchmarks.Reports;

namespace Decart.Inference.Benchmarks.Throughput;

/// <summary>What <see cref="ThroughputBenchmark"/> has measured.</summary>
/// <param name="Head">Of what, on what, when.</param>
/// <param name="Requests">Requests of a round.</param>
/// <param name="Prompt">Lengths of their prompts.</param>
/// <param name="Output">Lengths of their answers.</param>
/// <param name="RandomWeights">Whether the weights were made up.</param>
/// <param name="Rounds">Rounds of which the median one is reported.</param>
/// <param name="Rows">What was tried.</param>
internal sealed record ThroughputReport(
    ReportHead Head, int Requests, string Prompt, string Output, bool RandomWeights, int Rounds, IReadOnlyList<ThroughputRow> Rows) : IReport
{
    private const string Rate = "N0", Time = "N1";

    public static MarkdownTable<ThroughputRow> Table { get; } = new(
        ("concurrency", row => Figures.Text(row.Concurrency)),
        ("tokens a step", row => row.BatchTokens is { } tokens ? Figures.Text(tokens) : "default"),
        ("answers", row => $"{row.Form}".ToLowerInvariant()),
        ("output tok/s", row => Figures.Text(row.OutputPerSecond, Rate)),
        ("in + out tok/s", row => Figures.Text(row.TotalPerSecond, Rate)),
        ("TTFT p50, ms", row => Figures.Text(row.FirstTokenP50, Time)),
        ("p99", row => Figures.Text(row.FirstTokenP99, Time)),
        ("TPOT p50, ms", row => Figures.Text(row.PerTokenP50, "N2")),
        ("p99", row => Figures.Text(row.PerTokenP99, "N2")),
        ("prefill tok/s", row => Figures.Text(row.PrefillPerSecond, Rate)),
        ("decode tok/s", row => Figures.Text(row.DecodePerSecond, Rate)),
        ("J a token", row => Figures.Text(row.JoulesPerToken, "F3")),
        ("$ a million tokens", row => Figures.Text(row.DollarsPerMillionTokens, "F3")),
        ("as alone", row => row.Answers));

    /// <summary>What the process beside the device did.</summary>
    private static MarkdownTable<ThroughputRow> Host { get; } = new(
        ("concurrency", row => Figures.Text(row.Concurrency)),
        ("preemptions", row => Figures.Text(row.Preemptions)),
        ("B allocated a token", row => Figures.Text(row.AllocatedBytesPerToken, Rate)),
        ("GC pauses, %", row => Figures.Text(row.PauseShare * 100, "F1")),
        ("threads", row => Figures.Text(row.Threads)),
        ("loading, s", row => Figures.Text(row.LoadSeconds, "F2")));

    /// <summary>The format of the weights; null for 16 bits, or those of the checkpoint.</summary>
    public WeightFormat? Weights { get; init; }

    /// <summary>The form of keys and values.</summary>
    public KvCacheType KvCacheType { get; init; }

    /// <summary>Whether activations are of 8 bits where weights are.</summary>
    public bool EightBitActivations { get; init; }

    /// <summary>The temperature of answers.</summary>
    public float Temperature { get; init; }

    /// <summary>The row with the most output tokens a second; null before the first.</summary>
    public ThroughputRow? Best => Rows.MaxBy(row => row.OutputPerSecond);

    public string ToMarkdown() => string.Join(Environment.NewLine + Environment.NewLine, [Head.Markdown, Load, Table.Text(Rows), Result]);

    /// <summary>What was asked for, in a sentence.</summary>
    public string Load
    {
        get
        {
            string weights = RandomWeights ? "random weights" : "the checkpoint's weights", format = Weights is { } name ? $" in {name}" : "";
            string cache = KvCacheType == KvCacheType.Default ? "" : $", {KvCacheType} keys and values", activations = EightBitActivations ? ", activations of 8 bits" : "";
            string rounds = Rounds > 1 ? $"; the median of {Rounds} rounds" : "";
            return $"{Figures.Text(Requests)} requests submitted at once, prompts of {Prompt} random tokens, answers of {Output}, {(Temperature == 0 ? "greedy" : FormattableString.Invariant($"temperature {Temperature}"))}, {weights}{format}{activations}{cache}{rounds}.";
        }
    }

    /// <summary>The best row in a sentence, and what the process did.</summary>
    public string Result
    {
        get
        {
            string best = Best is { } row ? $"Best: {Figures.Text(row.OutputPerSecond, Rate)} output tok/s at a concurrency of {Figures.Text(row.Concurrency)}." : "";
            return string.Join(Environment.NewLine + Environment.NewLine, [best, Host.Text(Rows)]);
        }
    }
}
