using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// An encoding that says only how a block's weights appear in registers; decoding and multiplying both follow from that, so the
/// weights of the two are the same bit for bit.
/// </summary>
/// <remarks>
/// Every quantised weight is <c>fma(q, scale, offset)</c> for a small integer q. A scale (f16, in the K formats times a 6- or 8-bit
/// integer) has so few significant bits that <c>q * scale</c> is exact in float32, hence the fused operation rounds precisely
/// as ggml's <c>q * scale + offset</c> does (and as a product and a sum do where a processor has no such operation); where the offset is
/// a multiple of the scale nothing is rounded at all.
/// </remarks>
internal unsafe interface IBlockFormat<TSelf> : IWeightFormat
    where TSelf : IBlockFormat<TSelf>
{
    /// <summary>Applies <typeparamref name="TOperation"/> to the block's weights, 16 at a time in ascending order.</summary>
    static abstract Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation;

    /// <summary>Applies <typeparamref name="TOperation"/> to the block's weights, 8 or 4 at a time in ascending order.</summary>
    static abstract TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IWeightFormat.Decode(byte* block, float* destination)
    {
        if (Vector512.IsHardwareAccelerated) TSelf.ForEach<Store>(Vector512<float>.Zero, block, destination);
        else if (Vector256.IsHardwareAccelerated) TSelf.ForEach<Store, Float32x8, Int32x8>(default, block, destination);
        else TSelf.ForEach<Store, Float32x4, Int32x4>(default, block, destination);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> IWeightFormat.MultiplyAdd(Vector512<float> accumulator, byte* block, float* x) =>
        TSelf.ForEach<MultiplyAdd>(accumulator, block, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector256<float> IWeightFormat.MultiplyAdd(Vector256<float> accumulator, byte* block, float* x) =>
        TSelf.ForEach<MultiplyAdd, Float32x8, Int32x8>(new(accumulator), block, x).Vector;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<float> IWeightFormat.MultiplyAdd(Vector128<float> accumulator, byte* block, float* x) =>
        TSelf.ForEach<MultiplyAdd, Float32x4, Int32x4>(new(accumulator), block, x).Vector;
}

/// <summary>
/// A format whose blocks are so long that each is a call: kernels would grow too large with several of them inlined. Accumulators travel in registers,
/// which only vectors do, not structs of vectors.
/// </summary>
internal unsafe interface ILongBlockFormat<TSelf> : IBlockFormat<TSelf>
    where TSelf : ILongBlockFormat<TSelf>
{
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static Vector256<float> IWeightFormat.MultiplyAdd(Vector256<float> accumulator, byte* block, float* x) =>
        TSelf.ForEach<MultiplyAdd, Float32x8, Int32x8>(new(accumulator), block, x).Vector;

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static Vector128<float> IWeightFormat.MultiplyAdd(Vector128<float> accumulator, byte* block, float* x) =>
        TSelf.ForEach<MultiplyAdd, Float32x4, Int32x4>(new(accumulator), block, x).Vector;
}

/// <summary>What is done with one vector of weights and the vector of floats at the same elements.</summary>
internal unsafe interface ILaneOperation
{
    static abstract Vector512<float> Apply(Vector512<float> accumulator, Vector512<float> weights, float* elements);

    static abstract TFloats Apply<TFloats>(TFloats accumulator, TFloats weights, float* elements)
        where TFloats : unmanaged, ILanes<TFloats>;
}

/// <summary>Reads the elements and adds their products with the weights to the accumulator.</summary>
internal readonly unsafe struct MultiplyAdd : ILaneOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Apply(Vector512<float> accumulator, Vector512<float> weights, float* elements) =>
        Vector512.FusedMultiplyAdd(weights, Vector512.Load(elements), accumulator);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats Apply<TFloats>(TFloats accumulator, TFloats weights, float* elements)
        where TFloats : unmanaged, ILanes<TFloats> => TFloats.MultiplyAdd(weights, elements, accumulator);
}

/// <summary>Writes the weights to the elements; the accumulator passes through.</summary>
internal readonly unsafe struct Store : ILaneOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Apply(Vector512<float> accumulator, Vector512<float> weights, float* elements)
    {
        weights.Store(elements);
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats Apply<TFloats>(TFloats accumulator, TFloats weights, float* elements)
        where TFloats : unmanaged, ILanes<TFloats>
    {
        weights.Store(elements);
        return accumulator;
    }
}
