using System.Globalization;

namespace Decart.Inference.Benchmarks.Reports;

/// <summary>Figures as tables have them.</summary>
internal static class Figures
{
    public const string None = "-";

    /// <summary>The figure, or a dash where there is none.</summary>
    /// <param name="value">The figure.</param>
    /// <param name="format">As of <see cref="double.ToString(string)"/>.</param>
    public static string Text(double? value, string format) =>
        value is { } figure && double.IsFinite(figure) ? figure.ToString(format, CultureInfo.InvariantCulture) : None;

    /// <summary>A count with commas between thousands.</summary>
    public static string Text(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>The value that a share of all values does not exceed, between two of them in proportion (the definition of NumPy's default).</summary>
    /// <param name="values">In any order.</param>
    /// <param name="share">0 to 1.</param>
    /// <returns>Null when there are no values.</returns>
    public static double? Percentile(IEnumerable<double> values, double share)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(share);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(share, 1);
        double[] sorted = [.. values.Order()];
        if (sorted.Length == 0) return null;
        double place = share * (sorted.Length - 1);
        int below = (int)place, above = Math.Min(below + 1, sorted.Length - 1);
        return sorted[below] + ((sorted[above] - sorted[below]) * (place - below));
    }

    public static double? Median(IEnumerable<double> values) => Percentile(values, 0.5);
}
