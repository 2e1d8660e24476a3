using Decart.Inference.Native.Cuda;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// How a matrix of 16-bit elements lies in shared memory, for <see cref="WarpGroup"/> (PTX ISA, "wgmma", "Matrix-descriptor"): rows along m or n, 16
/// columns of k. The unit is a core matrix of 8 rows of 16 bytes.
/// <code>
/// bits  0-13  address / 16
/// bits 16-29  without swizzle: bytes / 16 from one core matrix to the next along k; else ignored
/// bits 32-45  bytes / 16 from 8 rows to the next 8
/// bits 62-63  0: core matrices of 128 dense bytes; 1, 2, 3: rows of 128, 64, 32 bytes, 8 of them dense, swizzled
/// </code>
/// </summary>
internal static class MatrixDescriptor
{
    /// <summary>What the descriptor of the next 16 columns has more, within a swizzled row.</summary>
    public const long Step = 32 >> UnitShift;

    private const int UnitShift = 4, LeadingShift = 16, StrideShift = 32, SwizzleShift = 62;
    private const int AddressMask = 0x3FFFF, FieldMask = 0x3FFF;

    /// <summary>A matrix as <see cref="TensorCopy"/> leaves a box of rows that are as long as the swizzle, or 16 bytes.</summary>
    /// <param name="address">Of the first column of the first row; the first row of a swizzled matrix lies at a multiple of 8 rows.</param>
    /// <param name="swizzle">A constant.</param>
    /// <param name="leadingBytes">Without swizzle: from one core matrix to the next along k; with one not used.</param>
    public static long Create(int address, CudaTensorSwizzle swizzle, int leadingBytes = 0)
    {
        int rowBytes = 16 << (int)swizzle, kind = (4 - (int)swizzle) & 3, leading = swizzle == CudaTensorSwizzle.None ? leadingBytes : 16;
        return (long)((address & AddressMask) >> UnitShift) | ((long)(leading >> UnitShift) << LeadingShift)
            | ((long)((8 * rowBytes) >> UnitShift) << StrideShift) | ((long)kind << SwizzleShift);
    }

    /// <summary>
    /// The lower half of the descriptor of a matrix of core matrices without swizzle. Its steps, by <see cref="Advance"/>, are additions of 32 bits, which the
    /// scalar unit does much faster than those of 64.
    /// </summary>
    /// <param name="address">Of the first column of the first row.</param>
    /// <param name="leadingBytes">From one core matrix to the next along k.</param>
    public static int CreatePlain(int address, int leadingBytes) => ((address & AddressMask) >> UnitShift) | ((leadingBytes >> UnitShift) << LeadingShift);

    /// <summary>What the descriptor of a matrix has more that lies further along in the same memory.</summary>
    public static int Advance(int bytes) => bytes >> UnitShift;

    /// <summary>The whole descriptor.</summary>
    /// <param name="lower">The lower half.</param>
    /// <param name="strideBytes">From 8 rows to the next 8, a constant.</param>
    public static long Plain(int lower, int strideBytes) => (uint)lower | ((long)(strideBytes >> UnitShift) << StrideShift);

    /// <summary>
    /// The lower half of the descriptor of rows of 128 bytes as <see cref="TensorCopy"/> leaves a box that is swizzled by as many; the next 16 columns are
    /// <see cref="Step"/> further.
    /// </summary>
    /// <param name="address">Of the first column of the first row, a multiple of 1,024.</param>
    public static int CreateRows(int address) => ((address & AddressMask) >> UnitShift) | (1 << LeadingShift);

    /// <summary>The whole descriptor of a matrix that is swizzled by 128 bytes, 8 rows of which are dense.</summary>
    /// <param name="lower">The lower half.</param>
    public static long Swizzled(int lower) => (uint)lower | ((long)(1024 >> UnitShift) << StrideShift) | (1L << SwizzleShift);

    /// <summary>
    /// The lower half of the descriptor of rows of k whose 64 columns (n) are dense and swizzled by 128 bytes, 8 such rows dense; the next 64 columns lie
    /// <paramref name="leadingBytes"/> further, the next 8 rows behind.
    /// </summary>
    /// <param name="address">A multiple of 1,024.</param>
    /// <param name="leadingBytes">A multiple of 1,024.</param>
    public static int CreateTransposed(int address, int leadingBytes) => CreatePlain(address, leadingBytes);

    /// <summary>For emulations: where the element of a row of k and a column lies in a transposed matrix.</summary>
    internal static int AddressOfTransposed(long descriptor, int k, int column)
    {
        int start = (int)(descriptor & FieldMask) << UnitShift, leading = (int)((descriptor >> LeadingShift) & FieldMask) << UnitShift;
        int stride = (int)((descriptor >> StrideShift) & FieldMask) << UnitShift, group = start + (column / 64 * leading) + (k / 8 * stride);
        return CudaTensorSwizzle.Bytes128.Apply(group + (k % 8 * 128) + (column % 64 * sizeof(ushort)));
    }

    /// <summary>For emulations: where the element of a row and column lies.</summary>
    internal static int AddressOf(long descriptor, int row, int column)
    {
        int start = (int)(descriptor & FieldMask) << UnitShift, leading = (int)((descriptor >> LeadingShift) & FieldMask) << UnitShift;
        int stride = (int)((descriptor >> StrideShift) & FieldMask) << UnitShift, kind = (int)(descriptor >>> SwizzleShift);
        CudaTensorSwizzle swizzle = (CudaTensorSwizzle)((4 - kind) & 3);
        int group = start + (row / 8 * stride);
        return kind == 0
            ? group + (column / 8 * leading) + (row % 8 * 16) + (column % 8 * sizeof(ushort))
            : swizzle.Apply(group + (row % 8 * (16 << (int)swizzle)) + (column * sizeof(ushort)));
    }
}
