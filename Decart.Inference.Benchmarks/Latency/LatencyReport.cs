using Decart.Inference.Benchmarks.Reports;

namespace Decart.Inference.Benchmarks.Latency;

/// <summary>What <see cref="LatencyBenchmark"/> has measured.</summary>
/// <param name="Head">Of what, on what, when.</param>
/// <param name="Layers">Layers that were computed.</param>
/// <param name="ModelLayers">Layers of the model.</param>
/// <param name="Rows">The cases.</param>
internal sealed record LatencyReport(ReportHead Head, int Layers, int ModelLayers, IReadOnlyList<LatencyRow> Rows) : IReport
{
    public static MarkdownTable<LatencyRow> Table { get; } = new(
        ("case", row => row.Case),
        ("kernels", row => Name(row.Kernels)),
        ("paging", row => Name(row.Paging)),
        ("ms", row => row.LeftOut ?? Figures.Text(row.Seconds * 1e3, "F2")),
        ("tok/s", row => Figures.Text(row.TokensPerSecond, "N0")),
        ("share of the roofline", row => Figures.Text(row.RooflineShare, "F2")),
        ("TFLOP/s", row => Figures.Text(row.TeraFlops, "G3")),
        ("TFLOP/s, matmuls only", row => Figures.Text(row.WeightTeraFlops, "G3")));

    /// <summary>The format of the weights; null for 16 bits.</summary>
    public WeightFormat? Weights { get; init; }

    /// <summary>The form of keys and values.</summary>
    public KvCacheType KvCacheType { get; init; }

    /// <summary>Whether activations are of 8 bits where weights are.</summary>
    public bool EightBitActivations { get; init; }

    /// <summary>Bits of a weight in a checkpoint of this format, all matrices of the computed layers and the output together; the roofline counts them.</summary>
    public double BitsPerWeight { get; init; } = 16;

    private static MarkdownTable<LatencyRatio> Ratios { get; } = new(
        ("case", ratio => ratio.Case),
        ("compared", ratio => $"{ratio.Slower} / {ratio.Faster}"),
        ("ms", ratio => $"{Figures.Text(ratio.SlowerSeconds * 1e3, "F2")} / {Figures.Text(ratio.FasterSeconds * 1e3, "F2")}"),
        ("ratio", ratio => Figures.Text(ratio.Value, "F2")));

    public static string Name(KernelChoice kernels) => kernels == KernelChoice.Sm80 ? "sm_80" : "newest";

    public static string Name(PagingMode paging) => paging.ToString().ToLowerInvariant();

    /// <summary>What kernels of sm_80 and page tables cost, as far as both were measured.</summary>
    public string RatiosMarkdown => LatencyRatio.Of(Rows) is { Count: > 0 } ratios ? Ratios.Text(ratios) : "";

    public string ToMarkdown()
    {
        string copies = string.Join(" and ", Rows.Select(row => Figures.Text(row.CopyBandwidth / 1e12, "F2")).Distinct());
        string format = Weights is { } weights ? $" ({weights})" : "", cache = KvCacheType == KvCacheType.Default ? "" : $", {KvCacheType} keys and values";
        string activations = EightBitActivations ? ", activations of 8 bits" : "";
        string shape = $"{Layers} of {ModelLayers} layers, random weights of {Figures.Text(BitsPerWeight, "0.##")} bits{format}{activations}{cache}. Copies reach {copies} TB/s (read + write).";
        return string.Join(Environment.NewLine + Environment.NewLine, [Head.Markdown, shape, Table.Text(Rows), RatiosMarkdown]).TrimEnd();
    }
}
