namespace Decart.Inference.Benchmarks.Reports;

/// <summary>The result of a benchmark, as JSON keeps it.</summary>
internal interface IReport
{
    ReportHead Head { get; }

    /// <summary>The whole report for a reader.</summary>
    string ToMarkdown();
}
