using System.Diagnostics;
using System.Globalization;

namespace Generate;

/// <summary>Measures how fast an answer comes.</summary>
internal sealed class Figures
{
    private readonly long _start = Stopwatch.GetTimestamp();
    private TimeSpan? _first;

    /// <summary>Called with each piece of the answer.</summary>
    public void Count() => _first ??= Stopwatch.GetElapsedTime(_start);

    /// <summary>The figures in a line.</summary>
    public string Describe(long promptTokens, long cachedTokens, long tokens)
    {
        TimeSpan first = _first ?? Stopwatch.GetElapsedTime(_start), rest = Stopwatch.GetElapsedTime(_start) - first;
        string cached = cachedTokens > 0 ? string.Create(CultureInfo.InvariantCulture, $" ({cachedTokens} of them cached)") : "";
        string rate = tokens > 1 && rest > TimeSpan.Zero ? string.Create(CultureInfo.InvariantCulture, $", then {(tokens - 1) / rest.TotalSeconds:F1} tokens/s") : "";
        return string.Create(CultureInfo.InvariantCulture, $"{promptTokens} prompt tokens{cached}, {tokens} generated: the first after {first.TotalMilliseconds:F0} ms{rate}.");
    }
}
