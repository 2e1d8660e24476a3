using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>Accumulators of products of codes of 8 bits.</summary>
internal interface ICodeTile<TSelf>
    where TSelf : unmanaged, ICodeTile<TSelf>
{
    /// <summary>See <see cref="WarpGroup.MultiplyCodes8"/>.</summary>
    static abstract TSelf MultiplyCodes(TSelf products, long a, long b, int accumulate);

    /// <summary>See <see cref="WarpGroup.MultiplyIntegerRows8"/>.</summary>
    static abstract TSelf MultiplyIntegerRows(TSelf products, UInt4 a, long b, int accumulate);

    /// <summary>Adds products, which are floats or integers, to sums of floats.</summary>
    /// <param name="sums">The sums.</param>
    /// <param name="products">The products.</param>
    /// <param name="weight">What those of the lane's two rows of a are multiplied by, where pieces have scales.</param>
    static abstract TSelf Add<TScales>(TSelf sums, TSelf products, Float2 weight)
        where TScales : ICodeScales;

    /// <summary>Multiplies sums, which are floats or integers, by the scales of rows.</summary>
    /// <param name="sums">The sums.</param>
    /// <param name="weight">Those of the lane's two rows of a.</param>
    /// <param name="x">Address of those of the rows of b, float32.</param>
    static abstract TSelf Scale<TScales>(TSelf sums, Float2 weight, long x)
        where TScales : ICodeScales;
}

internal partial struct Tile8 : ICodeTile<Tile8>
{
    public static Tile8 MultiplyCodes(Tile8 products, long a, long b, int accumulate) => WarpGroup.MultiplyCodes8(products, a, b, accumulate);

    public static Tile8 MultiplyIntegerRows(Tile8 products, UInt4 a, long b, int accumulate) => WarpGroup.MultiplyIntegerRows8(products, a, b, accumulate);

    public static Tile8 Add<TScales>(Tile8 sums, Tile8 products, Float2 weight)
        where TScales : ICodeScales
    {
        sums.T0 = CodeFragment.Add<TScales>(sums.T0, products.T0, weight);
        return sums;
    }

    public static Tile8 Scale<TScales>(Tile8 sums, Float2 weight, long x)
        where TScales : ICodeScales
    {
        sums.T0 = CodeFragment.Scale<TScales>(sums.T0, weight, x);
        return sums;
    }
}

internal partial struct Tile16 : ICodeTile<Tile16>
{
    public static Tile16 MultiplyCodes(Tile16 products, long a, long b, int accumulate) => WarpGroup.MultiplyCodes16(products, a, b, accumulate);

    public static Tile16 MultiplyIntegerRows(Tile16 products, UInt4 a, long b, int accumulate) => WarpGroup.MultiplyIntegerRows16(products, a, b, accumulate);

    public static Tile16 Add<TScales>(Tile16 sums, Tile16 products, Float2 weight)
        where TScales : ICodeScales
    {
        sums.T0 = CodeFragment.Add<TScales>(sums.T0, products.T0, weight);
        sums.T1 = CodeFragment.Add<TScales>(sums.T1, products.T1, weight);
        return sums;
    }

    public static Tile16 Scale<TScales>(Tile16 sums, Float2 weight, long x)
        where TScales : ICodeScales
    {
        sums.T0 = CodeFragment.Scale<TScales>(sums.T0, weight, x);
        sums.T1 = CodeFragment.Scale<TScales>(sums.T1, weight, x + CodeFragment.ScaleBytes);
        return sums;
    }
}

internal partial struct Tile32 : ICodeTile<Tile32>
{
    public static Tile32 MultiplyCodes(Tile32 products, long a, long b, int accumulate) => WarpGroup.MultiplyCodes32(products, a, b, accumulate);

    public static Tile32 MultiplyIntegerRows(Tile32 products, UInt4 a, long b, int accumulate) => WarpGroup.MultiplyIntegerRows32(products, a, b, accumulate);

    public static Tile32 Add<TScales>(Tile32 sums, Tile32 products, Float2 weight)
        where TScales : ICodeScales
    {
        sums.T0 = CodeFragment.Add<TScales>(sums.T0, products.T0, weight);
        sums.T1 = CodeFragment.Add<TScales>(sums.T1, products.T1, weight);
        sums.T2 = CodeFragment.Add<TScales>(sums.T2, products.T2, weight);
        sums.T3 = CodeFragment.Add<TScales>(sums.T3, products.T3, weight);
        return sums;
    }

    public static Tile32 Scale<TScales>(Tile32 sums, Float2 weight, long x)
        where TScales : ICodeScales
    {
        sums.T0 = CodeFragment.Scale<TScales>(sums.T0, weight, x);
        sums.T1 = CodeFragment.Scale<TScales>(sums.T1, weight, x + CodeFragment.ScaleBytes);
        sums.T2 = CodeFragment.Scale<TScales>(sums.T2, weight, x + (2 * CodeFragment.ScaleBytes));
        sums.T3 = CodeFragment.Scale<TScales>(sums.T3, weight, x + (3 * CodeFragment.ScaleBytes));
        return sums;
    }
}

internal partial struct Tile64 : ICodeTile<Tile64>
{
    public static Tile64 MultiplyCodes(Tile64 products, long a, long b, int accumulate) => WarpGroup.MultiplyCodes64(products, a, b, accumulate);

