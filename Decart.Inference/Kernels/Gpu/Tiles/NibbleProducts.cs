using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>Neighbouring pieces of a warp's tile and of a block of x in shared memory.</summary>
internal struct NibbleRun
{
    /// <summary>Address of the first of the weight's, as <see cref="NibbleTiles"/> has it.</summary>
    public int Weight;

    /// <summary>The lower half of the descriptor of the first of x.</summary>
    public int X;

    /// <summary>How many: up to four, two with 128 rows of x and one with more.</summary>
    public int Count;

    /// <summary>0, of which the driver's compiler does not know: it takes other registers for products that begin with a constant one, and there are none.</summary>
    public int Zero;
}

/// <summary>A lane's part of a piece as integers, step by step, and what its two rows are scaled by.</summary>
internal struct HeldNibbles
{
    public UInt4 Step0, Step1, Step2, Step3;

    public Float2 Scales;
}

/// <summary>The products of four pieces, integers, and what the lane's two rows of each are scaled by.</summary>
internal struct NibbleQuad<TTile>
    where TTile : unmanaged, ICodeTile<TTile>
{
    public TTile First, Second, Third, Fourth;

    public Float2 FirstScales, SecondScales, ThirdScales, FourthScales;

    /// <summary>Adds the products of the first pieces, one after the other.</summary>
    public static TTile Add(TTile sums, NibbleQuad<TTile> products, int count)
    {
        sums = TTile.Add<NibbleScales>(sums, products.First, products.FirstScales);
        if (count > 1) sums = TTile.Add<NibbleScales>(sums, products.Second, products.SecondScales);
        if (count > 2) sums = TTile.Add<NibbleScales>(sums, products.Third, products.ThirdScales);
        if (count > 3) sums = TTile.Add<NibbleScales>(sums, products.Fourth, products.FourthScales);
        return sums;
    }
}

/// <summary>How codes of 4 bits become integers of 8.</summary>
internal interface INibbleZeros
{
    /// <summary>What integers are multiples of.</summary>
    static abstract float Unit { get; }

    /// <summary>What <see cref="Low"/> and <see cref="High"/> need of a row's header.</summary>
    static abstract uint Of(uint header);

    /// <summary>The integers of four low nibbles.</summary>
    static abstract uint Low(uint word, uint zero);

    /// <summary>The integers of four high nibbles.</summary>
    static abstract uint High(uint word, uint zero);
}

/// <summary>All zeros are 8: a nibble with its highest bit turned over is a signed one, and sixteen times that in the upper half of a byte.</summary>
internal readonly struct MiddleZeros : INibbleZeros
{
    private const uint Signs = 0x8888_8888, Upper = 0xF0F0_F0F0;

    public static float Unit => 16;

    public static uint Of(uint header) => 0;

    public static uint Low(uint word, uint zero) => Integers.Toggle(word << 4, Signs, Upper);

    public static uint High(uint word, uint zero) => Integers.Toggle(word, Signs, Upper);
}

/// <summary>Rows of pieces have zeros of their own, 0 to 16 (of 4 bits, or one more than such): differences are -16 to 15.</summary>
internal readonly struct OwnZeros : INibbleZeros
{
    private const uint Nibbles = 0x0F0F_0F0F, Signs = 0x8080_8080;

    public static float Unit => 1;

    public static uint Of(uint header) => (header & Int4Header.ZeroBits) * 0x0101_0101;

    /// <remarks>No byte borrows from the next, as each has its highest bit.</remarks>
    public static uint Low(uint word, uint zero) => (((word & Nibbles) | Signs) - zero) ^ Signs;

    public static uint High(uint word, uint zero) => Low(word >> 4, zero);
}

