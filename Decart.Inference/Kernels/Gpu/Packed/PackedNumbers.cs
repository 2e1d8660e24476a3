using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>What the codes of <see cref="PackedTile{TFormat}"/> stand for, as halves, two in a register, before they are scaled.</summary>
internal static class PackedNumbers<TFormat>
    where TFormat : IPackedFormat
{
    /// <summary>1024 as a half, twice; codes are added to it in place.</summary>
    private const uint Thousand = 0x64006400;

    // Fields, not properties: the compiler of kernels takes them as constants.

    private static readonly int LowBits = PackedTile<TFormat>.LowBits, UpperBits = PackedTile<TFormat>.UpperBits;

    private static readonly bool AreE4M3 = TFormat.Codes == PackedCodeKind.E4M3, ArePlaces = TFormat.Codes == PackedCodeKind.Table;

    /// <summary>The bias of a pair of codes.</summary>
    public static readonly uint BiasPair = (uint)TFormat.Bias * 0x10001;

    /// <summary>
    /// Whether codes that are scaled by float32 are taken as the smallest halves, multiples of 2^-24, which scales make up for: they need no exponent, and nothing is taken away
    /// before. Scales of any magnitude (4 bits of folders) would leave float32. With a scale that is infinite all weights are no numbers, not only those of the code that stands for 0.
    /// </summary>
    public static readonly bool AreBare = TFormat.Codes == PackedCodeKind.Integer && TFormat.Bits < 8 && !TFormat.HasZeros;

    /// <summary>Codes of 1 in the lowest bits of a half are one by so much.</summary>
    public const float Unit = 1 << 24;

    /// <summary>Scales that make up for it.</summary>
    public static PackedScales ScalesOfBare(PackedScales scales)
    {
        scales.Scale *= Unit;
        scales.SecondScale *= Unit;
        return scales;
    }

    /// <summary>Whether codes can be scaled by <see cref="PackedScaling.FusedHalves"/>: as small halves, multiples of <see cref="FusedUnit"/>, of which one operation makes weights, rounded once.</summary>
    public static readonly bool CanFuse = TFormat.Codes == PackedCodeKind.Integer && TFormat.Bits == 4 && TFormat.HasHalfScales;

    /// <summary>What is taken away from the codes that can be scaled so.</summary>
    public const int Middle = 8;

    /// <summary>Codes in bits 7 to 10 of a half, the exponent's lowest among them, are one by so much: 2^17, so that scales below a half stay finite.</summary>
    public const float FusedUnit = 1 << 17;

    /// <summary>-<see cref="Middle"/> by <see cref="FusedUnit"/>, twice.</summary>
    private const uint MinusMiddleOfUnit = 0x84008400;

    private const uint FusedBits = 0x07800780;

    /// <summary>No number is beyond it: a product with a half of at most <see cref="Halves.Max"/> by this is finite.</summary>
    public static float Largest => AreE4M3 ? 448 : LowBits == 8 && TFormat.HasZeros ? 256 : ArePlaces || LowBits == 8 ? 128 : 32;

    /// <summary>The numbers that a step's eight codes stand for, two pairs of the row above and then two of the one below.</summary>
    /// <param name="codes">The codes; where they have 8 bits, of the row above.</param>
    /// <param name="lower">Codes of 8 bits of the row below.</param>
    /// <param name="upper">What is above the low bits of codes of less than 8.</param>
    /// <param name="zero">What is taken away from codes of the row above, twice.</param>
    /// <param name="lowerZero">What is taken away from those of the row below, twice.</param>
    public static UInt4 Of(uint codes, uint lower, uint upper, uint zero, uint lowerZero) =>
        LowBits == 8 ? Bytes8(codes, lower, zero, lowerZero) : Numbers8(codes, upper, zero, lowerZero);

    /// <summary>The numbers that eight codes of a byte stand for.</summary>
    /// <param name="first">Four codes.</param>
    /// <param name="second">Four more.</param>
    /// <param name="zero">What is taken away from the first four, twice.</param>
    /// <param name="lowerZero">What is taken away from the others, twice.</param>
    private static UInt4 Bytes8(uint first, uint second, uint zero, uint lowerZero) => AreE4M3
        ? new UInt4
        {
            A = E4M3.Low(first),
            B = E4M3.High(first),
            C = E4M3.Low(second),
            D = E4M3.High(second),
        }
        : new UInt4
        {
            A = Halves.Subtract(Halves.LowBytes(first), Thousand + zero),
            B = Halves.Subtract(Halves.HighBytes(first), Thousand + zero),
            C = Halves.Subtract(Halves.LowBytes(second), Thousand + lowerZero),
            D = Halves.Subtract(Halves.HighBytes(second), Thousand + lowerZero),
        };

    /// <summary>The numbers that eight codes of less than a byte stand for; their upper bits are the lowest of the halves of <paramref name="upper"/>.</summary>
    /// <param name="codes">Low bits of each.</param>
    /// <param name="upper">What is above them.</param>
    /// <param name="zero">What is taken away from the first four, twice.</param>
    /// <param name="lowerZero">What is taken away from the others, twice.</param>
    private static UInt4 Numbers8(uint codes, uint upper, uint zero, uint lowerZero) =>
        ArePlaces ? Bytes8(PackedTables.LookUp(TFormat.Table, codes), PackedTables.LookUp(TFormat.Table, codes >> 16), BiasPair, BiasPair)
        : LowBits == 2 ? TwoBits8(codes, upper, zero + Thousand)
        : Nibbles8(codes, upper, zero, lowerZero);

    /// <summary>Eight codes of 4 bits as small halves, in the order of <see cref="Of"/>.</summary>
    public static UInt4 Fused(uint codes) => new()
    {
        A = (codes << 7) & FusedBits,
        B = (codes << 3) & FusedBits,
        C = (codes >> 1) & FusedBits,
        D = (codes >> 5) & FusedBits,
    };

    /// <summary>A scale as the factor of <see cref="Fused"/> codes, twice; exact for halves below a half.</summary>
    public static uint FusedFactor(float scale) => Halves.Round(scale * FusedUnit, scale * FusedUnit);

    /// <summary>What is added to products with such a factor, twice; exact.</summary>
    public static uint FusedOffset(uint factor) => Halves.Multiply(factor, MinusMiddleOfUnit);

    /// <summary>Eight codes of less than a byte as the smallest halves: first and third pairs are multiples of 2^-24, the others, of more than two low bits, of sixteen times as much.</summary>
    public static UInt4 Bare(uint codes, uint upper)
    {
        if (LowBits == 2)
        {
            return new UInt4
            {
                A = (codes & 0x00030003) | UpperPair(upper << 2),
                B = ((codes >> 2) & 0x00030003) | UpperPair(upper << (2 - UpperBits)),
                C = ((codes >> 4) & 0x00030003) | UpperPair(upper << (2 - (2 * UpperBits))),
                D = ((codes >> 6) & 0x00030003) | UpperPair(upper >> ((3 * UpperBits) - 2)),
            };
        }
        uint next = codes >> 8;
        return new UInt4
        {
            A = (codes & 0x000F000F) | UpperPair(upper << 4),
            B = (codes & 0x00F000F0) | NextUpperPair(upper << (8 - UpperBits)),
            C = (next & 0x000F000F) | UpperPair(upper << (4 - (2 * UpperBits))),
            D = (next & 0x00F000F0) | NextUpperPair(upper << (8 - (3 * UpperBits))),
        };
    }

    private static UInt4 TwoBits8(uint codes, uint upper, uint low) => new()
    {
        A = Halves.Subtract(TwoBitPair(codes) | UpperPair(upper << 2), low),
        B = Halves.Subtract(TwoBitPair(codes >> 2) | UpperPair(upper << (2 - UpperBits)), low),
        C = Halves.Subtract(TwoBitPair(codes >> 4) | UpperPair(upper << (2 - (2 * UpperBits))), low),
        D = Halves.Subtract(TwoBitPair(codes >> 6) | UpperPair(upper >> ((3 * UpperBits) - 2)), low),
    };

    private static uint TwoBitPair(uint codes) => Integers.Merge(codes, 0x00030003, Thousand);

    /// <summary>Behind the exponent of 1024 the first and third pairs count as they are, the others sixteen times as much.</summary>
    private static UInt4 Nibbles8(uint codes, uint upper, uint zero, uint lowerZero)
    {
        const uint Sixteenth = 0x2C002C00, MinusSixtyFour = 0xD400D400;
        uint next = codes >> 8;
        return new UInt4
        {
            A = Halves.Subtract(NibblePair(codes) | UpperPair(upper << 4), Thousand + zero),
            B = Halves.Fma(NextNibblePair(codes) | NextUpperPair(upper << (8 - UpperBits)), Sixteenth, MinusSixtyFour + (zero << 4)),
            C = Halves.Subtract(NibblePair(next) | UpperPair(upper << (4 - (2 * UpperBits))), Thousand + lowerZero),
            D = Halves.Fma(NextNibblePair(next) | NextUpperPair(upper << (8 - (3 * UpperBits))), Sixteenth, MinusSixtyFour + (lowerZero << 4)),
        };
    }

    private static uint NibblePair(uint codes) => Integers.Merge(codes, 0x000F000F, Thousand);

    private static uint NextNibblePair(uint codes) => Integers.Merge(codes, 0x00F000F0, Thousand);

    private static uint UpperPair(uint upper) => UpperBits == 0 ? 0 : upper & ((UpperBits == 1 ? 0x00010001u : 0x00030003u) << LowBits);

    private static uint NextUpperPair(uint upper) => UpperBits == 0 ? 0 : upper & (UpperBits == 1 ? 0x01000100u : 0x03000300u);
}
