using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.Arm;
using static Decart.Inference.Kernels.Cpu.MatMulShape;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// The inner loops over decoded weights in the first-level cache: a panel of weight rows times 1 or 3 rows of x, with accumulators as in
/// <see cref="MatMulDotKernel{TLanes, TVector}"/>, with which they agree bit for bit.
/// </summary>
internal static unsafe class MatMulTileKernel<TLanes, TVector>
    where TLanes : IMatMulLanes<TVector>
    where TVector : unmanaged
{
    private static int Lanes => sizeof(TVector) / sizeof(float);

    /// <summary>Decoded weights times one row of x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RowPanel(float* panel, int length, float* x, TVector* a)
    {
        TVector a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], a4 = a[4], a5 = a[5], a6 = a[6], a7 = a[7];
        for (float* end = panel + length; panel < end; panel += Lanes, x += Lanes)
        {
            TVector v = *(TVector*)x;
            a0 = TLanes.MultiplyAdd(a0, *(TVector*)panel, v);
            a1 = TLanes.MultiplyAdd(a1, *(TVector*)(panel + PanelStride), v);
            a2 = TLanes.MultiplyAdd(a2, *(TVector*)(panel + (2 * PanelStride)), v);
            a3 = TLanes.MultiplyAdd(a3, *(TVector*)(panel + (3 * PanelStride)), v);
            a4 = TLanes.MultiplyAdd(a4, *(TVector*)(panel + (4 * PanelStride)), v);
            a5 = TLanes.MultiplyAdd(a5, *(TVector*)(panel + (5 * PanelStride)), v);
            a6 = TLanes.MultiplyAdd(a6, *(TVector*)(panel + (6 * PanelStride)), v);
            a7 = TLanes.MultiplyAdd(a7, *(TVector*)(panel + (7 * PanelStride)), v);
        }
        (a[0], a[1], a[2], a[3]) = (a0, a1, a2, a3);
        (a[4], a[5], a[6], a[7]) = (a4, a5, a6, a7);
    }

    /// <summary>
    /// Decoded weights times <see cref="MatMulShape.TileRows"/> rows of x: 24 accumulators where there are 32 registers, twice 12 where there are 16, and
    /// four times 6 where products need registers as well.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void TilePanel(float* panel, int length, float* x, nint xStride, TVector* a)
    {
        if (TLanes.Width == SimdWidth.Vector512 || (TLanes.Width == SimdWidth.Vector128 && AdvSimd.IsSupported))
        {
            Tile8(panel, length, x, x + xStride, x + (2 * xStride), a);
        }
        else if (TLanes.Width == SimdWidth.Vector128)
        {
            for (int i = 0; i < PanelRows; i += 2) Tile2(panel + (i * PanelStride), length, x, x + xStride, x + (2 * xStride), a + i);
        }
        else
        {
            Tile4(panel, length, x, x + xStride, x + (2 * xStride), a);
            Tile4(panel + (4 * PanelStride), length, x, x + xStride, x + (2 * xStride), a + 4);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile8(float* panel, int length, float* x0, float* x1, float* x2, TVector* a)
    {
        TVector a00 = a[0], a01 = a[1], a02 = a[2], a03 = a[3], a04 = a[4], a05 = a[5], a06 = a[6], a07 = a[7];
        TVector a10 = a[8], a11 = a[9], a12 = a[10], a13 = a[11], a14 = a[12], a15 = a[13], a16 = a[14], a17 = a[15];
        TVector a20 = a[16], a21 = a[17], a22 = a[18], a23 = a[19], a24 = a[20], a25 = a[21], a26 = a[22], a27 = a[23];
        for (float* end = panel + length; panel < end; panel += Lanes, x0 += Lanes, x1 += Lanes, x2 += Lanes)
        {
            TVector v0 = *(TVector*)x0, v1 = *(TVector*)x1, v2 = *(TVector*)x2;
            TVector w = *(TVector*)panel;
            a00 = TLanes.MultiplyAdd(a00, w, v0);
            a10 = TLanes.MultiplyAdd(a10, w, v1);
            a20 = TLanes.MultiplyAdd(a20, w, v2);
            w = *(TVector*)(panel + PanelStride);
            a01 = TLanes.MultiplyAdd(a01, w, v0);
            a11 = TLanes.MultiplyAdd(a11, w, v1);
            a21 = TLanes.MultiplyAdd(a21, w, v2);
            w = *(TVector*)(panel + (2 * PanelStride));
            a02 = TLanes.MultiplyAdd(a02, w, v0);
            a12 = TLanes.MultiplyAdd(a12, w, v1);
            a22 = TLanes.MultiplyAdd(a22, w, v2);
            w = *(TVector*)(panel + (3 * PanelStride));
            a03 = TLanes.MultiplyAdd(a03, w, v0);
            a13 = TLanes.MultiplyAdd(a13, w, v1);
            a23 = TLanes.MultiplyAdd(a23, w, v2);
            w = *(TVector*)(panel + (4 * PanelStride));
            a04 = TLanes.MultiplyAdd(a04, w, v0);
            a14 = TLanes.MultiplyAdd(a14, w, v1);
            a24 = TLanes.MultiplyAdd(a24, w, v2);
            w = *(TVector*)(panel + (5 * PanelStride));
            a05 = TLanes.MultiplyAdd(a05, w, v0);
            a15 = TLanes.MultiplyAdd(a15, w, v1);
            a25 = TLanes.MultiplyAdd(a25, w, v2);
            w = *(TVector*)(panel + (6 * PanelStride));
            a06 = TLanes.MultiplyAdd(a06, w, v0);
            a16 = TLanes.MultiplyAdd(a16, w, v1);
            a26 = TLanes.MultiplyAdd(a26, w, v2);
            w = *(TVector*)(panel + (7 * PanelStride));
            a07 = TLanes.MultiplyAdd(a07, w, v0);
            a17 = TLanes.MultiplyAdd(a17, w, v1);
            a27 = TLanes.MultiplyAdd(a27, w, v2);
        }
        (a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]) = (a00, a01, a02, a03, a04, a05, a06, a07);
        (a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15]) = (a10, a11, a12, a13, a14, a15, a16, a17);
        (a[16], a[17], a[18], a[19], a[20], a[21], a[22], a[23]) = (a20, a21, a22, a23, a24, a25, a26, a27);
    }

    /// <remarks>The panel's other four accumulators lie between the rows' accumulators.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile4(float* panel, int length, float* x0, float* x1, float* x2, TVector* a)
    {
        TVector a00 = a[0], a01 = a[1], a02 = a[2], a03 = a[3];
        TVector a10 = a[8], a11 = a[9], a12 = a[10], a13 = a[11];
        TVector a20 = a[16], a21 = a[17], a22 = a[18], a23 = a[19];
        for (float* end = panel + length; panel < end; panel += Lanes, x0 += Lanes, x1 += Lanes, x2 += Lanes)
        {
            TVector v0 = *(TVector*)x0, v1 = *(TVector*)x1, v2 = *(TVector*)x2;
            TVector w = *(TVector*)panel;
            a00 = TLanes.MultiplyAdd(a00, w, v0);
            a10 = TLanes.MultiplyAdd(a10, w, v1);
            a20 = TLanes.MultiplyAdd(a20, w, v2);
            w = *(TVector*)(panel + PanelStride);
            a01 = TLanes.MultiplyAdd(a01, w, v0);
            a11 = TLanes.MultiplyAdd(a11, w, v1);
            a21 = TLanes.MultiplyAdd(a21, w, v2);
            w = *(TVector*)(panel + (2 * PanelStride));
            a02 = TLanes.MultiplyAdd(a02, w, v0);
            a12 = TLanes.MultiplyAdd(a12, w, v1);
            a22 = TLanes.MultiplyAdd(a22, w, v2);
            w = *(TVector*)(panel + (3 * PanelStride));
            a03 = TLanes.MultiplyAdd(a03, w, v0);
            a13 = TLanes.MultiplyAdd(a13, w, v1);
            a23 = TLanes.MultiplyAdd(a23, w, v2);
        }
        (a[0], a[1], a[2], a[3]) = (a00, a01, a02, a03);
        (a[8], a[9], a[10], a[11]) = (a10, a11, a12, a13);
        (a[16], a[17], a[18], a[19]) = (a20, a21, a22, a23);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile2(float* panel, int length, float* x0, float* x1, float* x2, TVector* a)
    {
        TVector a00 = a[0], a01 = a[1], a10 = a[8], a11 = a[9], a20 = a[16], a21 = a[17];
        for (float* end = panel + length; panel < end; panel += Lanes, x0 += Lanes, x1 += Lanes, x2 += Lanes)
        {
            TVector v0 = *(TVector*)x0, v1 = *(TVector*)x1, v2 = *(TVector*)x2;
            TVector w = *(TVector*)panel;
            a00 = TLanes.MultiplyAdd(a00, w, v0);
            a10 = TLanes.MultiplyAdd(a10, w, v1);
            a20 = TLanes.MultiplyAdd(a20, w, v2);
            w = *(TVector*)(panel + PanelStride);
            a01 = TLanes.MultiplyAdd(a01, w, v0);
            a11 = TLanes.MultiplyAdd(a11, w, v1);
            a21 = TLanes.MultiplyAdd(a21, w, v2);
        }
        (a[0], a[1], a[8], a[9], a[16], a[17]) = (a00, a01, a10, a11, a20, a21);
    }
}
