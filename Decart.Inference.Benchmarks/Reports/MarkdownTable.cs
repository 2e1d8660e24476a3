namespace Decart.Inference.Benchmarks.Reports;

/// <summary>A table in Markdown that can be written line by line.</summary>
/// <param name="columns">Title and cell of each column.</param>
internal sealed class MarkdownTable<TRow>(params (string Title, Func<TRow, string> Cell)[] columns)
{
    /// <summary>The lines above the rows.</summary>
    public string Head => $"{Line(columns.Select(column => column.Title))}{Environment.NewLine}{Line(columns.Select(_ => "---"))}";

    public string Row(TRow row) => Line(columns.Select(column => column.Cell(row)));

    public string Text(IEnumerable<TRow> rows) => string.Join(Environment.NewLine, rows.Select(Row).Prepend(Head));

    private static string Line(IEnumerable<string> cells) => $"| {string.Join(" | ", cells)} |";
}
