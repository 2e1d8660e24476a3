using System.Collections.Immutable;

namespace Decart.Inference.Native.Cuda;

/// <summary>A tensor in a GPU's memory and the box that copies of it take, as tensor copies of sm_90 want them; innermost dimension first.</summary>
internal sealed unsafe record CudaTensorMap
{
    /// <summary>Length of an encoded map, and its alignment.</summary>
    public const int Bytes = 128, Alignment = 64;

    /// <summary>Where the first element lies; a multiple of 16.</summary>
    public required nint Address { get; init; }

    public required CudaTensorElement Element { get; init; }

    /// <summary>Elements of one to five dimensions.</summary>
    public required ImmutableArray<long> Sizes { get; init; }

    /// <summary>Bytes from one element to the next along each dimension but the first, whose elements are dense; multiples of 16.</summary>
    public required ImmutableArray<long> Strides { get; init; }

    /// <summary>Elements of a box in each dimension, at most 256; the first is a multiple of 16 bytes, and no longer than a swizzled row.</summary>
    public required ImmutableArray<int> Box { get; init; }

    /// <summary>How the box lies in shared memory.</summary>
    public CudaTensorSwizzle Swizzle { get; init; }

    /// <summary>How much the second-level cache fetches at a time.</summary>
    public CudaTensorPromotion Promotion { get; init; } = CudaTensorPromotion.Bytes256;

    /// <summary>Writes the map in the form that the GPU reads.</summary>
    /// <param name="destination">At least <see cref="Bytes"/>; on the GPU they lie at a multiple of <see cref="Alignment"/>.</param>
    /// <exception cref="ArgumentException">The numbers of dimensions differ.</exception>
    /// <exception cref="CudaException">The driver refuses the tensor or the box.</exception>
    public void Encode(Span<byte> destination)
    {
        int rank = Sizes.Length;
        if (Strides.Length != rank - 1 || Box.Length != rank)
            throw new ArgumentException($"{rank} sizes need {rank - 1} strides and {rank} lengths of a box, found {Strides.Length} and {Box.Length}.");
        byte* space = stackalloc byte[Bytes + Alignment];
        byte* map = (byte*)(((nint)space + Alignment - 1) & -Alignment);
        uint* steps = stackalloc uint[rank];
        new Span<uint>(steps, rank).Fill(1);
        CudaResult result;
        fixed (long* sizes = Sizes.AsSpan(), strides = Strides.AsSpan())
        fixed (int* box = Box.AsSpan())
            result = CudaDriver.EncodeTensorMap(map, Element, (uint)rank, Address, sizes, strides, box, steps, 0, Swizzle, Promotion, 0);
        CudaDriver.Check(result, $"a tensor map of {this}");
        new ReadOnlySpan<byte>(map, Bytes).CopyTo(destination);
    }

    public override string ToString() =>
        $"{string.Join(" x ", Sizes)} {Element} at 0x{Address:x}, strides {string.Join(", ", Strides)}, box {string.Join(" x ", Box)}, swizzle {Swizzle}";
}

/// <summary><c>CUtensorMapDataType</c>.</summary>
internal enum CudaTensorElement
{
    UInt8 = 0,
    Int32 = 3,
    Float16 = 6,
    Float32 = 7,
    BFloat16 = 9,
}

/// <summary>
/// <c>CUtensorMapSwizzle</c>: pieces of 16 bytes change places within 32, 64 or 128 bytes, so that the same columns of neighbouring rows lie in different
/// banks. Matrix operations read what was written so.
/// </summary>
internal enum CudaTensorSwizzle
{
    None = 0,
    Bytes32 = 1,
    Bytes64 = 2,
    Bytes128 = 3,
}

/// <summary><c>CUtensorMapL2promotion</c>.</summary>
internal enum CudaTensorPromotion
{
    None = 0,
    Bytes64 = 1,
    Bytes128 = 2,
    Bytes256 = 3,
}

/// <summary>What the driver's numbers mean.</summary>
internal static class CudaTensors
{
    public static int Bytes(this CudaTensorElement element) => element switch
    {
        CudaTensorElement.UInt8 => 1,
        CudaTensorElement.Float16 or CudaTensorElement.BFloat16 => 2,
        _ => 4,
    };

    /// <summary>Where a byte of shared memory comes to lie: bits 4, 5 and 6 of its address take bits 7, 8 and 9, as many as the swizzle has.</summary>
    public static int Apply(this CudaTensorSwizzle swizzle, int address) => address ^ ((address >> 3) & (((1 << (int)swizzle) - 1) << 4));
}
