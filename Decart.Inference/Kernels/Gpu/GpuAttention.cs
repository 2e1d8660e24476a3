using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct AttentionArguments
{
    public long Rows, Qkv;

    /// <summary>Halves; one row for each query.</summary>
    public long Y;

    /// <summary>One for each head, or 0 without ALiBi.</summary>
    public long Slopes;

    /// <summary>
    /// With it, a group computes one split and leaves for each (row, head, split) [HeadDim sums, maximum, sum of the weights, two unused]; 0: a group
    /// computes all splits.
    /// </summary>
    public long Partials;

    /// <summary>For the tensor-core kernels: for each tile its first row and its number of rows (int).</summary>
    public long Tiles;

    public int TileCount;

    public int QkvStride, YStride, Layer, Heads, KvHeads, HeadDim, Window;

    /// <summary>Keys of a split, and the most splits of a row.</summary>
    public int SplitTokens, Splits;

    public float Scale, SoftCap;
}

/// <summary>
/// Causal attention of one query head of one row a group: softmax by running maxima (Milakov and Gimelshein, 2018) over splits of <see
/// cref="SplitTokens"/> keys at absolute positions. In a split the warps take tiles of as many keys as they have lanes in turn, a key a lane for the
/// scores and a dimension a lane for the sums; then the warps' results are merged in order. Splits are merged in order, too, whoever does it, so that
/// a row's bits do not depend on how.
/// </summary>
internal static class GpuAttention
{
    public const int SplitTokens = 256;

    public const int MaxHeadDim = 256;

    /// <summary>Floats that a split leaves behind its sums: the maximum, the sum of the weights, and two that keep vectors aligned.</summary>
    public const int PartialTail = 4;

    /// <summary>Warps of the largest group, and lanes of the largest warp.</summary>
    private const int MaxWarps = 4, MaxLanes = 32;

    /// <summary>Groups: head, row, and split when there are partials.</summary>
    public static readonly GpuKernel<AttentionArguments> Kernel = new(Run, groupSize: MaxWarps * MaxLanes);

    /// <summary>Groups: head, row.</summary>
    public static readonly GpuKernel<AttentionArguments> MergeKernel = new(Merge, groupSize: MaxLanes);

    /// <summary>What the split-th of the splits that a row sees leaves for a head.</summary>
    public static long PartialAddress(AttentionArguments a, int row, int head, int split) =>
        a.Partials + ((((((long)row * a.Heads) + head) * a.Splits) + split) * (a.HeadDim + PartialTail) * sizeof(float));

