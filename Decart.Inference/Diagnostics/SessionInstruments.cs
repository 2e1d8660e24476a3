using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using static Decart.Inference.Diagnostics.TelemetryNames;

namespace Decart.Inference.Diagnostics;

/// <summary>The instruments of one meter, which all sessions that use it share. Any thread.</summary>
internal sealed class SessionInstruments
{
    private static readonly Lazy<SessionInstruments> Shared = new(() => new SessionInstruments(new Meter(Options())));
    private static readonly ConditionalWeakTable<IMeterFactory, SessionInstruments> OfFactories = [];

    private readonly Lock _gate = new();
    private volatile SessionTelemetry[] _sessions = []; // replaced, never changed

    private SessionInstruments(Meter meter)
    {
        RequestDuration = Seconds(
            meter,
            Instruments.RequestDuration,
            "Duration of requests, from their arrival to their last token.",
            [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]);
        TimeToFirstToken = Seconds(
            meter,
            Instruments.TimeToFirstToken,
            "Time from the arrival of a completed request to its first token, including time in the queue.",
            [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]);
        TimePerOutputToken = Seconds(
            meter,
            Instruments.TimePerOutputToken,
            "Mean time between consecutive tokens of a completed request.",
            [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5]);
        TokenUsage = meter.CreateHistogram(
            Instruments.TokenUsage,
            "{token}",
            "Tokens of prompts and of completions.",
            tags: null,
            new InstrumentAdvice<long> { HistogramBucketBoundaries = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864] });
        RequestsSubmitted = meter.CreateCounter<long>(Instruments.RequestsSubmitted, "{request}", "Requests that a session was asked for.");
        RequestsEnded = meter.CreateCounter<long>(Instruments.RequestsEnded, "{request}", "Requests that have completed, were cancelled or failed.");
        meter.CreateObservableUpDownCounter(
            Instruments.QueueLength, () => Observe(statistics => statistics.WaitingSequences), "{request}", "Requests that wait for their turn or for their reader.");
        meter.CreateObservableUpDownCounter(Instruments.RequestsRunning, () => Observe(statistics => statistics.RunningSequences), "{request}", "Requests that are being computed.");
        meter.CreateObservableUpDownCounter(Instruments.KvPages, ObservePages, "{page}", "Pages of keys and values.");
        meter.CreateObservableCounter(
            Instruments.PrefixHits, () => Observe(statistics => statistics.PrefixHitTokens), "{token}", "Prompt tokens that an earlier request had computed already.");
        meter.CreateObservableCounter(
            Instruments.Preemptions, () => Observe(statistics => statistics.Preemptions), "{preemption}", "How often a running request gave its pages up to others.");
    }

    public Histogram<double> RequestDuration { get; }

    public Histogram<double> TimeToFirstToken { get; }

    public Histogram<double> TimePerOutputToken { get; }

    public Histogram<long> TokenUsage { get; }

    public Counter<long> RequestsSubmitted { get; }

    public Counter<long> RequestsEnded { get; }

    /// <summary>Whether anybody listens to what is measured of single requests.</summary>
    public bool MeasureRequests =>
        RequestDuration.Enabled || TimeToFirstToken.Enabled || TimePerOutputToken.Enabled || TokenUsage.Enabled || RequestsSubmitted.Enabled || RequestsEnded.Enabled;

    /// <summary>The instruments of a factory's meter, or of the one that all sessions without a factory share.</summary>
    public static SessionInstruments Of(IMeterFactory? factory) =>
        factory is null ? Shared.Value : OfFactories.GetValue(factory, factory => new SessionInstruments(factory.Create(Options())));

    /// <summary>From now on a session's statistics can be observed.</summary>
    public void Add(SessionTelemetry session)
    {
        lock (_gate) _sessions = [.. _sessions, session];
    }

    public void Remove(SessionTelemetry session)
    {
        lock (_gate) _sessions = [.. _sessions.Where(other => other != session)];
    }

    private static MeterOptions Options() => new(Source) { Version = SessionTelemetry.Version };

    private static Histogram<double> Seconds(Meter meter, string name, string description, double[] boundaries) =>
        meter.CreateHistogram(name, "s", description, tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = boundaries });

    private IEnumerable<Measurement<long>> ObservePages() =>
    [
        .. Observe(statistics => statistics.KvPagesInUse, State(Used)),
        .. Observe(statistics => statistics.KvPagesCached, State(Cached)),
        .. Observe(statistics => statistics.KvPagesTotal - statistics.KvPagesInUse - statistics.KvPagesCached, State(Free)),
    ];

    private static KeyValuePair<string, object?> State(string state) => new(Attributes.PageState, state);

    /// <summary>A sum for each model: two sessions may have the same.</summary>
    private IEnumerable<Measurement<long>> Observe(Func<SessionStatistics, long> read, params KeyValuePair<string, object?>[] tags) =>
        from session in _sessions
        group session by session.Model into sessions
        select new Measurement<long>(sessions.Sum(session => read(session.GetStatistics())), [new(Attributes.RequestModel, sessions.Key), .. tags]);
}
