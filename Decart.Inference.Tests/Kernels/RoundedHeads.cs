namespace Decart.Inference.Tests.Kernels;

/// <summary>What FP8 keeps of the keys or values of a head, by its definition: of all codes the nearest, times the least power of two for which none is exceeded.</summary>
internal static class RoundedHeads
{
    private const double Largest = 448;

    /// <summary>What each code stands for, without those that are not numbers.</summary>
    public static readonly double[] Codes = [.. Enumerable.Range(0, 0x7F).Select(code => (code & 0x78) == 0 ? Math.ScaleB(code, -9) : Math.ScaleB(8 + (code & 7), (code >> 3) - 10))];

    /// <summary>The scale of a head whose elements are numbers.</summary>
    public static double Scale(ReadOnlySpan<float> head)
    {
        double largest = 0;
        foreach (float element in head) largest = Math.Max(largest, Math.Abs((double)element));
        int exponent = -14;
        while (exponent < 7 && Largest * Math.ScaleB(1, exponent) < largest) exponent++;
        return Math.ScaleB(1, exponent);
    }

    /// <summary>The code of a number, a sign bit before it.</summary>
    public static byte Nearest(double number)
    {
        double magnitude = Math.Min(Math.Abs(number), Largest);
        int best = 0;
        for (int code = 1; code < Codes.Length; code++)
        {
            double distance = Math.Abs(Codes[code] - magnitude), least = Math.Abs(Codes[best] - magnitude);
            if (distance < least || (distance == least && code % 2 == 0)) best = code;
        }
        return (byte)(best | (double.IsNegative(number) ? 0x80 : 0));
    }

    /// <summary>What a code stands for.</summary>
    public static double Number(byte code) => (code & 0x80) != 0 ? -Codes[code & 0x7F] : Codes[code];

    /// <summary>Replaces the elements of heads that lie side by side by what is kept of them.</summary>
    public static void Round(Span<float> heads, int headDim)
    {
        for (int first = 0; first < heads.Length; first += headDim)
        {
            Span<float> head = heads.Slice(first, headDim);
            double scale = Scale(head);
            foreach (ref float element in head) element = (float)(Number(Nearest(element / scale)) * scale);
        }
    }
}
