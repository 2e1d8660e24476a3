using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// How one weight encoding becomes float32 in registers. Implemented by empty structs, so that kernels generic over a format
/// are compiled once for each with everything inlined.
/// </summary>
/// <remarks>
/// Lane rule, which makes results independent of the batch: element i of a row is always added to lane i % width of the one
/// accumulator of its output, in ascending order, as <c>fma(weight, x, accumulator)</c> (rounded twice by x64 processors without
/// that instruction) with the weight rounded to float32 the same way in every method here.
/// </remarks>
internal unsafe interface IWeightFormat
{
    static abstract TensorType Type { get; }

    /// <summary>Elements handled by one call: the encoding's block, or 16 for plain types.</summary>
    static abstract int BlockLength { get; }

    static abstract int BlockBytes { get; }

    /// <summary>Widens one block to float32 (vectorised where the machine allows).</summary>
    static abstract void Decode(byte* block, float* destination);

    /// <summary>Adds one block times <paramref name="x"/> to the lanes of <paramref name="accumulator"/>.</summary>
    static abstract Vector512<float> MultiplyAdd(Vector512<float> accumulator, byte* block, float* x);

    /// <inheritdoc cref="MultiplyAdd(Vector512{float}, byte*, float*)"/>
    static abstract Vector256<float> MultiplyAdd(Vector256<float> accumulator, byte* block, float* x);

    /// <inheritdoc cref="MultiplyAdd(Vector512{float}, byte*, float*)"/>
    static abstract Vector128<float> MultiplyAdd(Vector128<float> accumulator, byte* block, float* x);
}
