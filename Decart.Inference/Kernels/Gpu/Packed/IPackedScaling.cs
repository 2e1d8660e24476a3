namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>
/// How the codes of a weight are scaled, the most general way first and the fastest last; each allows no more than those before it. A weight is scaled in the last way of its format that all of its blocks allow, and
/// experts in the first that one of them is.
/// </summary>
internal enum PackedScaling
{
    /// <summary>In float32.</summary>
    Floats,

    /// <summary>By half numbers, which all scales are.</summary>
    Halves,

    /// <summary>By fused operations on halves: scales are halves, none of them large, and what is taken away is <see cref="PackedNumbers{TFormat}.Middle"/> from each code.</summary>
    FusedHalves,
}

/// <summary>How codes are scaled: a type, so that a kernel has the code of one way alone.</summary>
internal interface IPackedScaling
{
    static abstract PackedScaling Kind { get; }

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
    public static PackedScaling Kind => PackedScaling.Halves;

    public static PiecePair<TSink> Unpack<TFormat, TSink>(int first, int second, PiecePair<TSink> sinks)
        where TFormat : IPackedFormat
        where TSink : IFragmentSink<TSink> => PackedTile<TFormat>.UnpackByHalves(first, second, sinks);
}

/// <summary>By fused operations on halves.</summary>
internal readonly struct FusedScaling : IPackedScaling
{
    public static PackedScaling Kind => PackedScaling.FusedHalves;

    public static PiecePair<TSink> Unpack<TFormat, TSink>(int first, int second, PiecePair<TSink> sinks)
        where TFormat : IPackedFormat
        where TSink : IFragmentSink<TSink> => PackedTile<TFormat>.UnpackFused(first, second, sinks);
}

/// <summary>In float32.</summary>
internal readonly struct FloatScaling : IPackedScaling
{
    public static PackedScaling Kind => PackedScaling.Floats;

    public static PiecePair<TSink> Unpack<TFormat, TSink>(int first, int second, PiecePair<TSink> sinks)
        where TFormat : IPackedFormat
        where TSink : IFragmentSink<TSink> => PackedTile<TFormat>.Unpack(first, second, sinks);
}
