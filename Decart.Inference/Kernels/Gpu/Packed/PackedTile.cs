using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>
/// A piece of a tile, 16 rows of 64 columns, in few bits, as the left operand of <see cref="TensorCore"/> wants them: in each of four steps of 16 columns lane 4 g + t has of row g,
/// and then of row g + 8, columns 2 t, 2 t + 1, 2 t + 8 and 2 t + 9. In order: the lanes' codes, 16 bytes each (the low four bits of each code; of codes of 8 bits those of two steps,
/// and then those of the other two; of codes of 2 and 3 bits the low two, 8 bytes a lane), for codes of 3, 5 and 6 bits what is left of them, 4 or 8 bytes a lane, and the scales of runs
/// of 32 columns of a row, those of the first runs of the 16 rows before the others.
/// </summary>
/// <remarks>
/// Codes become halves two at a time: shifted and masked, a register has one in the low bits of each half, behind the exponent of 1024, or none (see HasBareCodes). So neighbours
/// lie 16 bits apart. A step's eight codes are a word: the four of even columns, then those of odd ones; of 2 bits two steps are one, the first in the low bytes of its halves.
/// Places in a table are in the order of their columns.
/// </remarks>
internal static class PackedTile<TFormat>
    where TFormat : IPackedFormat
{
    private const int Lanes = 32, RunColumns = 32, StepColumns = 16, WordBytes = sizeof(uint);

    /// <summary>1024 as a half, twice; codes are added to it in place.</summary>
    private const uint Thousand = 0x64006400;

    // Fields, not properties: the compiler of kernels takes them as constants.

    /// <summary>Bits of a code that lie together.</summary>
    private static readonly int LowBits = TFormat.Bits == 8 ? 8 : TFormat.Bits < 4 ? 2 : 4;

    /// <summary>Bits of a code behind those: 0, 1 or 2.</summary>
    private static readonly int UpperBits = TFormat.Bits - LowBits;

    /// <summary>Bytes of a lane in a plane.</summary>
    private static readonly int LaneBytes = LowBits == 2 ? 8 : 16;

    private static readonly int PlaneBytes = Lanes * LaneBytes;

    /// <summary>Bytes of a lane's upper bits.</summary>
    private static readonly int UpperBytes = UpperBits * 4;

    private static readonly int CodeBytes = (LowBits == 8 ? 2 * PlaneBytes : PlaneBytes) + (Lanes * UpperBytes);

    /// <summary>Bytes of the whole.</summary>
    public static readonly int Bytes = CodeBytes + TFormat.ScaleBytes;

    /// <summary>Whether each step has scales of its own, and whether each run has.</summary>
    private static readonly bool StepsHaveScales = TFormat.GroupColumns == StepColumns, RunsHaveScales = TFormat.GroupColumns <= RunColumns;

    private static readonly bool AreE4M3 = TFormat.Codes == PackedCodeKind.E4M3, AreFloatPlaces = TFormat.Codes == PackedCodeKind.FloatTable;

    private static readonly bool ArePlaces = TFormat.Codes == PackedCodeKind.Table || AreFloatPlaces;

    /// <summary>The bias of a pair of codes.</summary>
    private static readonly uint BiasPair = (uint)TFormat.Bias * 0x10001;

    /// <summary>Brings a run of a stored row into the device's memory, which has zeros there.</summary>
    /// <param name="row">Address of the stored row.</param>
    /// <param name="run">The run in the row.</param>
    /// <param name="piece">Address of the piece of the tile.</param>
    /// <param name="tileRow">The row in the tile.</param>
    /// <param name="unusual">Address of an int that becomes 1 where a scale is no half, or products could be infinite.</param>
    public static void Store(long row, int run, long piece, int tileRow, long unusual)
    {
        int first = run * RunColumns, blockIndex = first / TFormat.BlockColumns, element = first - (blockIndex * TFormat.BlockColumns);
        long block = row + ((long)blockIndex * TFormat.BlockBytes);
        for (int step = 0; step < RunColumns / StepColumns; step++)
        {
            for (int t = 0; t < 4; t++)
                StoreCodes(block, element + (step * StepColumns) + (2 * t), piece, (4 * (tileRow & 7)) + t, (2 * (run & 1)) + step, tileRow >> 3);
        }
        TFormat.StoreScales(block, element / RunColumns, piece + CodeBytes, tileRow, run & 1);
        if (TFormat.HasHalfScales && !IsHalf(TFormat.StoredScale(block))) Global.StoreInt(unusual, 1);
    }

    /// <summary>Makes halves of two pieces in shared memory, all lanes of a warp together.</summary>
    /// <param name="first">Address of a piece.</param>
    /// <param name="second">Address of another.</param>
    /// <param name="sinks">What they are put into.</param>
    public static PiecePair<TSink> Unpack<TSink>(int first, int second, PiecePair<TSink> sinks)
        where TSink : IFragmentSink<TSink>
    {
        // Each lane finds out what one row of one piece is scaled by, and tells those that have codes of it.
        int own = ((Warp.LaneIdx & 1) == 0 ? first : second) + CodeBytes, row = (Warp.LaneIdx >> 2) + ((Warp.LaneIdx & 2) << 2), from = Warp.LaneIdx & -4;
        PackedScales near = TFormat.LoadScales(own, row, 0), far = RunsHaveScales ? TFormat.LoadScales(own, row, 1) : near;
        if (HasBareCodes) (near, far) = (OfBareCodes(near), OfBareCodes(far));
        sinks.First = UnpackPiece(first, new FloatScales { Near = near, Far = far, From = from }, sinks.First);
        sinks.Second = UnpackPiece(second, new FloatScales { Near = near, Far = far, From = from + 1 }, sinks.Second);
        return sinks;
    }

    /// <summary>The same where all scales of the weight are halves.</summary>
    public static PiecePair<TSink> UnpackByHalves<TSink>(int first, int second, PiecePair<TSink> sinks)
        where TSink : IFragmentSink<TSink>
    {
        sinks.First = UnpackPiece(first, HalfScales.Load(first + CodeBytes), sinks.First);
        sinks.Second = UnpackPiece(second, HalfScales.Load(second + CodeBytes), sinks.Second);
        return sinks;
    }

    /// <summary>Makes halves of a piece.</summary>
    /// <param name="piece">Address of the piece.</param>
    /// <param name="scales">What the calling lane knows of its scales.</param>
    /// <param name="sink">What they are put into.</param>
    private static TSink UnpackPiece<TScales, TSink>(int piece, TScales scales, TSink sink)
        where TScales : unmanaged, ILaneScales<TScales>
        where TSink : IFragmentSink<TSink>
    {
        int lane = Warp.LaneIdx;
        UInt4 codes = LoadLow(piece + (lane * LaneBytes)), others = default;
        uint upper = 0, nextUpper = 0;
        if (LowBits == 8) others = Shared.Load16(piece + PlaneBytes + (lane * LaneBytes));
        if (UpperBits > 0)
        {
            upper = (uint)Shared.LoadInt(piece + PlaneBytes + (lane * UpperBytes));
            nextUpper = UpperBits == 1 ? upper >> 8 : (uint)Shared.LoadInt(piece + PlaneBytes + (lane * UpperBytes) + WordBytes);
        }
        int next = UpperBits == 1 ? 4 : 8;
        RowScales rows = TScales.OfStep(scales, 0);
        sink = TSink.Put(sink, 0, TScales.Scale(TScales.Numbers(codes.A, codes.B, upper, rows), rows));
        if (StepsHaveScales) rows = TScales.OfStep(scales, 1);
        sink = TSink.Put(sink, 1, TScales.Scale(TScales.Numbers(LowBits == 8 ? codes.C : codes.B, codes.D, upper >> next, rows), rows));
        if (RunsHaveScales) rows = TScales.OfStep(scales, 2);
        sink = TSink.Put(sink, 2, TScales.Scale(TScales.Numbers(LowBits == 8 ? others.A : codes.C, others.B, nextUpper, rows), rows));
        if (StepsHaveScales) rows = TScales.OfStep(scales, 3);
        return TSink.Put(sink, 3, TScales.Scale(TScales.Numbers(LowBits == 8 ? others.C : codes.D, others.D, nextUpper >> next, rows), rows));
    }

    /// <summary>Stores a lane's four codes of a row and step.</summary>
    /// <param name="block">Address of the stored block.</param>
    /// <param name="element">The first of them.</param>
    /// <param name="piece">Address of the piece.</param>
    /// <param name="lane">The lane.</param>
    /// <param name="step">The step in the piece.</param>
    /// <param name="half">1 for rows from 8 on.</param>
    private static void StoreCodes(long block, int element, long piece, int lane, int step, int half)
    {
        uint first = TFormat.LoadCode(block, element), second = TFormat.LoadCode(block, element + 1);
        uint third = TFormat.LoadCode(block, element + 8), fourth = TFormat.LoadCode(block, element + 9);
        long codes = piece + (lane * LaneBytes);
        if (LowBits == 8)
            Global.StoreInt(codes + (step / 2 * PlaneBytes) + (step % 2 * 8) + (half * WordBytes), (int)(first | (second << 8) | (third << 16) | (fourth << 24)));
        else if (ArePlaces)
            Global.Store2(codes + (step * WordBytes) + (half * 2), first | (second << 4) | (third << 8) | (fourth << 12));
        else
            Merge(codes, first, second, third, fourth, step, half, 0, LowBits);
        if (UpperBits > 0) Merge(piece + PlaneBytes + (lane * UpperBytes), first, second, third, fourth, step, half, LowBits, UpperBits);
    }

    /// <summary>Adds some bits of four codes to the words of a lane, whose other bits other threads add.</summary>
    private static void Merge(long words, uint first, uint second, uint third, uint fourth, int step, int half, int from, int count)
    {
        uint mask = (1u << count) - 1;
        uint bits = ((first >> from) & mask) | (((second >> from) & mask) << 16) | (((third >> from) & mask) << count) | (((fourth >> from) & mask) << (16 + count));
        // A step takes four times as many bits of each half of a word.
        int wordSteps = count == 1 ? 4 : count == 2 ? 2 : 1, word = step / wordSteps;
        Global.Merge(words + (word * WordBytes), (int)(bits << (((step - (word * wordSteps)) * 4 * count) + (half * 2 * count))));
    }

    /// <summary>A lane's low bits, those of a step in each register.</summary>
    private static UInt4 LoadLow(int address)
    {
        if (LowBits != 2) return Shared.Load16(address);
        uint first = (uint)Shared.LoadInt(address), second = (uint)Shared.LoadInt(address + WordBytes);
        return new UInt4 { A = first, B = first >> 8, C = second, D = second >> 8 };
    }

    /// <summary>The numbers that a step's eight codes stand for, two pairs of the row above and then two of the one below.</summary>
    private static UInt4 Numbers(uint codes, uint lower, uint upper, RowScales rows)
    {
        uint zero = TFormat.HasZeros ? rows.Zero : BiasPair, lowerZero = TFormat.HasZeros ? rows.LowerZero : BiasPair;
        return LowBits == 8 ? Bytes8(codes, lower, zero, lowerZero) : Numbers8(codes, upper, zero, lowerZero);
    }

    /// <summary>Whether a scale is a half, and no product with it beyond the finite ones.</summary>
    private static bool IsHalf(float scale) => Halves.Low(Halves.Round(scale, scale)) == scale && scale <= Halves.Max / Largest && scale >= -Halves.Max / Largest;

    /// <summary>What the two rows of a lane are scaled by in a step.</summary>
    private struct RowScales
    {
        /// <summary>The factor of both rows as pairs of halves.</summary>
        public uint Factor, LowerFactor;

        public float Scale, Offset, LowerScale, LowerOffset;

        /// <summary>What every second pair is scaled by.</summary>
        public float NextScale, LowerNextScale;

        /// <summary>What is taken away from their codes, twice.</summary>
        public uint Zero, LowerZero;

        /// <inheritdoc cref="PackedScales.Entry"/>
        public float Entry;
    }

    /// <summary>What a lane knows of the scales of a piece.</summary>
    private interface ILaneScales<TSelf>
        where TSelf : unmanaged, ILaneScales<TSelf>
    {
        /// <summary>What it needs in a step.</summary>
        /// <param name="scales">What it knows.</param>
        /// <param name="step">The step, a constant.</param>
        static abstract RowScales OfStep(TSelf scales, int step);

        /// <summary>What <see cref="Scale"/> takes of a step's eight codes: what they stand for, or bare codes.</summary>
        static abstract UInt4 Numbers(uint codes, uint lower, uint upper, RowScales rows);

        /// <summary>A step's numbers as the left operand of products.</summary>
        static abstract UInt4 Scale(UInt4 numbers, RowScales rows);
    }

    /// <summary>Those of its two rows, which are halves: products are exact, and rounded once, as by float32.</summary>
    private struct HalfScales : ILaneScales<HalfScales>
    {
        private RowScales _near, _far;

        public static HalfScales Load(int scales)
        {
            int row = Warp.LaneIdx >> 2;
            HalfScales halves = new() { _near = Load(scales, row, 0) };
            halves._far = RunsHaveScales ? Load(scales, row, 1) : halves._near;
            return halves;
        }

        private static RowScales Load(int scales, int row, int half)
        {
            PackedScales upper = TFormat.LoadScales(scales, row, half), lower = TFormat.LoadScales(scales, row + 8, half);
            return new RowScales
            {
                Factor = Halves.Round(upper.Scale, upper.Scale),
                LowerFactor = Halves.Round(lower.Scale, lower.Scale),
                Zero = upper.Zero * 0x10001,
                LowerZero = lower.Zero * 0x10001,
            };
        }

        public static RowScales OfStep(HalfScales scales, int step) => step < 2 ? scales._near : scales._far;

        public static UInt4 Numbers(uint codes, uint lower, uint upper, RowScales rows) => PackedTile<TFormat>.Numbers(codes, lower, upper, rows);

        public static UInt4 Scale(UInt4 numbers, RowScales rows) => new()
        {
            A = Halves.Multiply(numbers.A, rows.Factor),
            B = Halves.Multiply(numbers.C, rows.LowerFactor),
            C = Halves.Multiply(numbers.B, rows.Factor),
            D = Halves.Multiply(numbers.D, rows.LowerFactor),
        };
    }

    /// <summary>Those of one row of one piece; other lanes know the others.</summary>
    private struct FloatScales : ILaneScales<FloatScales>
    {
        /// <summary>Of the first 32 columns, and of the others.</summary>
        public PackedScales Near, Far;

        /// <summary>The lane that knows of the calling lane's upper row; the one that knows of the lower is 2 further.</summary>
        public int From;

        public static RowScales OfStep(FloatScales scales, int step)
        {
            int from = scales.From;
            PackedScales run = step < 2 ? scales.Near : scales.Far;
            float scale = (step & 1) == 0 ? run.Scale : run.SecondScale, offset = (step & 1) == 0 ? run.Offset : run.SecondOffset;
            uint zero = run.Zero * 0x10001;
            RowScales rows = new() { Scale = Warp.Shuffle(scale, from), LowerScale = Warp.Shuffle(scale, from + 2) };
            if (AreFloatPlaces) rows.Entry = scales.Near.Entry;
            if (TFormat.HasOffsets) (rows.Offset, rows.LowerOffset) = (Warp.Shuffle(offset, from), Warp.Shuffle(offset, from + 2));
            if (TFormat.HasZeros) (rows.Zero, rows.LowerZero) = (Warp.Shuffle(zero, from), Warp.Shuffle(zero, from + 2));
            if (!HasBareCodes)
            {
                (rows.NextScale, rows.LowerNextScale) = (rows.Scale, rows.LowerScale);
                return rows;
            }
            // All exact: scales have at most 19 bits.
            if (TFormat.Bias != 0) (rows.Offset, rows.LowerOffset) = (rows.Scale * (-TFormat.Bias / Unit), rows.LowerScale * (-TFormat.Bias / Unit));
            (rows.NextScale, rows.LowerNextScale) = LowBits == 2 ? (rows.Scale, rows.LowerScale) : (rows.Scale * (1f / 16), rows.LowerScale * (1f / 16));
            return rows;
        }

        public static UInt4 Numbers(uint codes, uint lower, uint upper, RowScales rows) =>
            AreFloatPlaces ? new UInt4 { A = codes, B = codes >> 8, C = codes >> 16, D = codes >> 24 } : HasBareCodes ? BareCodes(codes, upper) : PackedTile<TFormat>.Numbers(codes, lower, upper, rows);

        public static UInt4 Scale(UInt4 numbers, RowScales rows) => AreFloatPlaces ? LookUp(numbers, rows) : new UInt4
        {
            A = Pair(numbers.A, rows.Scale, rows.Offset),
            B = Pair(numbers.C, rows.LowerScale, rows.LowerOffset),
            C = Pair(numbers.B, rows.NextScale, rows.Offset),
            D = Pair(numbers.D, rows.LowerNextScale, rows.LowerOffset),
        };

        private static UInt4 LookUp(UInt4 places, RowScales rows) => new()
        {
            A = LookUp(places.A, rows.Entry, rows.Scale),
            B = LookUp(places.C, rows.Entry, rows.LowerScale),
            C = LookUp(places.B, rows.Entry, rows.Scale),
            D = LookUp(places.D, rows.Entry, rows.LowerScale),
        };

        /// <summary>Two places, each of which some lane knows.</summary>
        private static uint LookUp(uint places, float entry, float scale) =>
            Halves.RoundFinite(scale * Warp.Shuffle(entry, (int)(places & 15)), scale * Warp.Shuffle(entry, (int)((places >> 4) & 15)));

        private static uint Pair(uint numbers, float scale, float offset) =>
            Halves.RoundFinite(Float32.Fma(scale, Halves.Low(numbers), offset), Float32.Fma(scale, Halves.High(numbers), offset));
    }

    /// <summary>The numbers that eight codes of a byte stand for.</summary>
    /// <param name="first">Four codes.</param>
    /// <param name="second">Four more.</param>
    /// <param name="zero">What is taken away from the first four, twice.</param>
    /// <param name="lowerZero">What is taken away from the others, twice.</param>
    private static UInt4 Bytes8(uint first, uint second, uint zero, uint lowerZero) => AreE4M3
        ? new UInt4
        {
            A = FloatPair(Halves.LowBytesUp(first)),
            B = FloatPair(Halves.HighBytesUp(first)),
            C = FloatPair(Halves.LowBytesUp(second)),
            D = FloatPair(Halves.HighBytesUp(second)),
        }
        : new UInt4
        {
            A = Halves.Subtract(Halves.LowBytes(first), Thousand + zero),
            B = Halves.Subtract(Halves.HighBytes(first), Thousand + zero),
            C = Halves.Subtract(Halves.LowBytes(second), Thousand + lowerZero),
            D = Halves.Subtract(Halves.HighBytes(second), Thousand + lowerZero),
        };

    /// <summary>Numbers of 8 bits in the upper bytes of halves, with their exponents, whose bias is 8 less, where halves have them.</summary>
    private static uint FloatPair(uint bytes) => Integers.Merge(bytes, 0x80008000, (bytes >> 1) & 0x3F803F80);

    /// <summary>The numbers that eight codes of less than a byte stand for; their upper bits are the lowest of the halves of <paramref name="upper"/>.</summary>
    /// <param name="codes">Low bits of each.</param>
    /// <param name="upper">What is above them.</param>
    /// <param name="zero">What is taken away from the first four, twice.</param>
    /// <param name="lowerZero">What is taken away from the others, twice.</param>
    private static UInt4 Numbers8(uint codes, uint upper, uint zero, uint lowerZero) =>
        ArePlaces ? Bytes8(PackedTables.LookUp(TFormat.Table, codes), PackedTables.LookUp(TFormat.Table, codes >> 16), BiasPair, BiasPair)
        : LowBits == 2 ? TwoBits8(codes, upper, zero + Thousand)
        : Nibbles8(codes, upper, zero, lowerZero);

    /// <summary>
    /// Whether codes that are scaled by float32 are taken as the smallest halves, multiples of 2^-24, which scales make up for: they need no exponent, and nothing is taken away
    /// before. Scales of any magnitude (4 bits of folders) would leave float32. With a scale that is infinite all weights are no numbers, not only those of the code that stands for 0.
    /// </summary>
    private static readonly bool HasBareCodes = TFormat.Codes == PackedCodeKind.Integer && TFormat.Bits < 8 && !TFormat.HasZeros;

    /// <summary>Codes of 1 in the lowest bits of a half are one by so much.</summary>
    private const float Unit = 1 << 24;

    private static PackedScales OfBareCodes(PackedScales scales)
    {
        scales.Scale *= Unit;
        scales.SecondScale *= Unit;
        return scales;
    }

    private static UInt4 BareCodes(uint codes, uint upper)
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

    /// <summary>No number is beyond it: a product with a half of at most <see cref="Halves.Max"/> by this is finite.</summary>
    private static float Largest => AreE4M3 ? 1.75f : LowBits == 8 && TFormat.HasZeros ? 256 : ArePlaces || LowBits == 8 ? 128 : 32;
}
