using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// float32 scale d, 256 signed bytes q, then 16 sums of them that only integer products need: weight <c>d * q</c>.
/// </summary>
internal readonly unsafe struct Q8_KFormat : ITableFormat<Q8_KFormat>
{
    public static TensorType Type => TensorType.Q8_K;

    public static int BlockLength => 256;

    public static int BlockBytes => 292;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack(byte* block, sbyte* values, float* scales)
    {
        Unsafe.CopyBlockUnaligned(values, block + 4, 256);
        new Span<float>(scales, 16).Fill(Unsafe.ReadUnaligned<float>(block));
    }
}
