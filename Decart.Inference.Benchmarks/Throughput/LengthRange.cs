using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Decart.Inference.Benchmarks.Throughput;

/// <summary>Lengths in tokens that are drawn from, all with the same probability: "128", or "64-512".</summary>
/// <param name="Least">At least 1.</param>
/// <param name="Most">At least as many.</param>
internal readonly record struct LengthRange(int Least, int Most)
{
    public static bool TryParse([NotNullWhen(true)] string? text, out LengthRange range)
    {
        range = default;
        string[] parts = text?.Split('-') ?? [];
        if (parts.Length is < 1 or > 2) return false;
        if (!TryParseLength(parts[0], out int least) || !TryParseLength(parts[^1], out int most) || most < least) return false;
        range = new LengthRange(least, most);
        return true;
    }

    public int Draw(Random random) => Least == Most ? Least : random.Next(Least, Most + 1);

    public override string ToString() => Least == Most ? $"{Least}" : $"{Least}-{Most}";

    private static bool TryParseLength(string text, out int length) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out length) && length > 0;
}
