using System.Globalization;

namespace Decart.Inference.Tests.Memory;

/// <summary>The address ranges that the kernel describes this process with.</summary>
internal static class ProcessMaps
{
    /// <summary>How many of them have addresses between two.</summary>
    public static int CountRanges(nint start, nint end) => File.ReadLines("/proc/self/maps").Count(line =>
    {
        (nint first, nint next) = Ends(line);
        return first < end && next > start;
    });

    public static bool Contains(nint address) => CountRanges(address, address + 1) == 1;

    private static (nint First, nint Next) Ends(string line)
    {
        string[] ends = line.Split(' ')[0].Split('-');
        return (Parse(ends[0]), Parse(ends[1]));
    }

    private static nint Parse(string address) => nint.Parse(address, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