    private static void Run(AttentionArguments a)
    {
        ArrayView<float> query = SharedMemory.Allocate1D<float>(MaxHeadDim).BaseView, total = SharedMemory.Allocate1D<float>(MaxHeadDim).BaseView;
        ArrayView<float> sums = SharedMemory.Allocate1D<float>(MaxWarps * MaxHeadDim).BaseView;
        ArrayView<float> weights = SharedMemory.Allocate1D<float>(MaxWarps * MaxLanes).BaseView;
        ArrayView<float> maxima = SharedMemory.Allocate1D<float>(MaxWarps).BaseView, weightSums = SharedMemory.Allocate1D<float>(MaxWarps).BaseView;
        int head = Grid.IdxX, warp = Group.IdxX / Warp.WarpSize, warps = Group.DimX / Warp.WarpSize;
        GpuRow row = GpuRow.Load(a.Rows, Grid.IdxY);
        int first = a.Window != 0 && row.Position >= a.Window ? row.Position - a.Window + 1 : 0;
        int split = first / SplitTokens, lastSplit = row.Position / SplitTokens;
        if (a.Partials != 0)
        {
            split += Grid.IdxZ;
            if (split > lastSplit) return;
            lastSplit = split;
        }
        float slope = a.Slopes != 0 ? Global.LoadFloat(a.Slopes + (head * sizeof(float))) : 0;
        long keys = ((long)a.Layer * 2 * a.KvHeads + (head / (a.Heads / a.KvHeads))) * a.HeadDim * sizeof(ushort);
        long values = keys + ((long)a.KvHeads * a.HeadDim * sizeof(ushort));
        for (int i = Group.IdxX; i < a.HeadDim; i += Group.DimX)
        {
            query[i] = Global.LoadFloat(a.Qkv + ((((long)Grid.IdxY * a.QkvStride) + (head * a.HeadDim) + i) * sizeof(float)));
            total[i] = 0;
        }
        Group.Barrier();

        ArrayView<float> ownSums = sums.SubView(warp * MaxHeadDim, MaxHeadDim), ownWeights = weights.SubView(warp * MaxLanes, MaxLanes);
        float max = float.NegativeInfinity, weightSum = 0;
        for (; split <= lastSplit; split++)
        {
            SumTiles(a, row, first, split, keys, values, slope, query, ownSums, ownWeights, maxima, weightSums);
            Group.Barrier();
            float splitMax = maxima[0];
            for (int w = 1; w < warps; w++) splitMax = maxima[w] > splitMax ? maxima[w] : splitMax;
            float splitSum = 0;
            for (int w = 0; w < warps; w++) splitSum = Float32.Fma(GpuMath.Exp(maxima[w] - splitMax), weightSums[w], splitSum);
            float newMax = splitMax > max ? splitMax : max, oldFactor = GpuMath.Exp(max - newMax), factor = GpuMath.Exp(splitMax - newMax);
            for (int i = Group.IdxX; i < a.HeadDim; i += Group.DimX)
            {
                float sum = 0;
                for (int w = 0; w < warps; w++) sum = Float32.Fma(GpuMath.Exp(maxima[w] - splitMax), sums[(w * MaxHeadDim) + i], sum);
                total[i] = a.Partials != 0 ? sum : Float32.Fma(total[i], oldFactor, sum * factor);
            }
            weightSum = a.Partials != 0 ? splitSum : Float32.Fma(weightSum, oldFactor, splitSum * factor);
            max = newMax;
            Group.Barrier();
        }
        StoreResult(a, total, max, weightSum);
    }

    /// <summary>What the calling warp contributes to a split: its sums, and at its place the maximum and the sum of the weights.</summary>
    private static void SumTiles(
        AttentionArguments a, GpuRow row, int first, int split, long keys, long values, float slope,
        ArrayView<float> query, ArrayView<float> sums, ArrayView<float> weights, ArrayView<float> maxima, ArrayView<float> weightSums)
    {
        int lane = Warp.LaneIdx, lanes = Warp.WarpSize, warp = Group.IdxX / lanes, end = row.Position + 1;
        if (end > (split + 1) * SplitTokens) end = (split + 1) * SplitTokens;
        float max = float.NegativeInfinity, weightSum = 0;
        for (int i = lane; i < a.HeadDim; i += lanes) sums[i] = 0;
        for (int tile = (split * SplitTokens) + (warp * lanes); tile < end; tile += Group.DimX)
        {
            int begin = tile > first ? tile : first, stop = tile + lanes < end ? tile + lanes : end;
            if (begin < stop)
            {
                int key = tile + lane;
                bool visible = key >= begin && key < stop;
                float score = float.NegativeInfinity;
                if (visible) score = Score(a, GpuRow.TokenAddress(row, key) + keys, query, slope, key - row.Position);
                float tileMax = Reduce.WarpMax(score), newMax = tileMax > max ? tileMax : max, factor = GpuMath.Exp(max - newMax);
                float weight = visible ? GpuMath.Exp(score - newMax) : 0;
                weightSum = Float32.Fma(weightSum, factor, weight);
                max = newMax;
                weights[lane] = weight;
                Warp.Barrier();
                for (int i = lane; i < a.HeadDim; i += lanes)
                {
                    float sum = sums[i] * factor;
                    for (int j = begin; j < stop; j++)
                    {
                        long address = GpuRow.TokenAddress(row, j) + values + (i * sizeof(ushort));
                        sum = Float32.Fma(weights[j - tile], Halves.Low(Global.Load2(address)), sum);
                    }
                    sums[i] = sum;
                }
                Warp.Barrier();
            }
        }
        weightSum = Reduce.WarpSum(weightSum);
        if (lane == 0)
        {
            maxima[warp] = max;
            weightSums[warp] = weightSum;
        }
    }

