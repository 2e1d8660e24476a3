namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// The splits of a context, at absolute positions: of 128 keys before position 1,024, so that few short sequences make work for all multiprocessors, of
/// 256 before 16,384, and of 2,048 beyond, so that what they leave stays small beside the keys and values.
/// </summary>
internal static class GpuSplits
{
    private const int ShortEnd = 1024, ShortShift = 7, MiddleEnd = 16384, MiddleShift = 8, LongShift = 11;
    private const int FirstMiddle = ShortEnd >> ShortShift, FirstLong = FirstMiddle + ((MiddleEnd - ShortEnd) >> MiddleShift);

    /// <summary>The split of a position.</summary>
    public static int Of(int position) => position < ShortEnd ? position >> ShortShift
        : position < MiddleEnd ? FirstMiddle + ((position - ShortEnd) >> MiddleShift)
        : FirstLong + ((position - MiddleEnd) >> LongShift);

    /// <summary>The least number of keys, at least as many, whose multiples up to a position are where splits begin.</summary>
    public static int RoundUp(int keys, int position)
    {
        int shift = position < ShortEnd ? ShortShift : position < MiddleEnd ? MiddleShift : LongShift;
        return (keys + (1 << shift) - 1) >> shift << shift;
    }

    /// <summary>The first position of a split.</summary>
    public static int Start(int split) => split < FirstMiddle ? split << ShortShift
        : split < FirstLong ? ShortEnd + ((split - FirstMiddle) << MiddleShift)
        : MiddleEnd + ((split - FirstLong) << LongShift);
}
