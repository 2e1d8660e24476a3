using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// 64 bytes of bit pairs q lying as in Q2_K, f16 d: weight <c>d * (q - 1)</c>.
/// </summary>
internal readonly unsafe struct TQ2_0Format : ITableFormat<TQ2_0Format>
{
    public static TensorType Type => TensorType.TQ2_0;

    public static int BlockLength => 256;

    public static int BlockBytes => 66;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack(byte* block, sbyte* values, float* scales)
    {
        for (int pair = 0; pair < 8; pair++)
        {
            byte* source = block + (pair / 4 * 32);
            for (int i = 0; i < 32; i += 16, values += 16)
                (((Vector128.Load(source + i) >>> (2 * (pair % 4))) & Vector128.Create((byte)3)) - Vector128<byte>.One).AsSByte().Store(values);
        }
        new Span<float>(scales, 16).Fill(HalfTable.Load(block + 64));
    }
}
