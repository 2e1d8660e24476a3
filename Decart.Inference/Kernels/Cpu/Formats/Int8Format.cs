using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>f32 scale d, f32 zero z (an integer), an unsigned byte q for each weight: weight <c>d * (q - z)</c>, rounded once.</summary>
internal readonly unsafe struct Int8Format<TGroup> : IBlockFormat<Int8Format<TGroup>>
    where TGroup : IGroup
{
    private const int HeaderBytes = 2 * sizeof(float);

    public static TensorType Type => TGroup.Int8;

    public static int BlockLength => TGroup.Length;

    public static int BlockBytes => HeaderBytes + TGroup.Length;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> scale = Vector512.Create(((float*)block)[0]), zero = Vector512.Create(((float*)block)[1]);
        for (int i = 0; i < TGroup.Length; i += 16)
        {
            Vector512<float> q = Vector512.ConvertToSingle(Lanes.Widen16(block + HeaderBytes + i));
            accumulator = TOperation.Apply(accumulator, (q - zero) * scale, elements + i);
        }
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        TFloats scale = TFloats.Create(((float*)block)[0]), zero = TFloats.Create(((float*)block)[1]);
        for (int i = 0; i < TGroup.Length; i += TFloats.Count)
        {
            TFloats q = TIntegers.ToSingle(TIntegers.Widen(block + HeaderBytes + i));
            accumulator = TOperation.Apply(accumulator, (q - zero) * scale, elements + i);
        }
        return accumulator;
    }
}
