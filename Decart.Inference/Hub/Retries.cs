using System.Globalization;
using System.Net;
using System.Net.Http.Headers;

namespace Decart.Inference.Hub;

/// <summary>Repeats what fails for reasons that may pass, each time after a longer pause, or after the one that the Hub asks for.</summary>
/// <param name="settings">How often, and after what pause first.</param>
/// <param name="subject">What it is about, for messages.</param>
/// <param name="most">The most failures in a row.</param>
internal sealed class Retries(HubSettings settings, string subject, int most)
{
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30), LongestWait = TimeSpan.FromMinutes(10);

    private int _failures;

    /// <summary>Forgets earlier failures: something was achieved since.</summary>
    public void Reset() => _failures = 0;

    /// <exception cref="ModelHubException">It failed for good.</exception>
    public async Task<T> RunAsync<T>(Func<Task<T>> attempt, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return await attempt().ConfigureAwait(false);
            }
            catch (Exception e) when (Passes(e) && !cancellationToken.IsCancellationRequested)
            {
                TimeSpan? asked = (e as ModelHubException)?.RetryAfter;
                if (++_failures > most || asked > LongestWait) throw Final(e);
                double doublings = Math.Min(_failures - 1, 16), jitter = 0.75 + Random.Shared.NextDouble() / 2;
                TimeSpan pause = settings.Options.RetryDelay * Math.Pow(2, doublings) * jitter;
                TimeSpan delay = asked ?? (pause < LongestPause ? pause : LongestPause);
                settings.Logger.Retrying(subject, _failures, delay, Reason(e));
                await Task.Delay(delay, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>How long an answer asks to wait: as Retry-After says, else as the header of rate limits does.</summary>
    public static TimeSpan? AskedFor(HttpResponseHeaders headers)
    {
        TimeSpan? asked = headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - DateTimeOffset.UtcNow,
            _ => null,
        };
        if (asked is null && headers.TryGetValues("RateLimit", out IEnumerable<string>? limits))
            asked = limits.SelectMany(limit => limit.Split(';', ',')).Select(ReadReset).FirstOrDefault(reset => reset is not null);
        return asked < TimeSpan.Zero ? TimeSpan.Zero : asked;
    }

    /// <summary>The member t of a rate limit, such as <c>"api";r=0;t=55</c>: the seconds until requests are answered again.</summary>
    private static TimeSpan? ReadReset(string member) =>
        member.Trim() is ['t', '=', .. var seconds] && int.TryParse(seconds, NumberStyles.None, CultureInfo.InvariantCulture, out int count) ? TimeSpan.FromSeconds(count) : null;

    private static bool Passes(Exception e) => e switch
    {
        ModelHubException hub => hub.Status is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests or >= HttpStatusCode.InternalServerError,
        HttpRequestException or IOException or InvalidDataException or OperationCanceledException => true, // InvalidDataException: cannot be decompressed; cancelled by silence: the caller's own cancellation is told apart
        _ => false,
    };

    private ModelHubException Final(Exception e) => e as ModelHubException
        ?? new ModelHubException(ModelHubError.Unreachable, subject, $"expected an answer of {settings.Endpoint}, found none after {_failures} attempts: {Reason(e).TrimEnd('.')}", e);

    private string Reason(Exception e) => e is OperationCanceledException
        ? string.Create(CultureInfo.InvariantCulture, $"Nothing was received for {settings.Options.Timeout.TotalSeconds:0.###} seconds.")
        : e.Message;
}
