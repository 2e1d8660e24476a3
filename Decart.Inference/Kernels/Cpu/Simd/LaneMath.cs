using System.Runtime.CompilerServices;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Functions of each lane on its own, so that a result never depends on its place in a row.</summary>
internal static class LaneMath
{
    /// <summary>e^x to about 1e-7 relative; 0 below -87.3, held at e^88 above, not a number stays so.</summary>
    /// <remarks>
    /// x = n ln 2 + r with |r| &lt;= ln 2 / 2, ln 2 in two parts so that r is exact; the polynomial for e^r is that of Moshier's
    /// Cephes library.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Exp<TLanes>(TLanes x)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes shift = TLanes.Create(12_582_912f);
        TLanes smallest = TLanes.Create(-87.3f);
        TLanes held = TLanes.Min(TLanes.Create(88f), TLanes.Max(smallest, x));
        TLanes shifted = TLanes.MultiplyAdd(held, TLanes.Create(1.44269504f), shift);
        TLanes n = shifted - shift;
        TLanes r = TLanes.MultiplyAdd(n, TLanes.Create(-0.693359375f), held);
        r = TLanes.MultiplyAdd(n, TLanes.Create(2.12194440e-4f), r);
        TLanes p = TLanes.MultiplyAdd(TLanes.Create(1.9875691500e-4f), r, TLanes.Create(1.3981999507e-3f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(8.3334519073e-3f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(4.1665795894e-2f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(1.6666665459e-1f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(5.0000001201e-1f));
        p = TLanes.MultiplyAdd(p, r * r, r) + TLanes.Create(1f);
        return TLanes.ClearBelow(x, smallest, p * TLanes.PowerOfTwo(shifted));
    }

    /// <summary>tanh x to about 1e-7 absolute.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Tanh<TLanes>(TLanes x)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes one = TLanes.Create(1f), two = TLanes.Create(2f);
        return one - (two / (Exp(x + x) + one));
    }
}
