using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>
/// Matrix operations of a warp of 32 lanes, all of which take part (PTX ISA, "Warp-level matrix instructions"; sm_80). With g = lane / 4 and t = lane
/// % 4, a lane holds of the 16 x 16 matrix A (rows of halves) the pairs A: (g, 2t), B: (g + 8, 2t), C: (g, 2t + 8), D: (g + 8, 2t + 8), where (row,
/// column) is the first of two neighbours in a row; of the 16 x 8 matrix B the pairs b0: (2t, g), b1: (2t + 8, g), neighbours in a column; of the 16
/// x 8 accumulators A: (g, 2t), B: (g, 2t + 1), C: (g + 8, 2t), D: (g + 8, 2t + 1).
/// </summary>
/// <remarks>The emulations exchange registers through memory of the first lane; a lane must always be the same thread.</remarks>
internal static unsafe class TensorCore
{
    private const int Lanes = 32, Words = 6;

    /// <summary>
    /// Where the lanes of a warp exchange words: two places that take turns, so that a word is not overwritten while others may still read it.
    /// </summary>
    [ThreadStatic]
    private static uint* _exchange;

    [ThreadStatic]
    private static int _turn;

    /// <summary>c + a b for bfloat16 a and b.</summary>
    [IntrinsicImplementation, Ptx("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {$r}, {$1}, {$2, $3}, {$0};")]
    public static Float4 MultiplyBFloats(Float4 c, UInt4 a, uint b0, uint b1) => Multiply(c, a, b0, b1, &BFloats.Low, &BFloats.High);

    /// <summary>c + a b for halves a and b.</summary>
    [IntrinsicImplementation, Ptx("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {$r}, {$1}, {$2, $3}, {$r};", InPlace = true)]
    public static Float4 MultiplyHalves(Float4 c, UInt4 a, uint b0, uint b1) => Multiply(c, a, b0, b1, &Halves.Low, &Halves.High);

    /// <summary>
    /// Loads four 8 x 8 matrices of 16-bit elements from shared memory: lane 8m + i gives where row i of matrix m begins (16 bytes, aligned); lane l
    /// receives of each matrix the pair (l / 4, 2 (l % 4)). PTX ISA, "ldmatrix".
    /// </summary>
    [IntrinsicImplementation, Ptx("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {$r}, [@0];")]
    public static UInt4 LoadMatrices(ref uint row)
    {
        return LoadMatrices((nuint)Unsafe.AsPointer(ref row));
    }

    /// <summary>The same from dynamic shared memory.</summary>
    /// <param name="row">An address of <see cref="Shared"/>.</param>
    [IntrinsicImplementation, Ptx("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {$r}, [$0];")]
    public static UInt4 LoadMatrices(int row) => LoadMatrices((nuint)Shared.Pointer(row));

    /// <summary>Transposes an 8 x 8 matrix of 16-bit elements, of which lane l holds the pair (l / 4, 2 (l % 4)). PTX ISA, "movmatrix".</summary>
    [IntrinsicImplementation, Ptx("movmatrix.sync.aligned.m8n8.trans.b16 $r, $0;")]
    public static uint Transpose(uint pair)
    {
        uint* words = Publish(pair, 0, 0, 0, 0, 0);
        int row = Warp.LaneIdx / 4, column = Warp.LaneIdx % 4 * 2;
        return Element(column) | (Element(column + 1) << 16);

        uint Element(int source) => (words[((4 * source) + (row / 2)) * Words] >> (row % 2 * 16)) & 0xFFFF;
    }

    /// <summary>For emulations: rows g and g + 8 of the 16 x 16 halves that a warp holds, 16 each.</summary>
    internal static void Gather(UInt4 a, float* upper, float* lower)
    {
        uint* words = Publish(a.A, a.B, a.C, a.D, 0, 0);
        for (int k = 0; k < 16; k += 2)
        {
            uint* pair = words + (((Warp.LaneIdx / 4 * 4) + (k % 8 / 2)) * Words) + (k / 8 * 2);
            (upper[k], upper[k + 1]) = (Halves.Low(pair[0]), Halves.High(pair[0]));
            (lower[k], lower[k + 1]) = (Halves.Low(pair[1]), Halves.High(pair[1]));
        }
    }

