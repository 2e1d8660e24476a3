using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// Whole requests through a session: the storyteller of the samples, or the model that the variable DECART_MODEL names, answers one or
/// eight callers at once.
/// </summary>
[Config(typeof(Columns))]
public class GenerationBenchmarks
{
    private const int PromptTokens = 32;
    private const int CompletionTokens = 64;

    private static readonly GenerationOptions Options = new() { Temperature = 0, MaxTokens = CompletionTokens, IgnoreEndOfText = true };

    private LlmSession? _session;

    [Params(1, 8)]
    public int Callers { get; set; }

    [GlobalSetup]
    public async Task Setup() => _session = await LlmSession.LoadAsync(FindModel());

    [GlobalCleanup]
    public void Cleanup() => _session?.Dispose();

    [Benchmark]
    public Task Generate() => Task.WhenAll(Enumerable.Range(0, Callers).Select(caller =>
        _session!.GenerateAsync(Enumerable.Range(3 + caller, PromptTokens).ToArray(), Options)));

    internal static string FindModel()
    {
        if (Environment.GetEnvironmentVariable("DECART_MODEL") is { Length: > 0 } named) return named;
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string storyteller = Path.Combine(folder.FullName, "samples", "models", "storyteller");
            if (Directory.Exists(storyteller)) return storyteller;
        }
        throw new FileNotFoundException("Neither samples/models/storyteller is here nor does DECART_MODEL name a model.");
    }

    private sealed class Columns : ManualConfig
    {
        public Columns() => AddColumn(new TokensPerSecond());
    }

    /// <summary>Generated tokens of all callers together over the time of the whole requests, prompts included.</summary>
    private sealed class TokensPerSecond : IColumn
    {
        public string Id => nameof(TokensPerSecond);

        public string ColumnName => "tokens/s";

        public bool AlwaysShow => true;

        public ColumnCategory Category => ColumnCategory.Custom;

        public int PriorityInCategory => 0;

        public bool IsNumeric => true;

        public UnitType UnitType => UnitType.Dimensionless;

        public string Legend => $"Generated tokens a second, all callers together ({PromptTokens} prompt tokens and {CompletionTokens} generated each)";

        public string GetValue(Summary summary, BenchmarkCase benchmarkCase) => GetValue(summary, benchmarkCase, SummaryStyle.Default);

        public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style)
        {
            if (summary[benchmarkCase]?.ResultStatistics is not { } statistics) return "-";
            int callers = (int)benchmarkCase.Parameters[nameof(Callers)];
            return (callers * CompletionTokens / (statistics.Mean * 1e-9)).ToString("F1", style.CultureInfo);
        }

        public bool IsAvailable(Summary summary) => true;

        public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;
    }
}
