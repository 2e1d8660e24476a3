using System.CommandLine;

namespace Decart.Inference.Benchmarks.Commands;

/// <summary>The benchmarks that write reports, what draws these, where the time of a step goes, and the measure of what rounding costs.</summary>
internal static class BenchmarkCommands
{
    public static bool Has(string name) => name is "latency" or "profile" or "throughput" or "plot" or "perplexity";

    /// <summary>Runs what a command line asks for; prints what is wrong with it otherwise.</summary>
    /// <param name="arguments">The command and its arguments.</param>
    /// <param name="output">Told what is measured.</param>
    /// <returns>The exit code of the process.</returns>
    public static Task<int> RunAsync(string[] arguments, TextWriter output)
    {
        string[] reported = [.. ReportOptions.Without(arguments[1..])];
        RootCommand root = new("Benchmarks with reports.") { LatencyCommand.Create(reported), ProfileCommand.Create(reported), ThroughputCommand.Create(reported), PlotCommand.Create(), PerplexityCommand.Create() };
        return root.Parse(arguments).InvokeAsync(new InvocationConfiguration { Output = output, Error = output });
    }
}
