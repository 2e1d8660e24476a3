using System.Diagnostics;
using System.Globalization;
using Decart.Inference.Benchmarks.Reports;

namespace Decart.Inference.Benchmarks;

/// <summary>How long the masks of a step of 64 sequences take, step by step: what <see cref="GrammarBenchmarks"/> has means of.</summary>
internal static class MaskTimes
{
    private const int WarmUpSteps = 2000, Steps = 5000, StepsBetweenEnds = 10, Repetitions = 9;

    /// <summary>Prints a table.</summary>
    public static void Print()
    {
        Console.WriteLine("| form | read, ms | compiled, ms | step p50, µs | p99 | processor time a step, µs | allocated a sequence, bytes | masks near the end p50, µs | p99 |");
        Console.WriteLine("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
        foreach (GrammarBenchmarks.Form form in Enum.GetValues<GrammarBenchmarks.Form>()) Print(form);
    }

    private static void Print(GrammarBenchmarks.Form form)
    {
        GrammarBenchmarks benchmark = new() { Text = form };
        benchmark.Setup();
        double read = MedianTime(() => benchmark.ReadGrammar()), compiled = MedianTime(() => benchmark.CompileForVocabulary());
        for (int i = 0; i < WarmUpSteps; i++) benchmark.Step();
        double[] times = new double[Steps], endTimes = new double[Steps / StepsBetweenEnds];
        long allocated = GC.GetTotalAllocatedBytes();
        TimeSpan processor = Environment.CpuUsage.TotalTime;
        for (int i = 0; i < Steps; i++) times[i] = Time(benchmark.Step);
        processor = Environment.CpuUsage.TotalTime - processor;
        allocated = GC.GetTotalAllocatedBytes() - allocated;
        for (int i = 0; i < endTimes.Length; i++)
        {
            for (int step = 0; step < StepsBetweenEnds; step++) benchmark.Step();
            endTimes[i] = Time(benchmark.StepNearTheEnd);
        }
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"| {form} | {read / 1e3:F1} | {compiled / 1e3:F1} | {Figures.Median(times):F0} | {Figures.Percentile(times, 0.99):F0} | {processor.TotalMicroseconds / Steps:F0} | {allocated / ((double)Steps * GrammarBenchmarks.Sequences):F0} | {Figures.Median(endTimes):F0} | {Figures.Percentile(endTimes, 0.99):F0} |"));
    }

    /// <summary>The median of some runs, in microseconds.</summary>
    private static double MedianTime(Action action) => Figures.Median(Enumerable.Range(0, Repetitions).Select(_ => Time(action)))!.Value;

    private static double Time(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalMicroseconds;
    }
}
