using Microsoft.Extensions.Options;

namespace Server.Http;

/// <summary>Bounds the memory for bodies that are still arriving, by what has arrived: a caller who has sent nothing takes nothing.</summary>
internal sealed class BodyLimits(ApiKeys keys, IOptions<ServerOptions> options)
{
    private readonly long[] _bytes = new long[keys.Callers];

    /// <summary>How long a body may take to arrive.</summary>
    public TimeSpan Patience => options.Value.ReceiveTimeout;

    /// <summary>A body's share, which is free again when it is disposed.</summary>
    public Share Enter(int caller) => new(this, caller);

    /// <summary>The memory of one body. For one thread at a time.</summary>
    internal sealed class Share(BodyLimits limits, int caller) : IDisposable
    {
        private long _bytes;

        /// <summary>The body takes so many bytes from now on.</summary>
        /// <exception cref="ApiException">The caller's bodies take as many as are allowed.</exception>
        public void Grow(long bytes)
        {
            long most = limits.Most, total = Interlocked.Add(ref limits._bytes[caller], bytes - _bytes);
            _bytes = bytes;
            if (total <= most) return;
            throw new ApiException(StatusCodes.Status429TooManyRequests, $"Bodies of {most} bytes are arriving already, as many as one key may send at a time.", code: "rate_limit_exceeded");
        }

        public void Dispose() => Interlocked.Add(ref limits._bytes[caller], -_bytes);
    }

    private long Most => options.Value.MaxBufferedBytes ?? 16L * options.Value.MaxBodyBytes;
}
