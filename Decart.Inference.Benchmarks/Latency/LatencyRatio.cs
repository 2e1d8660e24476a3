namespace Decart.Inference.Benchmarks.Latency;

/// <summary>A case measured twice that differs in one thing: what it costs not to have what is new.</summary>
/// <param name="Case">The case.</param>
/// <param name="Slower">What is expected to be slower: kernels of sm_80, a page table.</param>
/// <param name="Faster">What is compared with it: the newest kernels, hardware paging.</param>
/// <param name="SlowerSeconds">Its time.</param>
/// <param name="FasterSeconds">The other's.</param>
internal sealed record LatencyRatio(string Case, string Slower, string Faster, double SlowerSeconds, double FasterSeconds)
{
    /// <summary>How many times longer the first takes.</summary>
    public double Value => SlowerSeconds / FasterSeconds;

    /// <summary>All pairs among the rows.</summary>
    public static IReadOnlyList<LatencyRatio> Of(IEnumerable<LatencyRow> rows)
    {
        LatencyRow[] measured = [.. rows.Where(row => row.Seconds is not null)];
        return
        [
            .. Pairs(measured, row => row with { Kernels = KernelChoice.Newest }, row => row.Kernels == KernelChoice.Sm80, row => $"{LatencyReport.Name(row.Kernels)} kernels"),
            .. Pairs(measured, row => row with { Paging = PagingMode.Hardware }, row => row.Paging == PagingMode.Table, row => $"{LatencyReport.Name(row.Paging)} paging"),
        ];
    }

    private static IEnumerable<LatencyRatio> Pairs(LatencyRow[] rows, Func<LatencyRow, LatencyRow> faster, Func<LatencyRow, bool> isSlower, Func<LatencyRow, string> name)
    {
        Dictionary<object, LatencyRow> fast = rows.Where(row => !isSlower(row)).DistinctBy(Key).ToDictionary(Key);
        foreach (LatencyRow slow in rows.Where(isSlower))
        {
            if (fast.TryGetValue(Key(faster(slow)), out LatencyRow? other))
                yield return new LatencyRatio(slow.Case, name(slow), name(other), slow.Seconds!.Value, other.Seconds!.Value);
        }

        static object Key(LatencyRow row) => (row.Kind, row.Batch, row.Tokens, row.Kernels, row.Paging);
    }
}