    public static Tile64 MultiplyIntegerRows(Tile64 products, UInt4 a, long b, int accumulate) => WarpGroup.MultiplyIntegerRows64(products, a, b, accumulate);

    public static Tile64 Add<TScales>(Tile64 sums, Tile64 products, Float2 weight)
        where TScales : ICodeScales
    {
        sums.T0 = CodeFragment.Add<TScales>(sums.T0, products.T0, weight);
        sums.T1 = CodeFragment.Add<TScales>(sums.T1, products.T1, weight);
        sums.T2 = CodeFragment.Add<TScales>(sums.T2, products.T2, weight);
        sums.T3 = CodeFragment.Add<TScales>(sums.T3, products.T3, weight);
        sums.T4 = CodeFragment.Add<TScales>(sums.T4, products.T4, weight);
        sums.T5 = CodeFragment.Add<TScales>(sums.T5, products.T5, weight);
        sums.T6 = CodeFragment.Add<TScales>(sums.T6, products.T6, weight);
        sums.T7 = CodeFragment.Add<TScales>(sums.T7, products.T7, weight);
        return sums;
    }

    public static Tile64 Scale<TScales>(Tile64 sums, Float2 weight, long x)
        where TScales : ICodeScales
    {
        sums.T0 = CodeFragment.Scale<TScales>(sums.T0, weight, x);
        sums.T1 = CodeFragment.Scale<TScales>(sums.T1, weight, x + CodeFragment.ScaleBytes);
        sums.T2 = CodeFragment.Scale<TScales>(sums.T2, weight, x + (2 * CodeFragment.ScaleBytes));
        sums.T3 = CodeFragment.Scale<TScales>(sums.T3, weight, x + (3 * CodeFragment.ScaleBytes));
        sums.T4 = CodeFragment.Scale<TScales>(sums.T4, weight, x + (4 * CodeFragment.ScaleBytes));
        sums.T5 = CodeFragment.Scale<TScales>(sums.T5, weight, x + (5 * CodeFragment.ScaleBytes));
        sums.T6 = CodeFragment.Scale<TScales>(sums.T6, weight, x + (6 * CodeFragment.ScaleBytes));
        sums.T7 = CodeFragment.Scale<TScales>(sums.T7, weight, x + (7 * CodeFragment.ScaleBytes));
        return sums;
    }
}

internal partial struct Tile128 : ICodeTile<Tile128>
{
    public static Tile128 MultiplyCodes(Tile128 products, long a, long b, int accumulate) => WarpGroup.MultiplyCodes128(products, a, b, accumulate);

    public static Tile128 MultiplyIntegerRows(Tile128 products, UInt4 a, long b, int accumulate) => WarpGroup.MultiplyIntegerRows128(products, a, b, accumulate);

    public static Tile128 Add<TScales>(Tile128 sums, Tile128 products, Float2 weight)
        where TScales : ICodeScales
    {
        sums.Left = Tile64.Add<TScales>(sums.Left, products.Left, weight);
        sums.Right = Tile64.Add<TScales>(sums.Right, products.Right, weight);
        return sums;
    }

    public static Tile128 Scale<TScales>(Tile128 sums, Float2 weight, long x)
        where TScales : ICodeScales
    {
        sums.Left = Tile64.Scale<TScales>(sums.Left, weight, x);
        sums.Right = Tile64.Scale<TScales>(sums.Right, weight, x + (8 * CodeFragment.ScaleBytes));
        return sums;
    }
}

/// <summary>A lane's sums of two rows of a with two of 8 rows of b.</summary>
internal static class CodeFragment
{
    /// <summary>Bytes of the scales of 8 rows of b.</summary>
    public const int ScaleBytes = 8 * sizeof(float);

    public static Float4 Add<TScales>(Float4 sums, Float4 products, Float2 weight)
        where TScales : ICodeScales
    {
        if (TScales.AreIntegers) products = Widen(products);
        if (!TScales.ArePieces) return new Float4 { A = sums.A + products.A, B = sums.B + products.B, C = sums.C + products.C, D = sums.D + products.D };
        return new Float4
        {
            A = Float32.Fma(products.A, weight.A, sums.A),
            B = Float32.Fma(products.B, weight.A, sums.B),
            C = Float32.Fma(products.C, weight.B, sums.C),
            D = Float32.Fma(products.D, weight.B, sums.D),
        };
    }

    public static Float4 Scale<TScales>(Float4 sums, Float2 weight, long x)
        where TScales : ICodeScales
    {
        if (TScales.AreIntegers) sums = Widen(sums);
        long address = x + (2 * sizeof(float) * (Warp.LaneIdx & 3));
        float first = Global.LoadFloat(address), second = Global.LoadFloat(address + sizeof(float));
        return new Float4
        {
            A = sums.A * weight.A * first,
            B = sums.B * weight.A * second,
            C = sums.C * weight.B * first,
            D = sums.D * weight.B * second,
        };
    }

    /// <summary>The floats next to integers, whose bits are given.</summary>
    private static Float4 Widen(Float4 bits) => new() { A = Widen(bits.A), B = Widen(bits.B), C = Widen(bits.C), D = Widen(bits.D) };

    private static float Widen(float bits) => (int)Interop.FloatAsInt(bits);
}
