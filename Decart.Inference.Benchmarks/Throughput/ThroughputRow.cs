using System.Text.Json.Serialization;
using Decart.Inference.Benchmarks.Reports;

namespace Decart.Inference.Benchmarks.Throughput;

/// <summary>A round at one concurrency.</summary>
/// <param name="Concurrency">Requests computed together.</param>
/// <param name="BatchTokens">Most tokens of a step; null for the session's default.</param>
internal sealed record ThroughputRow(int Concurrency, int? BatchTokens)
{
    private const double SecondsPerHour = 3600, Million = 1e6;

    /// <summary>What answers must look like.</summary>
    public AnswerForm Form { get; init; }

    /// <summary>How long loading the model took.</summary>
    public double LoadSeconds { get; init; }

    public double Seconds { get; init; }

    public long PromptTokens { get; init; }

    public long OutputTokens { get; init; }

    /// <summary>Milliseconds from the start, at which all requests were submitted, to a request's first token.</summary>
    public double? FirstTokenP50 { get; init; }

    /// <inheritdoc cref="FirstTokenP50"/>
    public double? FirstTokenP99 { get; init; }

    /// <summary>Milliseconds between two tokens of a request, on its average.</summary>
    public double? PerTokenP50 { get; init; }

    /// <inheritdoc cref="PerTokenP50"/>
    public double? PerTokenP99 { get; init; }

    /// <summary>Prompt tokens a second until every request had its first token; null where some had to wait for others to end.</summary>
    public double? PrefillPerSecond { get; init; }

    /// <summary>Tokens a second of all requests after that.</summary>
    public double? DecodePerSecond { get; init; }

    /// <summary>What the GPU used in the round.</summary>
    public double? Joules { get; init; }

    public double? PricePerHour { get; init; }

    /// <summary>How often a request gave its pages up.</summary>
    public long Preemptions { get; init; }

    public double AllocatedBytesPerToken { get; init; }

    /// <summary>Share of the round in which garbage collection had all threads wait.</summary>
    public double PauseShare { get; init; }

    public int Threads { get; init; }

    /// <summary>Requests whose tokens were compared with those that they get alone, and how many of them got others.</summary>
    public int Checked { get; init; }

    /// <inheritdoc cref="Checked"/>
    public int Different { get; init; }

    public double OutputPerSecond => OutputTokens / Seconds;

    public double TotalPerSecond => (PromptTokens + OutputTokens) / Seconds;

    public double? JoulesPerToken => Joules / OutputTokens;

    public double? DollarsPerMillionTokens => PricePerHour / SecondsPerHour / OutputPerSecond * Million;

    [JsonIgnore]
    public string Answers => Checked == 0 ? Figures.None : FormattableString.Invariant($"{Checked - Different} of {Checked}");

    /// <summary>With what a round says.</summary>
    public ThroughputRow With(Round round)
    {
        TimeSpan prefilled = round.Requests.Max(request => request.First);
        bool together = Concurrency >= round.Requests.Length;
        int decoded = round.Requests.Sum(request => request.Arrivals.Count(time => time > prefilled));
        return this with
        {
            Seconds = round.Elapsed.TotalSeconds,
            PromptTokens = round.PromptTokens,
            OutputTokens = round.OutputTokens,
            FirstTokenP50 = Percentile(round, 0.5, request => request.First),
            FirstTokenP99 = Percentile(round, 0.99, request => request.First),
            PerTokenP50 = Percentile(round, 0.5, request => request.PerToken),
            PerTokenP99 = Percentile(round, 0.99, request => request.PerToken),
            PrefillPerSecond = together ? round.PromptTokens / prefilled.TotalSeconds : null,
            DecodePerSecond = together && decoded > 0 ? decoded / (round.Elapsed - prefilled).TotalSeconds : null,
            Joules = round.Joules,
            AllocatedBytesPerToken = (double)round.AllocatedBytes / round.OutputTokens,
            PauseShare = round.Pauses / round.Elapsed,
            Threads = round.Threads,
        };
    }

    private static double? Percentile(Round round, double share, Func<RequestTimes, TimeSpan?> time) =>
        Figures.Percentile(round.Requests.Select(time).OfType<TimeSpan>().Select(value => value.TotalMilliseconds), share);
}
