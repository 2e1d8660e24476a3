using Microsoft.Extensions.Options;

namespace Server.Http;

/// <summary>Bounds how many requests of a caller are answered at a time.</summary>
internal sealed class RequestLimits(ApiKeys keys, IOptions<ServerOptions> options)
{
    private readonly int[] _running = new int[keys.Callers];

    /// <summary>Begins a request, which ends when the result is disposed.</summary>
    /// <exception cref="ApiException">The caller has as many requests as are allowed.</exception>
    public Slot Enter(int caller)
    {
        int most = options.Value.MaxConcurrentRequests;
        if (Interlocked.Increment(ref _running[caller]) <= most) return new Slot(this, caller);
        Interlocked.Decrement(ref _running[caller]);
        throw new ApiException(
            StatusCodes.Status429TooManyRequests, $"{most} requests are being answered already, as many as one key may have at a time.", code: "rate_limit_exceeded");
    }

    /// <summary>A request that is being answered.</summary>
    internal readonly struct Slot(RequestLimits limits, int caller) : IDisposable
    {
        public void Dispose() => Interlocked.Decrement(ref limits._running[caller]);
    }
}
