using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>
/// A piece of a tile, 16 rows of 64 columns, in few bits. A run of 32 columns is a lane's, lane 16 h + r has half h of row r. In order: the runs' codes, 16 bytes a
/// lane (the low four bits of each code; of codes of 8 bits 16 of them, and then the other 16; of codes of 2 and 3 bits the low two, 8 bytes a lane), for codes of 3, 5 and 6 bits what is
/// left of them, 4 or 8 bytes a lane, and the scales.
/// </summary>
/// <remarks>
/// Codes become halves two at a time: shifted and masked, a register has one in the low bits of each half, behind the exponent of 1024. So neighbours
/// lie 16 bits apart. Eight codes are a word: the four of even columns in ascending order, then those of odd ones; of 2 bits 16 codes are one, the first eight in the low bytes of its halves.
/// Places in a table are in the order of their columns.
/// </remarks>
internal static class PackedTile<TFormat>
    where TFormat : IPackedFormat
{
    private const int Lanes = 32, RunColumns = 32, CoreRowBytes = CoreTiles.CoreBytes / 8;

    /// <summary>Bits of a code that lie together.</summary>
    private static int LowBits => TFormat.Bits == 8 ? 8 : TFormat.Bits < 4 ? 2 : 4;

    /// <summary>Bits of a code behind those: 0, 1 or 2.</summary>
    private static int UpperBits => TFormat.Bits - LowBits;

    /// <summary>Bytes of a lane in a plane.</summary>
    private static int LaneBytes => LowBits == 2 ? 8 : 16;

    private static int PlaneBytes => Lanes * LaneBytes;

    /// <summary>Bytes of a lane's upper bits.</summary>
    private static int UpperBytes => UpperBits * 4;

    private static int CodeBytes => (TFormat.Bits == 8 ? 2 * PlaneBytes : PlaneBytes) + (Lanes * UpperBytes);

    /// <summary>Bytes of the whole.</summary>
    public static int Bytes => CodeBytes + TFormat.ScaleBytes;

    /// <summary>The lane of a run.</summary>
    /// <param name="row">Row in the tile.</param>
    /// <param name="half">0 for the first 32 columns, 1 for the others.</param>
    public static int Lane(int row, int half) => (half * CoreTiles.TileRows) + row;

    /// <summary>Brings a run of a stored row into the device's memory.</summary>
    /// <param name="row">Address of the stored row.</param>
    /// <param name="run">The run in the row.</param>
    /// <param name="piece">Address of the piece of the tile.</param>
    /// <param name="lane">The run's lane.</param>
    public static void Store(long row, int run, long piece, int lane)
    {
        int first = run * RunColumns, blockIndex = first / TFormat.BlockColumns, element = first - (blockIndex * TFormat.BlockColumns);
        long block = row + ((long)blockIndex * TFormat.BlockBytes);
        StoreLow(block, element, piece, lane);
        if (UpperBits > 0) StorePlane(block, element, piece + PlaneBytes + (lane * UpperBytes), LowBits, UpperBits);
        TFormat.StoreScales(block, element / RunColumns, piece + CodeBytes, lane);
    }

    /// <summary>Makes halves of a lane's run in shared memory, where <see cref="CoreTiles"/> has them.</summary>
    /// <param name="piece">Address of the piece.</param>
    /// <param name="lane">The lane.</param>
    /// <param name="tile">Where the piece of the tile is to be.</param>
    public static void Unpack(int piece, int lane, int tile)
    {
        int row = lane & (CoreTiles.TileRows - 1);
        int destination = tile + ((row >> 3) * CoreTiles.CoreRowBytes) + (lane / CoreTiles.TileRows * 4 * CoreTiles.CoreBytes) + ((row & 7) * CoreRowBytes);
        UInt4 codes = LoadLow(piece + (lane * LaneBytes));
        PackedScales scales = TFormat.LoadScales(piece + CodeBytes, lane);
        UInt4 first, second, third, fourth;
        if (TFormat.Bits == 8)
        {
            UInt4 others = Shared.Load16(piece + PlaneBytes + (lane * LaneBytes));
            first = Bytes8(codes.A, codes.B);
            second = Bytes8(codes.C, codes.D);
            third = Bytes8(others.A, others.B);
            fourth = Bytes8(others.C, others.D);
        }
        else
        {
            uint upper = 0, others = 0;
            if (UpperBits == 1)
            {
                upper = (uint)Shared.LoadInt(piece + PlaneBytes + (lane * UpperBytes));
                others = upper >> 8;
            }
            else if (UpperBits == 2)
            {
                upper = (uint)Shared.LoadInt(piece + PlaneBytes + (lane * UpperBytes));
                others = (uint)Shared.LoadInt(piece + PlaneBytes + (lane * UpperBytes) + 4);
            }
            int next = UpperBits == 1 ? 4 : 8;
            uint low = (0x6400u + scales.Zero) * 0x10001u, high = (0xD400u + (scales.Zero << 4)) * 0x10001u;
            first = Numbers8(codes.A, upper, low, high);
            second = Numbers8(codes.B, upper >> next, low, high);
            third = Numbers8(codes.C, others, low, high);
            fourth = Numbers8(codes.D, others >> next, low, high);
        }
        uint factor = TFormat.HasHalfScales ? Halves.Round(scales.Scale, scales.Scale) : 0;
        if (TFormat.HasHalfScales && Halves.Low(factor) == scales.Scale && scales.Scale <= Halves.Max / Largest && scales.Scale >= -Halves.Max / Largest)
        {
            Shared.Store16(destination, Multiply(first, factor));
            Shared.Store16(destination + CoreTiles.CoreBytes, Multiply(second, factor));
            Shared.Store16(destination + (2 * CoreTiles.CoreBytes), Multiply(third, factor));
            Shared.Store16(destination + (3 * CoreTiles.CoreBytes), Multiply(fourth, factor));
        }
        else
        {
            Shared.Store16(destination, Scale8(first, scales.Scale, scales.Offset));
            Shared.Store16(destination + CoreTiles.CoreBytes, Scale8(second, scales.Scale, scales.Offset));
            Shared.Store16(destination + (2 * CoreTiles.CoreBytes), Scale8(third, scales.SecondScale, scales.SecondOffset));
            Shared.Store16(destination + (3 * CoreTiles.CoreBytes), Scale8(fourth, scales.SecondScale, scales.SecondOffset));
        }
    }

    private static void StoreLow(long block, int element, long piece, int lane)
    {
        if (LowBits == 2)
        {
            StorePlane(block, element, piece + (lane * LaneBytes), 0, 2);
            return;
        }
        for (int word = 0; word < RunColumns / 8; word++)
        {
            if (TFormat.Bits == 8)
            {
                long codes = piece + (word / 2 * PlaneBytes) + (lane * LaneBytes) + (word % 2 * 8);
                Global.StoreInt(codes, FourBytes(block, element + (word * 8)));
                Global.StoreInt(codes + 4, FourBytes(block, element + (word * 8) + 4));
            }
            else if (TFormat.Codes == PackedCodeKind.NonLinear)
            {
                Global.StoreInt(piece + (lane * LaneBytes) + (word * 4), EightNibbles(block, element + (word * 8)));
            }
            else
            {
                Global.StoreInt(piece + (lane * LaneBytes) + (word * 4), Bits(block, element + (word * 8), 0, 4));
            }
        }
    }

    /// <summary>A lane's low bits, eight codes in each register.</summary>
    private static UInt4 LoadLow(int address)
    {
        if (LowBits != 2) return Shared.Load16(address);
        uint first = (uint)Shared.LoadInt(address), second = (uint)Shared.LoadInt(address + 4);
        return new UInt4 { A = first, B = first >> 8, C = second, D = second >> 8 };
    }

    /// <summary>Eight codes in the order of their columns.</summary>
    private static int EightNibbles(long block, int element)
    {
        uint codes = 0;
        for (int i = 0; i < 8; i++) codes |= TFormat.LoadCode(block, element + i) << (4 * i);
        return (int)codes;
    }

    /// <summary>Four codes, a byte each.</summary>
    private static int FourBytes(long block, int element) =>
        (int)(TFormat.LoadCode(block, element) | (TFormat.LoadCode(block, element + 1) << 8) | (TFormat.LoadCode(block, element + 2) << 16) | (TFormat.LoadCode(block, element + 3) << 24));

    /// <summary>Some bits of eight codes: those of even ones in ascending order from bit 0 on, those of odd ones from bit 16 on.</summary>
    private static int Bits(long block, int element, int from, int count)
    {
        uint bits = 0;
        for (int i = 0; i < 8; i++)
        {
            uint code = (TFormat.LoadCode(block, element + i) >> from) & ((1u << count) - 1);
            bits |= code << ((i / 2 * count) + (i % 2 * 16));
        }
        return (int)bits;
    }

    /// <summary>Stores one or two bits of all codes of a run.</summary>
    private static void StorePlane(long block, int element, long address, int from, int count)
    {
        // One bit of 32 codes fills a word, two bits of 16 codes do.
        int codes = count == 1 ? 32 : 16;
        for (int first = 0; first < RunColumns; first += codes)
        {
            int word = 0;
            for (int eight = 0; eight < codes; eight += 8) word |= Bits(block, element + first + eight, from, count) << (eight / 2 * count);
            Global.StoreInt(address + (first / codes * 4), word);
        }
    }

    /// <summary>The numbers that eight codes of a byte stand for.</summary>
    private static UInt4 Bytes8(uint first, uint second) => TFormat.Codes == PackedCodeKind.E4M3
        ? new UInt4
        {
            A = FloatPair(Halves.LowBytesUp(first)),
            B = FloatPair(Halves.HighBytesUp(first)),
            C = FloatPair(Halves.LowBytesUp(second)),
            D = FloatPair(Halves.HighBytesUp(second)),
        }
        : new UInt4
        {
            A = WithoutBias(Halves.LowBytes(first)),
            B = WithoutBias(Halves.HighBytes(first)),
            C = WithoutBias(Halves.LowBytes(second)),
            D = WithoutBias(Halves.HighBytes(second)),
        };

    private static uint WithoutBias(uint bytes) => Halves.Subtract(bytes, (0x6400u + (uint)TFormat.Bias) * 0x10001u);

    /// <summary>Numbers of 8 bits in the upper bytes of halves, with their exponents, whose bias is 8 less, where halves have them.</summary>
    private static uint FloatPair(uint bytes) => Integers.Merge(bytes, 0x80008000, (bytes >> 1) & 0x3F803F80);

    /// <summary>The numbers that eight codes of less than a byte stand for; their upper bits are the lowest of the halves of <paramref name="upper"/>.</summary>
    /// <param name="codes">Low bits of each.</param>
    /// <param name="upper">What is above them.</param>
    /// <param name="low">1024 and the zero, twice.</param>
    /// <param name="high">-64 less the zero, twice.</param>
    private static UInt4 Numbers8(uint codes, uint upper, uint low, uint high) =>
        TFormat.Codes == PackedCodeKind.NonLinear ? Bytes8(NonLinear.LookUp(codes), NonLinear.LookUp(codes >> 16))
        : LowBits == 2 ? TwoBits8(codes, upper, low)
        : Nibbles8(codes, upper, low, high);

    private static UInt4 TwoBits8(uint codes, uint upper, uint low) => new()
    {
        A = Halves.Subtract(TwoBitPair(codes) | UpperPair(upper << 2), low),
        B = Halves.Subtract(TwoBitPair(codes >> 2) | UpperPair(upper << (2 - UpperBits)), low),
        C = Halves.Subtract(TwoBitPair(codes >> 4) | UpperPair(upper << (2 - (2 * UpperBits))), low),
        D = Halves.Subtract(TwoBitPair(codes >> 6) | UpperPair(upper >> ((3 * UpperBits) - 2)), low),
    };

    private static uint TwoBitPair(uint codes) => Integers.Merge(codes, 0x00030003, 0x64006400);

    /// <summary>Behind the exponent of 1024 the first and third pairs count as they are, the others sixteen times as much.</summary>
    private static UInt4 Nibbles8(uint codes, uint upper, uint low, uint high)
    {
        const uint Sixteenth = 0x2C002C00;
        uint next = codes >> 8;
        return new UInt4
        {
            A = Halves.Subtract(NibblePair(codes) | UpperPair(upper << 4), low),
            B = Halves.Fma(NextNibblePair(codes) | NextUpperPair(upper << (8 - UpperBits)), Sixteenth, high),
            C = Halves.Subtract(NibblePair(next) | UpperPair(upper << (4 - (2 * UpperBits))), low),
            D = Halves.Fma(NextNibblePair(next) | NextUpperPair(upper << (8 - (3 * UpperBits))), Sixteenth, high),
        };
    }

    private static uint NibblePair(uint codes) => Integers.Merge(codes, 0x000F000F, 0x64006400);

    private static uint NextNibblePair(uint codes) => Integers.Merge(codes, 0x00F000F0, 0x64006400);

    private static uint UpperPair(uint upper) => UpperBits == 0 ? 0 : upper & ((UpperBits == 1 ? 0x00010001u : 0x00030003u) << LowBits);

    private static uint NextUpperPair(uint upper) => UpperBits == 0 ? 0 : upper & (UpperBits == 1 ? 0x01000100u : 0x03000300u);

    /// <summary>No number is beyond it: a product with a half of at most <see cref="Halves.Max"/> by this is finite.</summary>
    private static float Largest => TFormat.Codes == PackedCodeKind.E4M3 ? 1.75f : TFormat.Codes == PackedCodeKind.NonLinear || TFormat.Bits == 8 ? 128 : 32;

    /// <summary>Exact products, rounded once, as by float32.</summary>
    private static UInt4 Multiply(UInt4 numbers, uint factor) => new()
    {
        A = Halves.Multiply(numbers.A, factor),
        B = Halves.Multiply(numbers.B, factor),
        C = Halves.Multiply(numbers.C, factor),
        D = Halves.Multiply(numbers.D, factor),
    };

    private static UInt4 Scale8(UInt4 numbers, float scale, float offset) => new()
    {
        A = Scale(numbers.A, scale, offset),
        B = Scale(numbers.B, scale, offset),
        C = Scale(numbers.C, scale, offset),
        D = Scale(numbers.D, scale, offset),
    };

    private static uint Scale(uint numbers, float scale, float offset) =>
        Halves.RoundFinite(Float32.Fma(scale, Halves.Low(numbers), offset), Float32.Fma(scale, Halves.High(numbers), offset));
}
