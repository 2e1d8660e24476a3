using Decart.Inference.Benchmarks.Reports;

namespace Decart.Inference.Benchmarks.Profiles;

/// <summary>What a kernel takes of a step.</summary>
/// <param name="Name">The kernel.</param>
/// <param name="Count">How often a step has it.</param>
/// <param name="Microseconds">Median from its start to its end; it may wait meanwhile for the kernel in front.</param>
/// <param name="Added">Microseconds of a step in which it runs and none that started before it does.</param>
/// <param name="Idle">Microseconds of a step in which nothing runs, before it starts.</param>
internal sealed record KernelTime(string Name, double Count, double Microseconds, double Added, double Idle);

/// <summary>Where the time of decode steps goes: what each kernel adds, and how long the GPU is idle between kernels, the time between steps included.</summary>
/// <param name="Microseconds">Of a step.</param>
/// <param name="Kernels">Those that add most first.</param>
internal sealed record StepProfile(double Microseconds, IReadOnlyList<KernelTime> Kernels)
{
    /// <summary>Of the kernel that a step begins with.</summary>
    private const string First = "Embed";

    private static MarkdownTable<(KernelTime Kernel, StepProfile Step)> Table { get; } = new(
        ("kernel", row => row.Kernel.Name),
        ("a step", row => Figures.Text(row.Kernel.Count, "0.##")),
        ("us each", row => Figures.Text(row.Kernel.Microseconds, "F2")),
        ("adds us", row => Figures.Text(row.Kernel.Added, "F1")),
        ("of the step", row => Figures.Text(row.Kernel.Added / row.Step.Microseconds, "P1")),
        ("idle before, us", row => Figures.Text(row.Kernel.Idle, "F1")));

    /// <summary>Microseconds of a step in which no kernel runs.</summary>
    public double Idle => Kernels.Sum(kernel => kernel.Idle);

    /// <summary>The profile of the last steps, on the GPU of the first kernel.</summary>
    /// <param name="spans">All that ran.</param>
    /// <param name="steps">How many steps; a whole one more must follow, or its beginning.</param>
    /// <exception cref="InvalidOperationException">There are not so many.</exception>
    public static StepProfile Of(IEnumerable<KernelSpan> spans, int steps)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(steps, 1);
        KernelSpan[] all = [.. spans.OrderBy(span => span.Start)];
        if (all is [{ Start: 0 } untimed, ..]) throw new InvalidOperationException($"{untimed.Name} was recorded without its time.");
        if (all.Length > 0) all = [.. all.Where(span => span.Device == all[0].Device)];
        int[] begins = [.. Enumerable.Range(0, all.Length).Where(i => all[i].Name.Contains(First, StringComparison.Ordinal))];
        if (begins.Length <= steps) throw new InvalidOperationException($"{steps} steps were to be profiled, but the beginnings of only {begins.Length} were recorded: it takes one more.");
        int first = begins[^(steps + 1)], end = begins[^1];
        Dictionary<string, List<(long Length, long Added, long Idle)>> kernels = [];
        long frontier = all[first].Start;
        foreach (KernelSpan span in all[first..end])
        {
            if (!kernels.TryGetValue(span.Name, out List<(long, long, long)>? times)) kernels.Add(span.Name, times = []);
            times.Add((span.End - span.Start, Math.Max(0, span.End - Math.Max(span.Start, frontier)), Math.Max(0, span.Start - frontier)));
            frontier = Math.Max(frontier, span.End);
        }
        // The next step's first kernel may start early, too.
        long between = Math.Max(0, all[end].Start - frontier);
        KernelTime[] ordered = [.. kernels.Select(pair => new KernelTime(
            pair.Key,
            (double)pair.Value.Count / steps,
            Figures.Median(pair.Value.Select(time => time.Length / 1e3))!.Value,
            pair.Value.Sum(time => time.Added) / 1e3 / steps,
            (pair.Value.Sum(time => time.Idle) + (pair.Key == all[end].Name ? between : 0)) / 1e3 / steps)).OrderByDescending(kernel => kernel.Added)];
        return new StepProfile((all[end].Start - all[first].Start) / 1e3 / steps, ordered);
    }

    public string ToMarkdown() => string.Join(
        Environment.NewLine + Environment.NewLine,
        FormattableString.Invariant($"A step takes {Microseconds:F1} us, {Kernels.Sum(kernel => kernel.Count):F0} kernels; {Idle:F1} us ({Idle / Microseconds:P1}) the GPU is idle between them."),
        Table.Text(Kernels.Select(kernel => (kernel, this))));
}
