using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>A lane's accumulators of 16 rows of a weight with up to eight tiles of 8 rows of x; see <see cref="TensorCore"/>.</summary>
internal struct GpuTileSums
{
    public Float4 A, B, C, D, E, F, G, H;

    public static GpuTileSums Add(GpuTileSums total, GpuTileSums sums) => new()
    {
        A = Add(total.A, sums.A),
        B = Add(total.B, sums.B),
        C = Add(total.C, sums.C),
        D = Add(total.D, sums.D),
        E = Add(total.E, sums.E),
        F = Add(total.F, sums.F),
        G = Add(total.G, sums.G),
        H = Add(total.H, sums.H),
    };

    private static Float4 Add(Float4 a, Float4 b) => new() { A = a.A + b.A, B = a.B + b.B, C = a.C + b.C, D = a.D + b.D };
}
