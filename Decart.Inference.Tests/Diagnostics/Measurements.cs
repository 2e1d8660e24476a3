using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;

namespace Decart.Inference.Tests.Diagnostics;

/// <summary>A meter factory of its own, and all that is measured with it.</summary>
internal sealed class Measurements : IDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly MeterListener _listener = new();
    private readonly List<Measured> _all = [];

    public Measurements()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Scope != Factory) return;
            Instruments.Add(instrument);
            listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Add(instrument, value, tags));
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Add(instrument, value, tags));
        _listener.Start();
    }

    public IMeterFactory Factory => _services.GetRequiredService<IMeterFactory>();

    public List<Instrument> Instruments { get; } = [];

    /// <summary>What was measured with an instrument until now.</summary>
    public Measured[] Of(string instrument)
    {
        lock (_all) return [.. _all.Where(measured => measured.Instrument == instrument)];
    }

    /// <summary>What an instrument shows at this moment.</summary>
    public Measured[] Observe(string instrument)
    {
        lock (_all) _all.RemoveAll(measured => measured.Instrument == instrument);
        _listener.RecordObservableInstruments();
        return Of(instrument);
    }

    public void Dispose()
    {
        _listener.Dispose();
        _services.Dispose();
    }

    private void Add(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        lock (_all) _all.Add(new Measured(instrument.Name, value, tags.ToArray().ToDictionary(tag => tag.Key, tag => tag.Value)));
    }

    /// <summary>One measurement.</summary>
    public sealed record Measured(string Instrument, double Value, IReadOnlyDictionary<string, object?> Tags);
}
