using System.Runtime.CompilerServices;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// The softmax of a block of rows so far: each row's greatest score, its sums of exponentials (one for each lane), and the
/// values weighted by the exponentials.
/// </summary>
internal readonly unsafe struct AttentionState(float* memory, int rows, int paddedDim)
{
    /// <summary>Below any score, and finite so that its distance to itself is 0.</summary>
    private const float BelowAll = -1e30f;

    private const int MaxLanes = 16;

    public readonly float* Memory = memory;

    /// <summary>Elements of a state, all of it aligned when its memory is: the padded dimension is a multiple of 16.</summary>
    public static long Length(int rows, int paddedDim) => AlignedRows(rows) + ((long)rows * (MaxLanes + paddedDim));

    public float* Greatest(int row) => Memory + row;

    public float* Sums(int row) => Memory + AlignedRows(rows) + ((long)row * MaxLanes);

    public float* Values(int row) => Memory + AlignedRows(rows) + ((long)rows * MaxLanes) + ((long)row * paddedDim);

    public void Clear(int count)
    {
        new Span<float>(Greatest(0), count).Fill(BelowAll);
        new Span<float>(Sums(0), count * MaxLanes).Clear();
        new Span<float>(Values(0), count * paddedDim).Clear();
    }

    /// <summary>Adds the state of later keys to that of earlier ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Add<TLanes>(AttentionState later, int count)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        for (int row = 0; row < count; row++)
        {
            float max = MathF.Max(*Greatest(row), *later.Greatest(row));
            TLanes factor = LaneMath.Exp(TLanes.Create(*Greatest(row) - max)), laterFactor = LaneMath.Exp(TLanes.Create(*later.Greatest(row) - max));
            *Greatest(row) = max;
            Combine(Sums(row), factor, later.Sums(row), laterFactor, TLanes.Count);
            Combine(Values(row), factor, later.Values(row), laterFactor, paddedDim);
        }
    }

    /// <summary>Divides a row's values by its sum of exponentials.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Finish<TLanes>(int row, int headDim, float* output)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes factor = TLanes.Create(1 / TLanes.Sum(TLanes.Load(Sums(row))));
        float* values = Values(row);
        for (int i = 0; i < paddedDim; i += TLanes.Count) (TLanes.Load(values + i) * factor).Store(values + i);
        Unsafe.CopyBlockUnaligned(output, values, (uint)headDim * sizeof(float));
    }

    private static int AlignedRows(int rows) => (rows + MaxLanes - 1) / MaxLanes * MaxLanes;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Combine<TLanes>(float* x, TLanes xFactor, float* y, TLanes yFactor, int count)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        for (int i = 0; i < count; i += TLanes.Count) TLanes.MultiplyAdd(TLanes.Load(y + i), yFactor, TLanes.Load(x + i) * xFactor).Store(x + i);
    }
}