/// <summary>
/// Products of pieces of codes of 4 bits with integers of 8: exact ones of 32 bits, which are scaled and added to float32 sums piece by piece. There are two products at a time, of up to 64 columns each:
/// while those of one are added, those of the other are made.
/// </summary>
internal static class NibbleProducts<TZeros>
    where TZeros : INibbleZeros
{
    /// <summary>Pieces that are best added together.</summary>
    private const int AtOnce = 4;

    /// <summary>Adds the products of neighbouring pieces, up to four.</summary>
    /// <param name="sums">The sums.</param>
    /// <param name="run">The pieces.</param>
    /// <param name="nextX">What the descriptor of the next piece of x has more.</param>
    public static TTile Add<TTile>(TTile sums, NibbleRun run, int nextX)
        where TTile : unmanaged, ICodeTile<TTile>
    {
        if (run.Count != AtOnce)
        {
            for (int piece = 0; piece < run.Count; piece++)
            {
                HeldNibbles held = Load(run, piece);
                TTile own = Start<TTile>(held, run.X + (piece * nextX));
                WarpGroup.Wait(0);
                sums = Scaled(sums, own, held);
            }
            return sums;
        }
        HeldNibbles first = Load(run, 0);
        TTile products = Start<TTile>(first, run.X);
        HeldNibbles second = Load(run, 1);
        TTile others = Start<TTile>(second, run.X + nextX);
        WarpGroup.Wait(1);
        sums = Scaled(sums, products, first);
        first = Load(run, 2);
        products = Start(products, first, run.X + (2 * nextX), run.Zero);
        WarpGroup.Wait(1);
        sums = Scaled(sums, others, second);
        second = Load(run, 3);
        others = Start(others, second, run.X + (3 * nextX), run.Zero);
        WarpGroup.Wait(1);
        sums = Scaled(sums, products, first);
        WarpGroup.Wait(0);
        return Scaled(sums, others, second);
    }

    /// <summary>The products of four neighbouring pieces.</summary>
    /// <param name="run">The pieces.</param>
    /// <param name="nextX">What the descriptor of the next piece of x has more.</param>
    public static NibbleQuad<TTile> MultiplyFour<TTile>(NibbleRun run, int nextX)
        where TTile : unmanaged, ICodeTile<TTile>
    {
        NibbleQuad<TTile> quad = default;
        HeldNibbles first = Load(run, 0);
        TTile products = Start<TTile>(first, run.X);
        HeldNibbles second = Load(run, 1);
        TTile others = Start<TTile>(second, run.X + nextX);
        // What products are made of has registers of its own until they are done.
        WarpGroup.Wait(1);
        HeldNibbles third = Load(run, 2);
        TTile more = Start<TTile>(third, run.X + (2 * nextX));
        WarpGroup.Wait(1);
        HeldNibbles fourth = Load(run, 3);
        TTile last = Start<TTile>(fourth, run.X + (3 * nextX));
        WarpGroup.Wait(0);
        (quad.First, quad.Second, quad.Third, quad.Fourth) = (products, others, more, last);
        (quad.FirstScales, quad.SecondScales, quad.ThirdScales, quad.FourthScales) = (first.Scales, second.Scales, third.Scales, fourth.Scales);
        return quad;
    }

    /// <summary>Adds the products of one or two pieces with 128 rows of x.</summary>
    /// <inheritdoc cref="Add{TTile}"/>
    public static Tile128 AddHalves(Tile128 sums, NibbleRun run, int nextX)
    {
        HeldNibbles held = Load(run, 0);
        Tile64 left = Start<Tile64>(held, run.X), right = Start<Tile64>(held, run.X + NextColumns);
        if (run.Count == 1)
        {
            WarpGroup.Wait(1);
            sums.Left = Scaled(sums.Left, left, held);
            WarpGroup.Wait(0);
            sums.Right = Scaled(sums.Right, right, held);
            return sums;
        }
        HeldNibbles next = Load(run, 1);
        WarpGroup.Wait(1);
        sums.Left = Scaled(sums.Left, left, held);
        left = Start(left, next, run.X + nextX, run.Zero);
        WarpGroup.Wait(1);
        sums.Right = Scaled(sums.Right, right, held);
        right = Start(right, next, run.X + nextX + NextColumns, run.Zero);
        WarpGroup.Wait(1);
        sums.Left = Scaled(sums.Left, left, next);
        WarpGroup.Wait(0);
        sums.Right = Scaled(sums.Right, right, next);
        return sums;
    }

    /// <summary>Adds the products of a piece with 192 rows of x.</summary>
    /// <param name="sums">The sums.</param>
    /// <param name="run">The piece.</param>
    public static Tile192 AddThirds(Tile192 sums, NibbleRun run)
    {
        HeldNibbles held = Load(run, 0);
        Tile64 even = Start<Tile64>(held, run.X), odd = Start<Tile64>(held, run.X + NextColumns);
        WarpGroup.Wait(1);
        sums.Left.Left = Scaled(sums.Left.Left, even, held);
        even = Start(even, held, run.X + (2 * NextColumns), run.Zero);
        WarpGroup.Wait(1);
        sums.Left.Right = Scaled(sums.Left.Right, odd, held);
        WarpGroup.Wait(0);
        sums.Right = Scaled(sums.Right, even, held);
        return sums;
    }

    /// <summary>Adds the products of a piece with 256 rows of x.</summary>
    /// <inheritdoc cref="AddThirds"/>
    public static Tile256 AddQuarters(Tile256 sums, NibbleRun run)
    {
        HeldNibbles held = Load(run, 0);
        Tile64 even = Start<Tile64>(held, run.X), odd = Start<Tile64>(held, run.X + NextColumns);
        WarpGroup.Wait(1);
        sums.Left.Left = Scaled(sums.Left.Left, even, held);
        even = Start(even, held, run.X + (2 * NextColumns), run.Zero);
        WarpGroup.Wait(1);
        sums.Left.Right = Scaled(sums.Left.Right, odd, held);
        odd = Start(odd, held, run.X + (3 * NextColumns), run.Zero);
        WarpGroup.Wait(1);
        sums.Right.Left = Scaled(sums.Right.Left, even, held);
        WarpGroup.Wait(0);
        sums.Right.Right = Scaled(sums.Right.Right, odd, held);
        return sums;
    }

    /// <summary>What the descriptor of the next 64 rows of x has more.</summary>
    private static int NextColumns => MatrixDescriptor.Advance(64 * CoreTiles.RowBytes);

    /// <summary>A warp's lanes load a piece.</summary>
    /// <param name="run">Some pieces.</param>
    /// <param name="index">Which of them.</param>
    private static HeldNibbles Load(NibbleRun run, int index)
    {
        int piece = run.Weight + (index * NibbleTiles.Bytes);
        int lane = piece + (Warp.LaneIdx * NibbleTiles.LaneBytes), row = piece + NibbleTiles.CodeBytes + ((Warp.LaneIdx >> 2) * sizeof(uint));
        UInt4 near = Shared.Load16(lane), far = Shared.Load16(lane + NibbleTiles.PlaneBytes);
        uint upper = (uint)Shared.LoadInt(row), lower = (uint)Shared.LoadInt(row + (CoreTiles.CoreRows * sizeof(uint)));
        uint zero = TZeros.Of(upper), lowerZero = TZeros.Of(lower);
        return new HeldNibbles
        {
            Step0 = Widen(near.A, near.B, zero, lowerZero),
            Step1 = Widen(near.C, near.D, zero, lowerZero),
            Step2 = Widen(far.A, far.B, zero, lowerZero),
            Step3 = Widen(far.C, far.D, zero, lowerZero),
            Scales = new Float2 { A = Scale(upper), B = Scale(lower) },
        };
    }

    private static TTile Scaled<TTile>(TTile sums, TTile products, HeldNibbles weight)
        where TTile : unmanaged, ICodeTile<TTile> => TTile.Add<NibbleScales>(sums, products, weight.Scales);

    private static TTile Start<TTile>(HeldNibbles weight, int x)
        where TTile : unmanaged, ICodeTile<TTile> => Start<TTile>(default, weight, x, zero: 0);

    /// <summary>Starts the products of a piece.</summary>
    /// <param name="products">Products that are no longer needed, whose registers are taken.</param>
    /// <param name="weight">The piece.</param>
    /// <param name="x">The lower half of the descriptor of that of x.</param>
    /// <param name="zero">What they begin with: 0, a constant where they may have any registers, or <see cref="NibbleRun.Zero"/>.</param>
    private static TTile Start<TTile>(TTile products, HeldNibbles weight, int x, int zero)
        where TTile : unmanaged, ICodeTile<TTile>
    {
        int step = MatrixDescriptor.Advance(2 * CoreTiles.CoreBytes);
        WarpGroup.Fence();
        products = TTile.MultiplyIntegerRows(products, weight.Step0, CoreTiles.Descriptor(x), zero);
        products = TTile.MultiplyIntegerRows(products, weight.Step1, CoreTiles.Descriptor(x + step), 1);
        products = TTile.MultiplyIntegerRows(products, weight.Step2, CoreTiles.Descriptor(x + (2 * step)), 1);
        products = TTile.MultiplyIntegerRows(products, weight.Step3, CoreTiles.Descriptor(x + (3 * step)), 1);
        WarpGroup.Commit();
        return products;
    }

    private static UInt4 Widen(uint upper, uint lower, uint zero, uint lowerZero) => new()
    {
        A = TZeros.Low(upper, zero),
        B = TZeros.Low(lower, lowerZero),
        C = TZeros.High(upper, zero),
        D = TZeros.High(lower, lowerZero),
    };

    private static float Scale(uint header) => Interop.IntAsFloat(header & ~Int4Header.ZeroBits) * (1 / TZeros.Unit);
}

/// <summary>Products of integers, each piece of whose rows has a scale.</summary>
internal readonly struct NibbleScales : ICodeScales
{
    public static bool ArePieces => true;

    public static bool AreIntegers => true;
}
