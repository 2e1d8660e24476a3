using Decart.Inference.Benchmarks.Reports;
using ScottPlot;
using Series = Decart.Inference.Benchmarks.Reports.PlotSeries<(Decart.Inference.Benchmarks.Latency.LatencyReport Report, Decart.Inference.Benchmarks.Latency.LatencyRow Row)>;

namespace Decart.Inference.Benchmarks.Latency;

/// <summary>Time per token and share of the roofline by batch, throughput of prompts by length, and what two kinds of kernels or of paging cost beside each other.</summary>
internal static class LatencyPlot
{
    /// <summary>The panels that there are rows for.</summary>
    /// <param name="reports">At least one, with at least one row that was measured.</param>
    public static IReadOnlyList<Plot> Draw(IReadOnlyList<LatencyReport> reports)
    {
        IReadOnlyList<Series> decode = Lines(reports, StepKind.Decode), prefill = Lines(reports, StepKind.Prefill);
        List<Plot> panels = [];
        if (decode.Count > 0)
        {
            panels.Add(Plots.Lines("Time per token, ms (dashed: reading alone)", "sequences decoded together",
            [
                .. decode.Select((line, i) => new PlotLine(line.Name, i, Decode(line, row => row.Seconds * 1e3))),
                .. decode.Select((line, i) => new PlotLine(null, i, Decode(line, row => row.FloorSeconds * 1e3)) { Dashed = true }),
            ]));
            panels.Add(Plots.Lines("Share of the roofline", "sequences decoded together", [.. decode.Select((line, i) => new PlotLine(line.Name, i, Decode(line, row => row.RooflineShare)))], top: 1));
        }
        if (prefill.Count > 0)
        {
            panels.Add(Plots.Lines("Prompts, TFLOP/s with attention", "tokens of the prompt",
                [.. prefill.Select((line, i) => new PlotLine(line.Name, i, line.Values(entry => entry.Row.Tokens, entry => entry.Row.TeraFlops)))]));
        }
        IEnumerable<LatencyRatio> ratios =
            from report in reports
            from ratio in LatencyRatio.Of(report.Rows)
            select reports.Count == 1 ? ratio : ratio with { Case = $"{report.Head.Model}: {ratio.Case}" };
        foreach (IGrouping<string, LatencyRatio> compared in ratios.GroupBy(ratio => $"Time: {ratio.Slower} / {ratio.Faster}"))
            panels.Add(Plots.Bars(compared.Key, [.. compared.Select(ratio => (ratio.Case, ratio.Value))], "F2"));
        return panels;
    }

    private static IReadOnlyList<Series> Lines(IReadOnlyList<LatencyReport> reports, StepKind kind) => Series.Of(
        [.. from report in reports from row in report.Rows where row.Kind == kind && row.Seconds is not null select (report, row)],
        entry => entry.Report.Head.Model,
        entry => entry.Report.Head.Device,
        entry => kind == StepKind.Prefill ? "" : FormattableString.Invariant($"context {entry.Row.Tokens:N0}"),
        entry => $"{LatencyReport.Name(entry.Row.Kernels)} kernels",
        entry => $"{LatencyReport.Name(entry.Row.Paging)} paging");

    private static Dictionary<int, double> Decode(Series line, Func<LatencyRow, double?> value) => line.Values(entry => entry.Row.Batch, entry => value(entry.Row));
}
