using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Server.Metrics;

/// <summary>What an instrument has measured, by its tags. Any thread.</summary>
/// <param name="instrument">The instrument.</param>
internal sealed class InstrumentSeries(Instrument instrument)
{
    /// <summary>Tags may come from callers; what more there is than this is not told apart.</summary>
    private const int MostSeries = 1000;

    private readonly ConcurrentDictionary<string, Series> _series = [];
    private readonly double[]? _bounds = Bounds(instrument);

    public Instrument Instrument => instrument;

    public InstrumentKind Kind { get; } = Classify(instrument);

    public void Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        string labels = PrometheusText.Labels(tags);
        if (_series.Count >= MostSeries && !_series.ContainsKey(labels)) return;
        Series series = _series.GetOrAdd(labels, static (_, bounds) => new Series(bounds), _bounds ?? []);
        lock (series) series.Record(value, isTotal: instrument.IsObservable || Kind == InstrumentKind.Gauge);
    }

    /// <summary>Copies of all series with their labels.</summary>
    public IEnumerable<(string Labels, Snapshot Values)> Read()
    {
        foreach ((string labels, Series series) in _series.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            Snapshot copy;
            lock (series) copy = new Snapshot(series.Sum, series.Count, series.Bounds, [.. series.Buckets]);
            yield return (labels, copy);
        }
    }

    private static InstrumentKind Classify(Instrument instrument)
    {
        Type type = instrument.GetType();
        while (type.BaseType is { } parent && !(type.IsGenericType && type.Namespace == typeof(Instrument).Namespace)) type = parent;
        Type kind = type.IsGenericType ? type.GetGenericTypeDefinition() : type;
        return kind == typeof(Histogram<>) ? InstrumentKind.Histogram
            : kind == typeof(Counter<>) || kind == typeof(ObservableCounter<>) ? InstrumentKind.Counter
            : kind == typeof(UpDownCounter<>) ? InstrumentKind.Sum
            : InstrumentKind.Gauge;
    }

    /// <summary>The bounds that the instrument advises, or those of OpenTelemetry; null for what is no histogram.</summary>
    private static double[]? Bounds(Instrument instrument) => instrument switch
    {
        Histogram<double> { Advice.HistogramBucketBoundaries: { } advised } => [.. advised],
        Histogram<float> { Advice.HistogramBucketBoundaries: { } advised } => [.. advised.Select(bound => (double)bound)],
        Histogram<long> { Advice.HistogramBucketBoundaries: { } advised } => [.. advised.Select(bound => (double)bound)],
        Histogram<int> { Advice.HistogramBucketBoundaries: { } advised } => [.. advised.Select(bound => (double)bound)],
        _ => Classify(instrument) == InstrumentKind.Histogram ? [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000] : null,
    };

    internal sealed record Snapshot(double Sum, long Count, double[] Bounds, long[] Buckets);

    private sealed class Series(double[] bounds)
    {
        public double[] Bounds { get; } = bounds;

        /// <summary>How many values were in each bucket; the last has no upper bound.</summary>
        public long[] Buckets { get; } = new long[bounds.Length + 1];

        public double Sum { get; private set; }

        public long Count { get; private set; }

        public void Record(double value, bool isTotal)
        {
            Sum = isTotal ? value : Sum + value;
            Count++;
            int bucket = Array.BinarySearch(Bounds, value);
            Buckets[bucket < 0 ? ~bucket : bucket]++;
        }
    }
}

/// <summary>How the measurements of an instrument add up.</summary>
internal enum InstrumentKind
{
    /// <summary>Only grows.</summary>
    Counter,

    /// <summary>Grows and shrinks.</summary>
    Sum,

    /// <summary>Is what was measured last.</summary>
    Gauge,

    /// <summary>Is counted in buckets.</summary>
    Histogram,
}
