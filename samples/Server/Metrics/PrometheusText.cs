using System.Globalization;
using System.Text;

namespace Server.Metrics;

/// <summary>Writes measurements in the text format that Prometheus reads, version 0.0.4.</summary>
internal static class PrometheusText
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>Tags as labels, in the order of their names.</summary>
    public static string Labels(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.Length == 0) return "";
        KeyValuePair<string, object?>[] sorted = tags.ToArray();
        Array.Sort(sorted, static (left, right) => string.CompareOrdinal(left.Key, right.Key));
        StringBuilder labels = new();
        foreach ((string name, object? value) in sorted)
        {
            if (labels.Length > 0) labels.Append(',');
            string text = (Convert.ToString(value, CultureInfo.InvariantCulture) ?? "").Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
            labels.Append(Name(name)).Append("=\"").Append(text).Append('"');
        }
        return labels.ToString();
    }

    public static void Write(StringBuilder text, InstrumentSeries instrument)
    {
        string name = Name(instrument.Instrument.Name) + Unit(instrument.Instrument.Unit);
        if (instrument.Kind == InstrumentKind.Counter && !name.EndsWith("_total", StringComparison.Ordinal)) name += "_total";
        string type = instrument.Kind switch { InstrumentKind.Counter => "counter", InstrumentKind.Histogram => "histogram", _ => "gauge" };
        if (instrument.Instrument.Description is { Length: > 0 } description) text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {description.ReplaceLineEndings(" ")}\n");
        text.Append(CultureInfo.InvariantCulture, $"# TYPE {name} {type}\n");
        foreach ((string labels, InstrumentSeries.Snapshot values) in instrument.Read())
        {
            if (instrument.Kind == InstrumentKind.Histogram) WriteHistogram(text, name, labels, values);
            else WriteValue(text, name, labels, values.Sum);
        }
    }

    private static void WriteHistogram(StringBuilder text, string name, string labels, InstrumentSeries.Snapshot values)
    {
        string before = labels.Length > 0 ? labels + "," : "";
        long count = 0;
        for (int i = 0; i < values.Buckets.Length; i++)
        {
            count += values.Buckets[i];
            string bound = i < values.Bounds.Length ? values.Bounds[i].ToString("R", CultureInfo.InvariantCulture) : "+Inf";
            WriteValue(text, name + "_bucket", $"{before}le=\"{bound}\"", count);
        }
        WriteValue(text, name + "_sum", labels, values.Sum);
        WriteValue(text, name + "_count", labels, values.Count);
    }

    private static void WriteValue(StringBuilder text, string name, string labels, double value) =>
        text.Append(name).Append(labels.Length > 0 ? $"{{{labels}}}" : "").Append(' ').Append(value.ToString("R", CultureInfo.InvariantCulture)).Append('\n');

    /// <summary>A name without the characters that Prometheus has other uses for.</summary>
    private static string Name(string name) => string.Concat(name.Select(character => char.IsAsciiLetterOrDigit(character) ? character : '_'));

    /// <summary>A unit as the end of a name; what stands in braces is no unit.</summary>
    private static string Unit(string? unit) => unit switch
    {
        null or "" or "1" => "",
        "s" => "_seconds",
        "ms" => "_milliseconds",
        "By" => "_bytes",
        _ when unit.StartsWith('{') => "",
        _ => "_" + Name(unit),
    };
}
