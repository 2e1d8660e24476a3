using System.Globalization;
using Decart.Inference;

namespace Soak;

/// <summary>Whether the session has stood the load: nothing grows, nothing is left, no answer was wrong.</summary>
internal static class Verdict
{
    private const double MiB = 1 << 20;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Prints every point and what came of it. All callers have ended.</summary>
    /// <returns>Whether all points hold.</returns>
    public static async Task<bool> WriteAsync(LlmSession session, Tally tally, IReadOnlyList<ProcessSample> samples)
    {
        for (TimeSpan waited = TimeSpan.Zero; session.GetStatistics().KvPagesInUse > 0 && waited < Patience; waited += TimeSpan.FromMilliseconds(50))
        {
            await Task.Delay(50);
        }
        foreach (string message in tally.Messages) Console.WriteLine(message);
        int warmUp = samples.Count / 5, third = Math.Max(1, (samples.Count - warmUp) / 3);
        ProcessSample[] first = [.. samples.Skip(warmUp).Take(third)], last = [.. samples.TakeLast(third)];
        int pages = session.GetStatistics().KvPagesInUse;
        return Point("no wrong answer or failure", tally is { Failures: 0, Checked: > 0 }, $"{tally.Failures} of {tally.Checked} checked")
            & Point("no page in use", pages == 0, $"{pages}")
            & Flat("working set, MiB", sample => sample.WorkingSet / MiB, share: 0.05, atLeast: 8)
            & Flat("managed heap, MiB", sample => sample.Heap / MiB, share: 0.10, atLeast: 1)
            & Flat("handles", sample => sample.Handles, share: 0, atLeast: 4)
            & Flat("mappings", sample => sample.Mappings, share: 0.10, atLeast: 64)
            & Flat("threads", sample => sample.Threads, share: 0, atLeast: 6);

        bool Flat(string what, Func<ProcessSample, double> value, double share, double atLeast)
        {
            double before = Median(first, value), after = Median(last, value);
            return Point($"{what} flat", after - before <= Math.Max(before * share, atLeast), string.Create(CultureInfo.InvariantCulture, $"{before:F1}, then {after:F1}"));
        }
    }

    /// <summary>Of each third its median: what a single moment shows depends on the requests that happen to run.</summary>
    private static double Median(ProcessSample[] samples, Func<ProcessSample, double> value) => samples.Select(value).Order().ElementAt(samples.Length / 2);

    private static bool Point(string what, bool holds, string found)
    {
        Console.WriteLine($"{(holds ? "ok    " : "FAILED")} {what}: {found}");
        return holds;
    }
}
