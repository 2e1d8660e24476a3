using System.Diagnostics.CodeAnalysis;
using Decart.Inference.Diagnostics;

namespace Decart.Inference.Engine;

/// <summary>
/// A caller's end of a request. Disposal ends the request; so does the finaliser when an enumeration was forgotten half-way: nothing
/// of the engine refers to this object.
/// </summary>
/// <param name="engine">Computes the request.</param>
/// <param name="sequence">The request.</param>
/// <param name="cancellation">Has a token cancel the request.</param>
/// <param name="telemetry">Told when the request has ended or its caller has left; null if nobody listens.</param>
/// <param name="forgotten">Called by the finaliser after that; must not throw.</param>
internal sealed class SequenceReader(
    EngineLoop engine, GenerationSequence sequence, CancellationTokenRegistration cancellation, RequestTelemetry? telemetry, Action? forgotten) : IDisposable
{
    ~SequenceReader()
    {
        cancellation.Unregister(); // does not wait, unlike its disposal
        engine.Cancel(sequence);
        forgotten?.Invoke();
        if (telemetry is not null) _ = Task.Run(telemetry.Dispose); // listeners may throw, which would end the process here
    }

    /// <summary>Waits for the next update.</summary>
    /// <returns>False once the request has ended.</returns>
    public ValueTask<bool> WaitToReadAsync(CancellationToken cancellationToken) => WaitAsync(sequence, cancellationToken);

    /// <summary>Takes an update if one is there.</summary>
    public bool TryRead([NotNullWhen(true)] out GenerationUpdate? update)
    {
        bool read = sequence.TryRead(out update, out bool madeRoom);
        if (madeRoom) engine.Wake();
        return read;
    }

    public void Dispose()
    {
        GC.SuppressFinalize(this);
        cancellation.Dispose();
        try
        {
            telemetry?.Dispose();
        }
        finally
        {
            engine.Cancel(sequence);
        }
    }

    /// <summary>Stands between the channel and the caller: a channel keeps a reference to whoever waited last, which would keep a forgotten caller alive.</summary>
    private static async ValueTask<bool> WaitAsync(GenerationSequence sequence, CancellationToken cancellationToken) =>
        await sequence.WaitToReadAsync(cancellationToken).ConfigureAwait(false);
}
