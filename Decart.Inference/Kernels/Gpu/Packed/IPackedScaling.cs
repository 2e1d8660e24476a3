namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>How codes are scaled: a type, so that a kernel has the code of one way alone.</summary>
internal interface IPackedScaling
{
    /// <summary>Whether all scales of the weight are halves; see <see cref="IPackedFormat.HasHalfScales"/>.</summary>
    static abstract bool TakesHalves { get; }

    /// <summary>Makes halves of two pieces in shared memory, all lanes of a warp together.</summary>
    /// <param name="first">Address of a piece.</param>
    /// <param name="second">Address of another.</param>
    /// <param name="sinks">What they are put into.</param>
    static abstract PiecePair<TSink> Unpack<TFormat, TSink>(int first, int second, PiecePair<TSink> sinks)
        where TFormat : IPackedFormat
        where TSink : IFragmentSink<TSink>;
}

/// <summary>By half numbers.</summary>
internal readonly struct HalfScaling : IPackedScaling
{
    public static bool TakesHalves => true;

    public static PiecePair<TSink> Unpack<TFormat, TSink>(int first, int second, PiecePair<TSink> sinks)
        where TFormat : IPackedFormat
        where TSink : IFragmentSink<TSink> => PackedTile<TFormat>.UnpackByHalves(first, second, sinks);
}

/// <summary>In float32.</summary>
internal readonly struct FloatScaling : IPackedScaling
{
    public static bool TakesHalves => false;

    public static PiecePair<TSink> Unpack<TFormat, TSink>(int first, int second, PiecePair<TSink> sinks)
        where TFormat : IPackedFormat
        where TSink : IFragmentSink<TSink> => PackedTile<TFormat>.Unpack(first, second, sinks);
}
