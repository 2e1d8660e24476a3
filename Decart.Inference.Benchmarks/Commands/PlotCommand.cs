using System.CommandLine;
using Decart.Inference.Benchmarks.Latency;
using Decart.Inference.Benchmarks.Reports;
using Decart.Inference.Benchmarks.Throughput;
using ScottPlot;

namespace Decart.Inference.Benchmarks.Commands;

/// <summary>Draws plots from reports in JSON, on any machine with fonts, and of several reports of a benchmark in one.</summary>
internal static class PlotCommand
{
    public static Command Create()
    {
        Argument<string[]> reports = new("reports") { Description = "Reports of one benchmark, as JSON", Arity = ArgumentArity.OneOrMore };
        Option<string> path = new("--out") { Description = "The plot, a .png file", Required = true };
        Command command = new("plot", "Draws the plot of one or several reports.") { reports, path };
        command.SetAction(parsed =>
        {
            string[] files = parsed.GetRequiredValue(reports);
            Plots.Save(Draw(files), parsed.GetRequiredValue(path));
            return 0;
        });
        return command;
    }

    /// <exception cref="InvalidDataException">The reports are not all of one benchmark that has a plot.</exception>
    private static IReadOnlyList<Plot> Draw(string[] files) => files.Select(ReportFiles.Command).Distinct().ToArray() switch
    {
        ["latency"] => LatencyPlot.Draw([.. files.Select(ReportFiles.Read<LatencyReport>)]),
        ["throughput"] => ThroughputPlot.Draw([.. files.Select(ReportFiles.Read<ThroughputReport>)]),
        var benchmarks => throw new InvalidDataException($"Reports of {string.Join(" and ", benchmarks)} have no plot in common."),
    };
}
