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
/// Codes become halves two at a time: shifted and masked, a register has one in the low bits of each half, behind the exponent of 1024, or none (see <see cref="PackedNumbers{TFormat}"/>). So neighbours
/// lie 16 bits apart. A step's eight codes are a word: the four of even columns, then those of odd ones; of 2 bits two steps are one, the first in the low bytes of its halves.
/// Places in a table are in the order of their columns.
/// </remarks>
internal static partial class PackedTile<TFormat>
    where TFormat : IPackedFormat
{
    private const int Lanes = 32, RunColumns = 32, StepColumns = 16, WordBytes = sizeof(uint);

    // Fields, not properties: the compiler of kernels takes them as constants.

    /// <summary>Bits of a code that lie together.</summary>
    public static readonly int LowBits = TFormat.Bits == 8 ? 8 : TFormat.Bits < 4 ? 2 : 4;

    /// <summary>Bits of a code behind those: 0, 1 or 2.</summary>
    public static readonly int UpperBits = TFormat.Bits - LowBits;

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

    private static readonly bool AreFloatPlaces = TFormat.Codes == PackedCodeKind.FloatTable, ArePlaces = TFormat.Codes == PackedCodeKind.Table || AreFloatPlaces;

    /// <summary>How a weight is scaled of which all blocks may be.</summary>
    public static PackedScaling BestScaling => PackedNumbers<TFormat>.CanFuse ? PackedScaling.FusedHalves : TFormat.HasHalfScales ? PackedScaling.Halves : PackedScaling.Floats;

    /// <summary>Brings a run of a stored row into the device's memory, which has zeros there.</summary>
    /// <param name="row">Address of the stored row.</param>
    /// <param name="run">The run in the row.</param>
    /// <param name="piece">Address of the piece of the tile.</param>
    /// <param name="tileRow">The row in the tile.</param>
    /// <param name="unusual">Address of an int of which bit i is set where a block can be scaled by i of <see cref="PackedScaling"/>, and no better, though others of the format can.</param>
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
        if (TFormat.HasHalfScales)
        {
            PackedScaling scaling = ScalingOf(block);
            if (scaling < BestScaling) Global.Merge(unusual, 1 << (int)scaling);
        }
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
        if (PackedNumbers<TFormat>.AreBare) (near, far) = (PackedNumbers<TFormat>.ScalesOfBare(near), PackedNumbers<TFormat>.ScalesOfBare(far));
        sinks.First = UnpackPiece(first, new FloatScales { Near = near, Far = far, From = from }, sinks.First);
        sinks.Second = UnpackPiece(second, new FloatScales { Near = near, Far = far, From = from + 1 }, sinks.Second);
        return sinks;
    }

    /// <summary>The same where all scales of the weight are halves.</summary>
    public static PiecePair<TSink> UnpackByHalves<TSink>(int first, int second, PiecePair<TSink> sinks)
        where TSink : IFragmentSink<TSink> => UnpackByHalves<Products, TSink>(first, second, sinks);

    /// <summary>The same where the weight has <see cref="PackedScaling.FusedHalves"/>.</summary>
    public static PiecePair<TSink> UnpackFused<TSink>(int first, int second, PiecePair<TSink> sinks)
        where TSink : IFragmentSink<TSink> => UnpackByHalves<FusedProducts, TSink>(first, second, sinks);

    private static PiecePair<TSink> UnpackByHalves<TWay, TSink>(int first, int second, PiecePair<TSink> sinks)
        where TWay : IHalfWay
        where TSink : IFragmentSink<TSink>
    {
        sinks.First = UnpackPiece(first, HalfScales<TWay>.Load(first + CodeBytes), sinks.First);
        sinks.Second = UnpackPiece(second, HalfScales<TWay>.Load(second + CodeBytes), sinks.Second);
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
        uint zero = TFormat.HasZeros ? rows.Zero : PackedNumbers<TFormat>.BiasPair, lowerZero = TFormat.HasZeros ? rows.LowerZero : PackedNumbers<TFormat>.BiasPair;
        return PackedNumbers<TFormat>.Of(codes, lower, upper, zero, lowerZero);
    }

    /// <summary>The best way to scale a stored block, of those that the format has.</summary>
    private static PackedScaling ScalingOf(long block)
    {
        float scale = TFormat.StoredScale(block);
        if (!IsHalf(scale)) return PackedScaling.Floats;
        if (!PackedNumbers<TFormat>.CanFuse) return PackedScaling.Halves;
        bool isSmall = scale <= Halves.Max / PackedNumbers<TFormat>.FusedUnit && scale >= -Halves.Max / PackedNumbers<TFormat>.FusedUnit;
        if (isSmall && TFormat.StoredZero(block) == PackedNumbers<TFormat>.Middle) return PackedScaling.FusedHalves;
        return TFormat.HasZeros ? PackedScaling.Halves : PackedScaling.Floats;
    }

    /// <summary>Whether a scale is a half, and no product with it beyond the finite ones.</summary>
    private static bool IsHalf(float scale) => Halves.Low(Halves.Round(scale, scale)) == scale && scale <= Halves.Max / PackedNumbers<TFormat>.Largest && scale >= -Halves.Max / PackedNumbers<TFormat>.Largest;
}
