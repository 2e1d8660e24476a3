using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text;

namespace Server.Metrics;

/// <summary>Listens to what the library and the web server measure, and writes it down when it is asked. Any thread.</summary>
internal sealed class MetricsCollector : IDisposable
{
    /// <summary>What is listened to: requests by route and status are ASP.NET Core's.</summary>
    private static readonly HashSet<string> Meters = ["Decart.Inference", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel"];

    private readonly ConcurrentDictionary<Instrument, InstrumentSeries> _instruments = [];
    private readonly MeterListener _listener = new();

    /// <param name="meters">Makes the meters of this program; another program in the process has others.</param>
    public MetricsCollector(IMeterFactory meters)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (Meters.Contains(instrument.Meter.Name) && (instrument.Meter.Scope is null || instrument.Meter.Scope == meters))
                listener.EnableMeasurementEvents(instrument, _instruments.GetOrAdd(instrument, static instrument => new InstrumentSeries(instrument)));
        };
        _listener.MeasurementsCompleted = (instrument, _) => _instruments.TryRemove(instrument, out InstrumentSeries? _);
        Listen<double>(value => value);
        Listen<float>(value => value);
        Listen<long>(value => value);
        Listen<int>(value => value);
        _listener.Start();
    }

    /// <summary>Everything in the text format of Prometheus.</summary>
    public string Write()
    {
        _listener.RecordObservableInstruments();
        StringBuilder text = new();
        foreach (InstrumentSeries instrument in _instruments.Values.OrderBy(series => series.Instrument.Name, StringComparer.Ordinal)) PrometheusText.Write(text, instrument);
        return text.ToString();
    }

    public void Dispose() => _listener.Dispose();

    private void Listen<T>(Func<T, double> convert) where T : struct =>
        _listener.SetMeasurementEventCallback<T>((_, value, tags, state) => ((InstrumentSeries)state!).Record(convert(value), tags));
}