    private static float Score(AttentionArguments a, long key, ArrayView<float> query, float slope, int distance)
    {
        float score = (a.HeadDim % 8 == 0 ? DotVectors(key, query, a.HeadDim) : DotElements(key, query, a.HeadDim)) * a.Scale;
        if (a.SoftCap != 0) score = GpuMath.SoftCap(score, a.SoftCap);
        return Float32.Fma(slope, distance, score);
    }

    private static float DotVectors(long key, ArrayView<float> query, int headDim)
    {
        float sum = 0;
        for (int i = 0; i < headDim; i += 8)
        {
            UInt4 k = Global.Load16(key + (i * sizeof(ushort)));
            sum = Float32.Fma(Halves.Low(k.A), query[i], sum);
            sum = Float32.Fma(Halves.High(k.A), query[i + 1], sum);
            sum = Float32.Fma(Halves.Low(k.B), query[i + 2], sum);
            sum = Float32.Fma(Halves.High(k.B), query[i + 3], sum);
            sum = Float32.Fma(Halves.Low(k.C), query[i + 4], sum);
            sum = Float32.Fma(Halves.High(k.C), query[i + 5], sum);
            sum = Float32.Fma(Halves.Low(k.D), query[i + 6], sum);
            sum = Float32.Fma(Halves.High(k.D), query[i + 7], sum);
        }
        return sum;
    }

    private static float DotElements(long key, ArrayView<float> query, int headDim)
    {
        float sum = 0;
        for (int i = 0; i < headDim; i++) sum = Float32.Fma(Halves.Low(Global.Load2(key + (i * sizeof(ushort)))), query[i], sum);
        return sum;
    }

    private static void StoreResult(AttentionArguments a, ArrayView<float> total, float max, float weightSum)
    {
        if (a.Partials == 0)
        {
            for (int i = Group.IdxX; i < a.HeadDim; i += Group.DimX) StoreElement(a, i, total[i] / weightSum);
            return;
        }
        long partial = PartialAddress(a, Grid.IdxY, Grid.IdxX, Grid.IdxZ);
        for (int i = Group.IdxX; i < a.HeadDim; i += Group.DimX) Global.StoreFloat(partial + (i * sizeof(float)), total[i]);
        if (Group.IdxX != 0) return;
        Global.StoreFloat(partial + (a.HeadDim * sizeof(float)), max);
        Global.StoreFloat(partial + ((a.HeadDim + 1) * sizeof(float)), weightSum);
    }

    /// <summary>Merges the splits of one head of one row, as the kernels do when they compute all of them.</summary>
    private static void Merge(AttentionArguments a)
    {
        GpuRow row = GpuRow.Load(a.Rows, Grid.IdxY);
        int first = a.Window != 0 && row.Position >= a.Window ? row.Position - a.Window + 1 : 0;
        int splits = (row.Position / a.SplitTokens) - (first / a.SplitTokens) + 1;
        for (int i = Group.IdxX; i < a.HeadDim; i += Group.DimX)
        {
            float max = float.NegativeInfinity, weightSum = 0, total = 0;
            for (int split = 0; split < splits; split++)
            {
                long partial = PartialAddress(a, Grid.IdxY, Grid.IdxX, split);
                float splitMax = Global.LoadFloat(partial + (a.HeadDim * sizeof(float)));
                float newMax = splitMax > max ? splitMax : max, oldFactor = GpuMath.Exp(max - newMax), factor = GpuMath.Exp(splitMax - newMax);
                total = Float32.Fma(total, oldFactor, Global.LoadFloat(partial + (i * sizeof(float))) * factor);
                weightSum = Float32.Fma(weightSum, oldFactor, Global.LoadFloat(partial + ((a.HeadDim + 1) * sizeof(float))) * factor);
                max = newMax;
            }
            StoreElement(a, i, total / weightSum);
        }
    }

    private static void StoreElement(AttentionArguments a, int i, float value) =>
        Global.Store2(a.Y + ((((long)Grid.IdxY * a.YStride) + (Grid.IdxX * a.HeadDim) + i) * sizeof(ushort)), Halves.Saturate(value));
}
