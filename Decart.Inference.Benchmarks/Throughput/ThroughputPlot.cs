using Decart.Inference.Benchmarks.Reports;
using ScottPlot;
using Series = Decart.Inference.Benchmarks.Reports.PlotSeries<(Decart.Inference.Benchmarks.Throughput.ThroughputReport Report, Decart.Inference.Benchmarks.Throughput.ThroughputRow Row)>;

namespace Decart.Inference.Benchmarks.Throughput;

/// <summary>Tokens a second, waiting times and, where it is known, energy by concurrency.</summary>
internal static class ThroughputPlot
{
    /// <param name="reports">At least one, with at least one row.</param>
    public static IReadOnlyList<Plot> Draw(IReadOnlyList<ThroughputReport> reports)
    {
        IReadOnlyList<Series> lines = Series.Of(
            [.. from report in reports from row in report.Rows select (report, row)],
            entry => entry.Report.Head.Model,
            entry => entry.Report.Head.Device,
            entry => $"{entry.Report.Prompt} / {entry.Report.Output}",
            entry => $"{entry.Row.Form}".ToLowerInvariant(),
            entry => entry.Row.BatchTokens is { } tokens ? FormattableString.Invariant($"{tokens:N0} tokens a step") : "default steps");
        List<Plot> panels =
        [
            Panel("Output tokens a second (dashed: with prompts)", lines, row => row.OutputPerSecond, row => row.TotalPerSecond),
            Panel("Between two tokens, ms (dashed: p99)", lines, row => row.PerTokenP50, row => row.PerTokenP99),
            Panel("To the first token, s (dashed: p99)", lines, row => row.FirstTokenP50 / 1e3, row => row.FirstTokenP99 / 1e3),
        ];
        if (reports.Any(report => report.Rows.Any(row => row.JoulesPerToken is not null))) panels.Add(Panel("Joules an output token", lines, row => row.JoulesPerToken, _ => null));
        return panels;
    }

    private static Plot Panel(string title, IReadOnlyList<Series> lines, Func<ThroughputRow, double?> value, Func<ThroughputRow, double?> dashed) => Plots.Lines(
        title,
        "requests computed together",
        [
            .. lines.Select((line, i) => new PlotLine(line.Name, i, Values(line, value))),
            .. lines.Select((line, i) => new PlotLine(null, i, Values(line, dashed)) { Dashed = true }),
        ]);

    private static Dictionary<int, double> Values(Series line, Func<ThroughputRow, double?> value) => line.Values(entry => entry.Row.Concurrency, entry => value(entry.Row));
}
