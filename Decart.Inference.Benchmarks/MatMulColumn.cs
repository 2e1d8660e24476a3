using System.Collections.Concurrent;
using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// Short runs within this process, which knows the ceilings that were measured between the iterations, with columns that compare with them.
/// </summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class MatMulConfigAttribute(int invocations) : Attribute, IConfigSource
{
    /// <summary>Multiplications of one iteration.</summary>
    public int Invocations { get; } = invocations;

    public IConfig Config => ManualConfig.CreateEmpty()
        .AddJob(Job.Default.WithToolchain(InProcessEmitToolchain.Instance)
            .WithWarmupCount(3).WithIterationCount(50).WithInvocationCount(Invocations).WithUnrollFactor(1))
        .AddColumn(MatMulColumn.All);
}

/// <summary>A figure that follows from a multiplication's shortest time or from the highest ceiling measured in the same run.</summary>
internal sealed class MatMulColumn(string name, string legend, Func<MatMulColumn.Figures, string> format) : IColumn
{
    private static readonly ConcurrentDictionary<(MatrixShape, int), (double Read, double MultiplyAdd)> Ceilings = [];

    public static IColumn[] All { get; } =
    [
        new MatMulColumn("GB/s", "Bytes of weights, at their stored size, per second", f => Number(f.BytesPerSecond)),
        new MatMulColumn("Read GB/s", "What all threads together read from memory, sequentially", f => Number(f.ReadPerSecond)),
        new MatMulColumn("Of read", "GB/s as a share of Read GB/s", f => Share(f.BytesPerSecond / f.ReadPerSecond)),
        new MatMulColumn("GFLOP/s", "Multiplications and additions", f => Number(f.OperationsPerSecond)),
        new MatMulColumn("FMA GFLOP/s", "What all threads together reach with fused multiply-adds in registers", f => Number(f.MultiplyAddPerSecond)),
        new MatMulColumn("Of FMA", "GFLOP/s as a share of FMA GFLOP/s", f => Share(f.OperationsPerSecond / f.MultiplyAddPerSecond)),
    ];

    public string Id => $"{nameof(MatMulColumn)}.{ColumnName}";

    public string ColumnName => name;

    public string Legend => legend;

    public bool AlwaysShow => true;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => Array.IndexOf(All, this);

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Dimensionless;

    /// <summary>Keeps the highest ceilings met while a case ran, both per second.</summary>
    public static void Record(MatrixShape shape, int rows, double readBytes, double multiplyAddOperations) =>
        Ceilings.AddOrUpdate((shape, rows), (readBytes, multiplyAddOperations),
            (_, old) => (Math.Max(old.Read, readBytes), Math.Max(old.MultiplyAdd, multiplyAddOperations)));

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase)
    {
        var shape = (MatrixShape)benchmarkCase.Parameters[nameof(MatMulBenchmarks.Shape)];
        int rows = (int)benchmarkCase.Parameters[nameof(MatMulBenchmarks.Rows)];
        if (summary[benchmarkCase]?.ResultStatistics is not { } statistics || !Ceilings.TryGetValue((shape, rows), out var ceilings)) return "-";
        double seconds = statistics.Min * 1e-9;
        double elements = (double)shape.Outputs * shape.Inputs;
        return format(new Figures(2 * elements / seconds, ceilings.Read, 2 * elements * rows / seconds, ceilings.MultiplyAdd));
    }

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) => GetValue(summary, benchmarkCase);

    public bool IsAvailable(Summary summary) => true;

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    private static string Number(double perSecond) => (perSecond * 1e-9).ToString("F1", CultureInfo.InvariantCulture);

    private static string Share(double share) => share.ToString("P0", CultureInfo.InvariantCulture);

    internal readonly record struct Figures(double BytesPerSecond, double ReadPerSecond, double OperationsPerSecond, double MultiplyAddPerSecond);
}
