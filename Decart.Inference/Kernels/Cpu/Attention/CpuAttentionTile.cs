using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// The inner loops of attention over one tile of <see cref="Keys"/> keys. In every sum the order of the terms follows from the
/// positions alone: products over the head's elements and over the tile's keys are added one after another in ascending order.
/// </summary>
internal static unsafe class CpuAttentionTile
{
    /// <summary>Keys of a tile; tiles begin at multiples of it.</summary>
    public const int Keys = 64;

    /// <summary>Rows of queries that share the loads of a tile.</summary>
    public const int RowsAtOnce = 4;

    /// <summary>Distance in keys at which a tile's rows are fetched ahead: each may lie on a memory page of its own.</summary>
    private const int PrefetchKeys = 16;

    /// <summary>Keys whose addresses packing a tile wants to know.</summary>
    public const int KeysAndAhead = Keys + PrefetchKeys;

    /// <summary>
    /// Copies the first <paramref name="count"/> keys of a head to <paramref name="transposed"/> [headDim][Keys] and its values to
    /// <paramref name="values"/> [Keys][paddedDim], the padding 0. Reads nothing else.
    /// </summary>
    /// <param name="tokens">Where the tile's tokens and those ahead begin, <see cref="KeysAndAhead"/> addresses.</param>
    /// <param name="keyOffset">Elements from a token to the head's key.</param>
    /// <param name="valueOffset">Elements from its key to its value.</param>
    /// <param name="count">Keys that there are.</param>
    /// <param name="headDim">Elements of a head.</param>
    /// <param name="paddedDim">Elements of a row of <paramref name="values"/>.</param>
    /// <param name="transposed">Where the keys go.</param>
    /// <param name="values">Where the values go.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pack<TLanes>(
        nint* tokens, nint keyOffset, nint valueOffset, int count, int headDim, int paddedDim, float* transposed, float* values)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        for (int key = 0; key < count; key++)
        {
            float* row = (float*)tokens[key] + keyOffset, ahead = (float*)tokens[key + PrefetchKeys] + keyOffset;
            Prefetch(ahead, headDim);
            Prefetch(ahead + valueOffset, headDim);
            float* value = values + ((long)key * paddedDim), stored = row + valueOffset;
            int i = 0;
            for (; i <= headDim - TLanes.Count; i += TLanes.Count) TLanes.Load(stored + i).Store(value + i);
            for (; i < headDim; i++) value[i] = stored[i];
            for (; i < paddedDim; i++) value[i] = 0;
            if (key % 8 == 7) TransposeEight(tokens + key - 7, keyOffset, headDim, transposed + key - 7);
        }
        for (int key = count / 8 * 8; key < count; key++)
        {
            float* row = (float*)tokens[key] + keyOffset;
            for (int i = 0; i < headDim; i++) transposed[(i * Keys) + key] = row[i];
        }
    }

    /// <summary>c[r][j] = alpha[r] * c[r][j] + sum over k of a_r[k] * b[k][j] for four rows; without alpha c need not be initialised.</summary>
    /// <param name="a0">The first row of a.</param>
    /// <param name="a1">The second row of a.</param>
    /// <param name="a2">The third row of a.</param>
    /// <param name="a3">The fourth row of a.</param>
    /// <param name="depth">Elements of a row of a; rows of b.</param>
    /// <param name="b">Rows of b.</param>
    /// <param name="bStride">Elements from one row of b to the next.</param>
    /// <param name="columns">Columns of b and c, a multiple of twice the lanes.</param>
    /// <param name="alpha">Four factors, or null.</param>
    /// <param name="c">Rows of c.</param>
    /// <param name="cStride">Elements from one row of c to the next.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MultiplyAdd4<TLanes>(
        float* a0, float* a1, float* a2, float* a3, int depth, float* b, nint bStride, int columns, float* alpha, float* c, nint cStride)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        for (int column = 0; column < columns; column += 2 * TLanes.Count)
        {
            float* c0 = c + column, c1 = c0 + cStride, c2 = c1 + cStride, c3 = c2 + cStride;
            TLanes c00 = TLanes.Create(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
            if (alpha != null)
            {
                c00 = TLanes.Load(c0) * TLanes.Create(alpha[0]);
                c01 = TLanes.Load(c0 + TLanes.Count) * TLanes.Create(alpha[0]);
                c10 = TLanes.Load(c1) * TLanes.Create(alpha[1]);
                c11 = TLanes.Load(c1 + TLanes.Count) * TLanes.Create(alpha[1]);
                c20 = TLanes.Load(c2) * TLanes.Create(alpha[2]);
                c21 = TLanes.Load(c2 + TLanes.Count) * TLanes.Create(alpha[2]);
                c30 = TLanes.Load(c3) * TLanes.Create(alpha[3]);
                c31 = TLanes.Load(c3 + TLanes.Count) * TLanes.Create(alpha[3]);
            }
            float* row = b + column;
            for (nint k = 0; k < depth; k++)
            {
                TLanes b0 = TLanes.Load(row), b1 = TLanes.Load(row + TLanes.Count);
                row += bStride;
                TLanes a = TLanes.Create(a0[k]);
                c00 = TLanes.MultiplyAdd(a, b0, c00);
                c01 = TLanes.MultiplyAdd(a, b1, c01);
                a = TLanes.Create(a1[k]);
                c10 = TLanes.MultiplyAdd(a, b0, c10);
                c11 = TLanes.MultiplyAdd(a, b1, c11);
                a = TLanes.Create(a2[k]);
                c20 = TLanes.MultiplyAdd(a, b0, c20);
                c21 = TLanes.MultiplyAdd(a, b1, c21);
                a = TLanes.Create(a3[k]);
                c30 = TLanes.MultiplyAdd(a, b0, c30);
                c31 = TLanes.MultiplyAdd(a, b1, c31);
            }
            c00.Store(c0);
            c01.Store(c0 + TLanes.Count);
            c10.Store(c1);
            c11.Store(c1 + TLanes.Count);
            c20.Store(c2);
            c21.Store(c2 + TLanes.Count);
            c30.Store(c3);
            c31.Store(c3 + TLanes.Count);
        }
    }

    /// <summary>
    /// Turns scores into exponentials of their distance from the greatest score so far (online softmax: Milakov and
    /// Gimelshein, 2018) and adds them to the row's sums.
    /// </summary>
    /// <param name="scores">Scores; those of hidden keys are minus infinity.</param>
    /// <param name="columns">Number of them, a multiple of the lanes.</param>
    /// <param name="scale">Positive factor on the scores.</param>
    /// <param name="greatest">The greatest scaled score so far.</param>
    /// <param name="sums">One sum for each lane.</param>
    /// <returns>The factor that brings what was accumulated before to the new greatest score.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Exponentiate<TLanes>(float* scores, int columns, float scale, float* greatest, float* sums)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes factor = TLanes.Create(scale), maxima = TLanes.Load(scores);
        for (int i = TLanes.Count; i < columns; i += TLanes.Count) maxima = TLanes.Max(maxima, TLanes.Load(scores + i));
        float before = *greatest;
        *greatest = MathF.Max(before, TLanes.MaxElement(maxima) * scale);
        TLanes max = TLanes.Create(*greatest), negative = TLanes.Create(0) - max;
        TLanes alpha = LaneMath.Exp(TLanes.Create(before) - max);
        TLanes sum = TLanes.Load(sums) * alpha;
        for (int i = 0; i < columns; i += TLanes.Count)
        {
            TLanes exponential = LaneMath.Exp(TLanes.MultiplyAdd(TLanes.Load(scores + i), factor, negative));
            exponential.Store(scores + i);
            sum += exponential;
        }
        sum.Store(sums);
        return TLanes.MaxElement(alpha);
    }

    /// <summary>score = softCap * tanh(score * scale / softCap).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Cap<TLanes>(float* scores, int columns, float scale, float softCap)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes factor = TLanes.Create(scale / softCap), cap = TLanes.Create(softCap);
        for (int i = 0; i < columns; i += TLanes.Count) (cap * LaneMath.Tanh(TLanes.Load(scores + i) * factor)).Store(scores + i);
    }

    /// <summary>score = score * scale + slope * (i - distance), where the query stands <paramref name="distance"/> keys after the first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddAlibi(float* scores, int columns, float scale, float slope, int distance)
    {
        for (int i = 0; i < columns; i++) scores[i] = (scores[i] * scale) + (slope * (i - distance));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch(float* row, int count)
    {
        if (!Sse.IsSupported) return;
        for (int i = 0; i < count; i += 16) Sse.Prefetch0(row + i);
    }

    /// <summary>Writes element i of eight keys to columns 0..7 of row i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TransposeEight(nint* tokens, nint keyOffset, int headDim, float* transposed)
    {
        int i = 0;
        if (Avx.IsSupported)
        {
            float* k0 = (float*)tokens[0] + keyOffset, k1 = (float*)tokens[1] + keyOffset, k2 = (float*)tokens[2] + keyOffset;
            float* k3 = (float*)tokens[3] + keyOffset, k4 = (float*)tokens[4] + keyOffset, k5 = (float*)tokens[5] + keyOffset;
            float* k6 = (float*)tokens[6] + keyOffset, k7 = (float*)tokens[7] + keyOffset;
            for (; i <= headDim - 8; i += 8)
            {
                TransposeEightByEight(
                    Vector256.Load(k0 + i), Vector256.Load(k1 + i), Vector256.Load(k2 + i), Vector256.Load(k3 + i), Vector256.Load(k4 + i),
                    Vector256.Load(k5 + i), Vector256.Load(k6 + i), Vector256.Load(k7 + i), transposed + (i * Keys));
            }
        }
        else if (Sse.IsSupported || AdvSimd.Arm64.IsSupported)
        {
            for (; i <= headDim - 4; i += 4)
            {
                TransposeFourByFour(tokens, keyOffset + i, transposed + (i * Keys));
                TransposeFourByFour(tokens + 4, keyOffset + i, transposed + (i * Keys) + 4);
            }
        }
        for (; i < headDim; i++)
        {
            for (int key = 0; key < 8; key++) transposed[(i * Keys) + key] = ((float*)tokens[key] + keyOffset)[i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TransposeFourByFour(nint* tokens, nint offset, float* destination)
    {
        Vector128<float> r0 = Vector128.Load((float*)tokens[0] + offset), r1 = Vector128.Load((float*)tokens[1] + offset);
        Vector128<float> r2 = Vector128.Load((float*)tokens[2] + offset), r3 = Vector128.Load((float*)tokens[3] + offset);
        Vector128<float> even = ZipLow(r0, r2), odd = ZipLow(r1, r3), evenHigh = ZipHigh(r0, r2), oddHigh = ZipHigh(r1, r3);
        ZipLow(even, odd).Store(destination);
        ZipHigh(even, odd).Store(destination + Keys);
        ZipLow(evenHigh, oddHigh).Store(destination + (2 * Keys));
        ZipHigh(evenHigh, oddHigh).Store(destination + (3 * Keys));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> ZipLow(Vector128<float> first, Vector128<float> second) =>
        Sse.IsSupported ? Sse.UnpackLow(first, second) : AdvSimd.Arm64.ZipLow(first, second);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> ZipHigh(Vector128<float> first, Vector128<float> second) =>
        Sse.IsSupported ? Sse.UnpackHigh(first, second) : AdvSimd.Arm64.ZipHigh(first, second);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TransposeEightByEight(
        Vector256<float> r0, Vector256<float> r1, Vector256<float> r2, Vector256<float> r3, Vector256<float> r4, Vector256<float> r5, Vector256<float> r6,
        Vector256<float> r7, float* destination)
    {
        Vector256<float> p0 = Avx.UnpackLow(r0, r1), p1 = Avx.UnpackHigh(r0, r1), p2 = Avx.UnpackLow(r2, r3), p3 = Avx.UnpackHigh(r2, r3);
        Vector256<float> p4 = Avx.UnpackLow(r4, r5), p5 = Avx.UnpackHigh(r4, r5), p6 = Avx.UnpackLow(r6, r7), p7 = Avx.UnpackHigh(r6, r7);
        const byte Low = 0b01_00_01_00, High = 0b11_10_11_10;
        StoreHalves(Avx.Shuffle(p0, p2, Low), Avx.Shuffle(p4, p6, Low), destination);
        StoreHalves(Avx.Shuffle(p0, p2, High), Avx.Shuffle(p4, p6, High), destination + Keys);
        StoreHalves(Avx.Shuffle(p1, p3, Low), Avx.Shuffle(p5, p7, Low), destination + (2 * Keys));
        StoreHalves(Avx.Shuffle(p1, p3, High), Avx.Shuffle(p5, p7, High), destination + (3 * Keys));
    }

    /// <summary>Stores the lower halves of both vectors in one row and the upper halves four rows further.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreHalves(Vector256<float> left, Vector256<float> right, float* destination)
    {
        Avx.Permute2x128(left, right, 0x20).Store(destination);
        Avx.Permute2x128(left, right, 0x31).Store(destination + (4 * Keys));
    }
}
