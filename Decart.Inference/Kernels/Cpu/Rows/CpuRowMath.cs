using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// Operations on each element of a row. Their results do not depend on the width of the vectors, and unlike those of a library
/// that is compiled in tiers they run at full speed from the first call.
/// </summary>
internal static unsafe class CpuRowMath
{
    /// <summary>x += y * factor, the product rounded.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddScaled(float* x, float* y, float factor, int count)
    {
        int i = 0;
        for (; i <= count - Vector256<float>.Count; i += Vector256<float>.Count) (Vector256.Load(x + i) + (Vector256.Load(y + i) * factor)).Store(x + i);
        for (; i < count; i++) x[i] += y[i] * factor;
    }

    /// <summary>x *= factor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scale(float* x, float factor, int count)
    {
        int i = 0;
        for (; i <= count - Vector256<float>.Count; i += Vector256<float>.Count) (Vector256.Load(x + i) * factor).Store(x + i);
        for (; i < count; i++) x[i] *= factor;
    }
}
