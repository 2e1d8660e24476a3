using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>What <see cref="PackedTile{TFormat}"/> puts halves into: for each step of 16 columns a lane's part of the left operand of <see cref="TensorCore"/>.</summary>
internal interface IFragmentSink<TSelf>
    where TSelf : IFragmentSink<TSelf>
{
    /// <summary>Takes a lane's part.</summary>
    /// <param name="sink">What there is.</param>
    /// <param name="piece">A constant: which piece.</param>
    /// <param name="step">0 to 3, a constant: which step of it.</param>
    /// <param name="fragment">The lane's part.</param>
    static abstract TSelf Put(TSelf sink, int piece, int step, UInt4 fragment);
}

/// <summary>A lane's part of two pieces in registers.</summary>
internal struct HeldFragments : IFragmentSink<HeldFragments>
{
    public HeldPiece First, Second;

    public static HeldFragments Put(HeldFragments sink, int piece, int step, UInt4 fragment)
    {
        if (piece == 0) sink.First = HeldPiece.Put(sink.First, step, fragment);
        else sink.Second = HeldPiece.Put(sink.Second, step, fragment);
        return sink;
    }
}

/// <summary>A lane's part of a piece, step by step.</summary>
internal struct HeldPiece
{
    public UInt4 Step0, Step1, Step2, Step3;

    public static HeldPiece Put(HeldPiece piece, int step, UInt4 fragment)
    {
        if (step == 0) piece.Step0 = fragment;
        else if (step == 1) piece.Step1 = fragment;
        else if (step == 2) piece.Step2 = fragment;
        else piece.Step3 = fragment;
        return piece;
    }
}

/// <summary>Goes to shared memory, where <see cref="CoreTiles"/> has pieces of tiles.</summary>
internal struct StoredFragments : IFragmentSink<StoredFragments>
{
    private int _first, _second;

    /// <summary>Stores two pieces of tiles at two addresses.</summary>
    public static StoredFragments To(int first, int second)
    {
        int matrix = Warp.LaneIdx >> 3, row = ((matrix & 1) * CoreTiles.CoreRowBytes) + ((matrix >> 1) * CoreTiles.CoreBytes) + ((Warp.LaneIdx & 7) * (CoreTiles.CoreBytes / 8));
        return new StoredFragments { _first = first + row, _second = second + row };
    }

    public static StoredFragments Put(StoredFragments sink, int piece, int step, UInt4 fragment)
    {
        TensorCore.StoreMatrices((piece == 0 ? sink._first : sink._second) + (step * 2 * CoreTiles.CoreBytes), fragment);
        return sink;
    }
}
