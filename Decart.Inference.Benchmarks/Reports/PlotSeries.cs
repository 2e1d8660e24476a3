namespace Decart.Inference.Benchmarks.Reports;

/// <summary>Rows that make a line of a plot.</summary>
/// <param name="Name">In what they differ from the rows of other lines; null where there are none.</param>
/// <param name="Rows">The rows.</param>
internal sealed record PlotSeries<TRow>(string? Name, IReadOnlyList<TRow> Rows)
{
    /// <summary>Divides rows among lines.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="parts">What a row's line depends on, as words for its name; those that all rows have in common are left out.</param>
    public static IReadOnlyList<PlotSeries<TRow>> Of(IReadOnlyCollection<TRow> rows, params ReadOnlySpan<Func<TRow, string>> parts)
    {
        List<Func<TRow, string>> varying = [];
        foreach (Func<TRow, string> part in parts)
        {
            if (rows.Select(part).Distinct().Count() > 1) varying.Add(part);
        }
        return
        [
            .. from row in rows
               group row by string.Join(", ", varying.Select(part => part(row))) into line
               select new PlotSeries<TRow>(line.Key.Length > 0 ? line.Key : null, [.. line]),
        ];
    }

    /// <summary>The rows' values where they have one; of rows in the same place the last one's.</summary>
    public Dictionary<int, double> Values(Func<TRow, int> place, Func<TRow, double?> value)
    {
        Dictionary<int, double> values = [];
        foreach (TRow row in Rows)
        {
            if (value(row) is { } there) values[place(row)] = there;
        }
        return values;
    }
}
