using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

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

/// <summary>Goes to shared memory, where <see cref="CoreTiles"/> has pieces of tiles.</summary>
internal struct StoredPiece : IFragmentSink<StoredPiece>
{
    private int _address;

    /// <summary>Stores a piece of a tile at an address.</summary>
    public static StoredPiece To(int address)
    {
        int matrix = Warp.LaneIdx >> 3, row = ((matrix & 1) * CoreTiles.CoreRowBytes) + ((matrix >> 1) * CoreTiles.CoreBytes) + ((Warp.LaneIdx & 7) * (CoreTiles.CoreBytes / 8));
        return new StoredPiece { _address = address + row };
    }

    public static StoredPiece Put(StoredPiece sink, int step, UInt4 fragment)
    {
        TensorCore.StoreMatrices(sink._address + (step * 2 * CoreTiles.CoreBytes), fragment);
        return sink;
    }
}