    /// <summary>For emulations: rows g and g + 8 of the 16 x 32 bytes that a warp holds, 32 each; see <see cref="WarpGroup.MultiplyIntegerRows8"/>.</summary>
    internal static void GatherBytes(UInt4 a, sbyte* upper, sbyte* lower)
    {
        uint* words = Publish(a.A, a.B, a.C, a.D, 0, 0);
        for (int k = 0; k < 32; k++)
        {
            uint* pair = words + (((Warp.LaneIdx / 4 * 4) + (k % 16 / 4)) * Words) + (k / 16 * 2);
            (upper[k], lower[k]) = ((sbyte)(pair[0] >> (k % 4 * 8)), (sbyte)(pair[1] >> (k % 4 * 8)));
        }
    }

    private static UInt4 LoadMatrices(nuint row)
    {
        ulong* rows = (ulong*)Publish((uint)row, (uint)(row >> 32), 0, 0, 0, 0);
        UInt4 result = default;
        uint* registers = (uint*)&result;
        for (int matrix = 0; matrix < 4; matrix++)
        {
            uint* address = (uint*)rows[((8 * matrix) + (Warp.LaneIdx / 4)) * Words / 2];
            registers[matrix] = address[Warp.LaneIdx % 4];
        }
        Warp.Barrier();
        return result;
    }

    /// <summary>Loads four matrices as <see cref="LoadMatrices(int)"/> does, each transposed: lane l receives the pair (2 (l % 4), l / 4) of a column.</summary>
    [IntrinsicImplementation, Ptx("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {$r}, [$0];")]
    public static UInt4 LoadTransposed(int row)
    {
        UInt4 matrices = LoadMatrices(row);
        return new UInt4 { A = Transpose(matrices.A), B = Transpose(matrices.B), C = Transpose(matrices.C), D = Transpose(matrices.D) };
    }

    private static Float4 Multiply(Float4 c, UInt4 a, uint b0, uint b1, delegate*<uint, float> low, delegate*<uint, float> high)
    {
        uint* words = Publish(a.A, a.B, a.C, a.D, b0, b1);
        int g = Warp.LaneIdx / 4, t = Warp.LaneIdx % 4;
        return new Float4 { A = Dot(c.A, 0, 2 * t), B = Dot(c.B, 0, (2 * t) + 1), C = Dot(c.C, 1, 2 * t), D = Dot(c.D, 1, (2 * t) + 1) };

        // Row g of the upper (0) or lower (1) half of a against a column of b.
        float Dot(float sum, int half, int column)
        {
            for (int pair = 0; pair < 8; pair++)
            {
                uint left = words[(((4 * g) + (pair % 4)) * Words) + (2 * (pair / 4)) + half];
                uint right = words[(((4 * column) + (pair % 4)) * Words) + 4 + (pair / 4)];
                sum += low(left) * low(right);
                sum += high(left) * high(right);
            }
            return sum;
        }
    }

    /// <summary>Writes each lane's words where all lanes can read them until the call after the next.</summary>
    private static uint* Publish(uint a, uint b, uint c, uint d, uint e, uint f)
    {
        if (_exchange == null)
        {
            // For ever: accelerators keep their threads.
            long memory = Warp.LaneIdx == 0 ? (long)NativeMemory.AlignedAlloc(2 * Lanes * Words * sizeof(uint), 64) : 0;
            _exchange = (uint*)Warp.Shuffle(memory, 0);
        }
        _turn ^= 1;
        uint* words = _exchange + (_turn * Lanes * Words), own = words + (Warp.LaneIdx * Words);
        (own[0], own[1], own[2], own[3], own[4], own[5]) = (a, b, c, d, e, f);
        Warp.Barrier();
        return words;
    }
}
