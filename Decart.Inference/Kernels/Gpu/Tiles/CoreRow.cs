using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>
/// Eight neighbours of a row as float32, what a thread takes at a time: as halves they are a row of a core matrix, 16 bytes. Nothing is fused but in
/// sums of squares.
/// </summary>
internal struct CoreRow
{
    public const int Columns = 8;

    private const int HalfBytes = Columns / 2 * sizeof(float);

    public Float4 Left, Right;

    public static CoreRow Load(long address) => new() { Left = Global.LoadFloat4(address), Right = Global.LoadFloat4(address + HalfBytes) };

    public static void Store(long address, CoreRow row)
    {
        Global.StoreFloat4(address, row.Left);
        Global.StoreFloat4(address + HalfBytes, row.Right);
    }

    public static CoreRow Widen(UInt4 halves) => new()
    {
        Left = new Float4 { A = Halves.Low(halves.A), B = Halves.High(halves.A), C = Halves.Low(halves.B), D = Halves.High(halves.B) },
        Right = new Float4 { A = Halves.Low(halves.C), B = Halves.High(halves.C), C = Halves.Low(halves.D), D = Halves.High(halves.D) },
    };

    /// <summary>As halves, rounded and saturated.</summary>
    public static UInt4 Saturate(CoreRow row) => new()
    {
        A = Halves.SaturatePair(row.Left.A, row.Left.B),
        B = Halves.SaturatePair(row.Left.C, row.Left.D),
        C = Halves.SaturatePair(row.Right.A, row.Right.B),
        D = Halves.SaturatePair(row.Right.C, row.Right.D),
    };

    /// <summary>As floats of 8 bits, rounded and saturated, the first in the lowest byte.</summary>
    public static ulong Codes(CoreRow row) => Codes(row.Left) | ((ulong)Codes(row.Right) << 32);

    public static uint Codes(Float4 x) => E4M3.Round(x.A, x.B) | (E4M3.Round(x.C, x.D) << 16);

    /// <summary>The largest of <see cref="GpuKv.Magnitude"/>.</summary>
    public static int LargestMagnitude(CoreRow row) => Math.Max(LargestMagnitude(row.Left), LargestMagnitude(row.Right));

    public static float Sum(CoreRow row) => Sum(row.Left) + Sum(row.Right);

    /// <summary>The sum of the squares, in ascending order.</summary>
    public static float Squares(CoreRow row) => Squares(row.Right, Squares(row.Left, 0));

    /// <summary>The first elements, and zeros.</summary>
    public static CoreRow First(CoreRow row, int count) => new() { Left = First(row.Left, count), Right = First(row.Right, count - 4) };

    public static CoreRow Add(CoreRow a, CoreRow b) => new() { Left = Add(a.Left, b.Left), Right = Add(a.Right, b.Right) };

    public static CoreRow Add(CoreRow row, float value) => Add(row, Fill(value));

    public static CoreRow Multiply(CoreRow a, CoreRow b) => new() { Left = Multiply(a.Left, b.Left), Right = Multiply(a.Right, b.Right) };

    public static CoreRow Multiply(CoreRow row, float factor) => Multiply(row, Fill(factor));

    /// <summary>The neighbours 2i and 2i + 1 in each other's place.</summary>
    public static CoreRow SwapNeighbours(CoreRow row) => new() { Left = SwapNeighbours(row.Left), Right = SwapNeighbours(row.Right) };

    /// <summary>The elements without the first, and another one behind them: a loop fills a row so, as registers have no indices.</summary>
    public static CoreRow Append(CoreRow row, float last) => new()
    {
        Left = new Float4 { A = row.Left.B, B = row.Left.C, C = row.Left.D, D = row.Right.A },
        Right = new Float4 { A = row.Right.B, B = row.Right.C, C = row.Right.D, D = last },
    };

    private static CoreRow Fill(float value)
    {
        Float4 four = new() { A = value, B = value, C = value, D = value };
        return new CoreRow { Left = four, Right = four };
    }

    private static float Sum(Float4 x) => x.A + x.B + (x.C + x.D);

    private static float Squares(Float4 x, float sum) => Float32.Fma(x.D, x.D, Float32.Fma(x.C, x.C, Float32.Fma(x.B, x.B, Float32.Fma(x.A, x.A, sum))));

    private static Float4 First(Float4 x, int count) => new()
    {
        A = count > 0 ? x.A : 0,
        B = count > 1 ? x.B : 0,
        C = count > 2 ? x.C : 0,
        D = count > 3 ? x.D : 0,
    };

    private static Float4 Add(Float4 a, Float4 b) => new() { A = a.A + b.A, B = a.B + b.B, C = a.C + b.C, D = a.D + b.D };

    private static Float4 Multiply(Float4 a, Float4 b) => new() { A = a.A * b.A, B = a.B * b.B, C = a.C * b.C, D = a.D * b.D };

    private static int LargestMagnitude(Float4 x) =>
        Math.Max(Math.Max(GpuKv.Magnitude(x.A), GpuKv.Magnitude(x.B)), Math.Max(GpuKv.Magnitude(x.C), GpuKv.Magnitude(x.D)));

    private static Float4 SwapNeighbours(Float4 x) => new() { A = x.B, B = x.A, C = x.D, D = x.C };
}
