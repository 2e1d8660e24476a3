using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <content>What lanes know of scales, and how they scale numbers.</content>
internal static partial class PackedTile<TFormat>
{
    /// <summary>What the two rows of a lane are scaled by in a step.</summary>
    private struct RowScales
    {
        /// <summary>The factor of both rows as pairs of halves.</summary>
        public uint Factor, LowerFactor;

        public float Scale, Offset, LowerScale, LowerOffset;

        /// <summary>What every second pair is scaled by.</summary>
        public float NextScale, LowerNextScale;

        /// <summary>What is taken away from their codes, twice, or added to their products as a pair of halves.</summary>
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

    /// <summary>Those of its two rows, which are halves.</summary>
    private struct HalfScales<TWay> : ILaneScales<HalfScales<TWay>>
        where TWay : IHalfWay
    {
        private RowScales _near, _far;

        public static HalfScales<TWay> Load(int scales)
        {
            HalfScales<TWay> halves = new() { _near = Load(scales, 0) };
            halves._far = RunsHaveScales ? Load(scales, 1) : halves._near;
            return halves;
        }

        private static RowScales Load(int scales, int half)
        {
            int row = Warp.LaneIdx >> 2;
            return TWay.Create(TFormat.LoadScales(scales, row, half), TFormat.LoadScales(scales, row + 8, half));
        }

        public static RowScales OfStep(HalfScales<TWay> scales, int step) => step < 2 ? scales._near : scales._far;

        public static UInt4 Numbers(uint codes, uint lower, uint upper, RowScales rows) => TWay.Numbers(codes, lower, upper, rows);

        public static UInt4 Scale(UInt4 numbers, RowScales rows) => TWay.Scale(numbers, rows);
    }

    /// <summary>How numbers are scaled by halves.</summary>
    private interface IHalfWay
    {
        /// <summary>What is known of two rows by their scales.</summary>
        static abstract RowScales Create(PackedScales upper, PackedScales lower);

        /// <inheritdoc cref="ILaneScales{TSelf}.Numbers"/>
        static abstract UInt4 Numbers(uint codes, uint lower, uint upper, RowScales rows);

        /// <inheritdoc cref="ILaneScales{TSelf}.Scale"/>
        static abstract UInt4 Scale(UInt4 numbers, RowScales rows);
    }

    /// <summary>Products are exact, and rounded once, as by float32.</summary>
    private readonly struct Products : IHalfWay
    {
        public static RowScales Create(PackedScales upper, PackedScales lower) => new()
        {
            Factor = Halves.Round(upper.Scale, upper.Scale),
            LowerFactor = Halves.Round(lower.Scale, lower.Scale),
            Zero = upper.Zero * 0x10001,
            LowerZero = lower.Zero * 0x10001,
        };

        public static UInt4 Numbers(uint codes, uint lower, uint upper, RowScales rows) => PackedTile<TFormat>.Numbers(codes, lower, upper, rows);

        public static UInt4 Scale(UInt4 numbers, RowScales rows) => new()
        {
            A = Halves.Multiply(numbers.A, rows.Factor),
            B = Halves.Multiply(numbers.C, rows.LowerFactor),
            C = Halves.Multiply(numbers.B, rows.Factor),
            D = Halves.Multiply(numbers.D, rows.LowerFactor),
        };
    }

    /// <summary>See <see cref="PackedScaling.FusedHalves"/>: products and sums are exact, and rounded once, as by float32, but for the sign of zeros, which no sum sees.</summary>
    private readonly struct FusedProducts : IHalfWay
    {
        public static RowScales Create(PackedScales upper, PackedScales lower)
        {
            RowScales rows = new() { Factor = PackedNumbers<TFormat>.FusedFactor(upper.Scale), LowerFactor = PackedNumbers<TFormat>.FusedFactor(lower.Scale) };
            (rows.Zero, rows.LowerZero) = (PackedNumbers<TFormat>.FusedOffset(rows.Factor), PackedNumbers<TFormat>.FusedOffset(rows.LowerFactor));
            return rows;
        }

        public static UInt4 Numbers(uint codes, uint lower, uint upper, RowScales rows) => PackedNumbers<TFormat>.Fused(codes);

        public static UInt4 Scale(UInt4 numbers, RowScales rows) => new()
        {
            A = Halves.Fma(numbers.A, rows.Factor, rows.Zero),
            B = Halves.Fma(numbers.C, rows.LowerFactor, rows.LowerZero),
            C = Halves.Fma(numbers.B, rows.Factor, rows.Zero),
            D = Halves.Fma(numbers.D, rows.LowerFactor, rows.LowerZero),
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
            if (!PackedNumbers<TFormat>.AreBare)
            {
                (rows.NextScale, rows.LowerNextScale) = (rows.Scale, rows.LowerScale);
                return rows;
            }
            // All exact: scales have at most 19 bits.
            if (TFormat.Bias != 0) (rows.Offset, rows.LowerOffset) = (rows.Scale * (-TFormat.Bias / PackedNumbers<TFormat>.Unit), rows.LowerScale * (-TFormat.Bias / PackedNumbers<TFormat>.Unit));
            (rows.NextScale, rows.LowerNextScale) = LowBits == 2 ? (rows.Scale, rows.LowerScale) : (rows.Scale * (1f / 16), rows.LowerScale * (1f / 16));
            return rows;
        }

        public static UInt4 Numbers(uint codes, uint lower, uint upper, RowScales rows) =>
            AreFloatPlaces ? new UInt4 { A = codes, B = codes >> 8, C = codes >> 16, D = codes >> 24 }
            : PackedNumbers<TFormat>.AreBare ? PackedNumbers<TFormat>.Bare(codes, upper)
            : PackedTile<TFormat>.Numbers(codes, lower, upper, rows);

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
}
