using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>What <see cref="PackedTile{TFormat}"/> puts the halves of a piece into: for each step of 16 columns a lane's part of the left operand of <see cref="TensorCore"/>.</summary>
internal interface IFragmentSink<TSelf>
    where TSelf : IFragmentSink<TSelf>
{
    /// <summary>Takes a lane's part.</summary>
    /// <param name="sink">What there is.</param>
    /// <param name="step">0 to 3, a constant: which step.</param>
    /// <param name="fragment">The lane's part.</param>
    static abstract TSelf Put(TSelf sink, int step, UInt4 fragment);
}

/// <summary>What the halves of two pieces are put into.</summary>
internal struct PiecePair<TSink>
{
    public TSink First, Second;
}

/// <summary>A lane's part of a piece in registers, step by step.</summary>
internal struct HeldPiece : IFragmentSink<HeldPiece>
{
    public UInt4 Step0, Step1, Step2, Step3;

    public static HeldPiece Put(HeldPiece sink, int step, UInt4 fragment)
    {
        if (step == 0) sink.Step0 = fragment;
        else if (step == 1) sink.Step1 = fragment;
        else if (step == 2) sink.Step2 = fragment;
        else sink.Step3 = fragment;
        return sink;
    }
}

/// <summary>Products of <see cref="HeldPiece"/>.</summary>
internal static class HeldProducts<TSums>
    where TSums : unmanaged, IHeldSums<TSums>
{
    /// <summary>What the descriptor of the next piece of x has more.</summary>
    public static int NextX => MatrixDescriptor.Advance(TSums.Columns * CoreTiles.RowBytes);

    /// <summary>Starts the products of a piece.</summary>
    /// <param name="sums">What they are added to.</param>
    /// <param name="weight">The piece.</param>
    /// <param name="x">The lower half of the descriptor of the piece of x.</param>
    public static TSums Add(TSums sums, HeldPiece weight, int x)
    {
        int step = MatrixDescriptor.Advance(2 * CoreTiles.CoreBytes);
        sums = TSums.MultiplyRows(sums, weight.Step0, x);
        sums = TSums.MultiplyRows(sums, weight.Step1, x + step);
        sums = TSums.MultiplyRows(sums, weight.Step2, x + (2 * step));
        return TSums.MultiplyRows(sums, weight.Step3, x + (3 * step));
    }

    /// <summary>Starts the products of two pieces.</summary>
    /// <param name="sums">What they are added to.</param>
    /// <param name="weight">The pieces.</param>
    /// <param name="x">The piece of x that the first is multiplied with; the next one follows.</param>
    public static TSums Add(TSums sums, PiecePair<HeldPiece> weight, int x) => Add(Add(sums, weight.First, x), weight.Second, x + NextX);
}
