using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Memory;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>What attention of one layer needs, the rotation before it included.</summary>
internal struct AttentionArguments
{
    /// <summary>Address of the number of rows (int).</summary>
    public long Count;

    public long Rows;

    /// <summary>See <see cref="GpuAttentionWork"/>.</summary>
    public long Work;

    public long Qkv;

    /// <summary>Where <see cref="GpuHeads"/> leaves queries: halves, row by row.</summary>
    public long Queries;

    /// <summary>An operand, one row for each query.</summary>
    public long Y;

    /// <summary>One for each head, or 0 without ALiBi.</summary>
    public long Slopes;

    /// <summary>
    /// Where items that are splits leave their results: for each (slot, head) [HeadDim sums, maximum, sum of the weights, two unused], slots being those of
    /// the row, one for each split that it sees.
    /// </summary>
    public long Partials;

    /// <summary>For each group of heads and each tile how many of its splits are done (int); 0 before and after.</summary>
    public long Counters;

    /// <summary>Float32 for each pair of each set; unused when <see cref="Pairs"/> is 0.</summary>
    public long InverseFrequencies;

    /// <summary>Scales of the heads' RMSNorms; 0 for none.</summary>
    public long QueryNorm, KeyNorm;

    /// <summary>See <see cref="RowMaxima"/>: where those of the rows of y are, or 0; for <see cref="GpuDecodeAttention"/> alone.</summary>
    public long Maxima;

    /// <summary>Rows of a block of y; see <see cref="CoreTiles"/>.</summary>
    public int YBlockRows;

    public int QkvStride, YStride, Layer, Heads, KvHeads, HeadDim, Window;

    /// <summary>Where keys are <see cref="KvCodes"/>: bytes of a head's, and from the start of a token to those of the layer and to its scales.</summary>
    public int HeadBytes, LayerOffset, ScaleOffset;

    /// <summary>Keys of a split.</summary>
    public int SplitTokens;

    public int Pairs, Interleaved;

    /// <summary>See <see cref="RotaryParameters"/>.</summary>
    public int FrequencySets, FirstSetLength;

    /// <summary>For the portable kernel, 1: rows are single tokens, which it rotates and stores.</summary>
    public int Rotates;

    /// <summary>1: scores are products times <see cref="Scale"/>; see <see cref="Tiles.AttentionScores"/>.</summary>
    public int Plain;

    /// <summary>What scores are multiplied with to be in units of log 2.</summary>
    public float Factor;

    public float Scale, SoftCap, RotaryScale, QueryEpsilon, KeyEpsilon;
}

/// <summary>
/// Causal attention of one query head of one row at a time: softmax by running maxima (Milakov and Gimelshein, 2018) over splits of
/// <see cref="SplitTokens"/> keys at absolute positions. In a split the warps take tiles of as many keys as they have lanes in turn, a key a lane for the
/// scores and a dimension a lane for the sums; then the warps' results are merged in order. Splits are merged in order, too: by the group where an
/// item is all splits, and else, from memory, by the group that is done last, so that a row's bits do not depend on how. Groups take units of the work
/// list in turn, whose tiles are single rows.
/// </summary>
internal static class GpuAttention
{
    public const int SplitTokens = 256;

    public const int MaxHeadDim = 256;

    /// <summary>Floats that a split leaves behind its sums: the maximum, the sum of the weights, and two that keep vectors aligned.</summary>
    public const int PartialTail = 4;

    /// <summary>Warps of the largest group, and lanes of the largest warp.</summary>
    private const int MaxWarps = 4, MaxLanes = 32;

    /// <summary>Any number of groups.</summary>
    public static readonly GpuKernel<AttentionArguments> Kernel = new(Run, groupSize: MaxWarps * MaxLanes);

    /// <summary>The same for keys and values that are <see cref="KvCodes"/>.</summary>
    public static readonly GpuKernel<AttentionArguments> CodesKernel = new(RunCodes, groupSize: MaxWarps * MaxLanes);

    /// <summary>What a split leaves for a head.</summary>
    public static long PartialAddress(AttentionArguments a, int slot, int head) =>
        a.Partials + ((((long)slot * a.Heads) + head) * (a.HeadDim + PartialTail) * sizeof(float));

    /// <summary>Merges the splits of one head of one row, as the kernels do when they compute all of them; some threads divide the elements.</summary>
    public static void MergeSplits(AttentionArguments a, int rowNumber, int head, int thread, int threads)
    {
        GpuRow row = GpuRow.Load(a.Rows, rowNumber);
        int first = a.Window != 0 && row.Position >= a.Window ? row.Position - a.Window + 1 : 0;
        int splits = (row.Position / a.SplitTokens) - (first / a.SplitTokens) + 1;
        for (int i = thread; i < a.HeadDim; i += threads)
        {
            float max = float.NegativeInfinity, weightSum = 0, total = 0;
            for (int split = 0; split < splits; split++)
            {
                long partial = PartialAddress(a, row.PartialStart + split, head);
                float splitMax = Global.LoadFloat(partial + (a.HeadDim * sizeof(float)));
                float newMax = splitMax > max ? splitMax : max, oldFactor = GpuMath.Exp(max - newMax), factor = GpuMath.Exp(splitMax - newMax);
                total = Float32.Fma(total, oldFactor, Global.LoadFloat(partial + (i * sizeof(float))) * factor);
                weightSum = Float32.Fma(weightSum, oldFactor, Global.LoadFloat(partial + ((a.HeadDim + 1) * sizeof(float))) * factor);
                max = newMax;
            }
            StoreElement(a, rowNumber, head, i, total / weightSum);
        }
    }

    private static void Run(AttentionArguments a) => Run(a, codes: false);

    private static void RunCodes(AttentionArguments a) => Run(a, codes: true);

    /// <param name="a">The operation.</param>
    /// <param name="codes">See <see cref="GpuKv"/>.</param>
    private static void Run(AttentionArguments a, bool codes)
    {
        ArrayView<float> query = SharedMemory.Allocate1D<float>(MaxHeadDim).BaseView, total = SharedMemory.Allocate1D<float>(MaxHeadDim).BaseView;
        ArrayView<float> sums = SharedMemory.Allocate1D<float>(MaxWarps * MaxHeadDim).BaseView;
        ArrayView<float> weights = SharedMemory.Allocate1D<float>(MaxWarps * MaxLanes).BaseView;
        ArrayView<float> maxima = SharedMemory.Allocate1D<float>(MaxWarps).BaseView, weightSums = SharedMemory.Allocate1D<float>(MaxWarps).BaseView;
        int items = GpuAttentionWork.Items(a.Work);
        for (int unit = Grid.IdxX; unit < items * a.Heads; unit += Grid.DimX)
        {
            RunUnit(a, unit % items, unit / items, query, total, sums, weights, maxima, weightSums, codes);
            Group.Barrier();
        }
    }

    private static void RunUnit(
        AttentionArguments a, int item, int head, ArrayView<float> query, ArrayView<float> total, ArrayView<float> sums, ArrayView<float> weights,
        ArrayView<float> maxima, ArrayView<float> weightSums, bool codes)
    {
        int warp = Group.IdxX / Warp.WarpSize, warps = Group.DimX / Warp.WarpSize;
        int tileNumber = GpuAttentionWork.TileOf(a.Work, item);
        GpuTile tile = GpuAttentionWork.Load(a.Work, tileNumber);
        GpuRow row = GpuRow.Load(a.Rows, tile.FirstRow);
        int first = a.Window != 0 && row.Position >= a.Window ? row.Position - a.Window + 1 : 0;
        int split = first / SplitTokens, lastSplit = row.Position / SplitTokens;
        bool divided = tile.Items > 1;
        if (divided) split += item - tile.FirstItem;
        bool hasLastSplit = !divided || split == lastSplit;
        if (divided) lastSplit = split;
        float slope = a.Slopes != 0 ? Global.LoadFloat(a.Slopes + (head * sizeof(float))) : 0;
        int kvHead = head / (a.Heads / a.KvHeads);
        if (a.Rotates != 0) Rotate(a, row, tile.FirstRow, head, hasLastSplit, query, sums, codes);
        for (int i = Group.IdxX; i < a.HeadDim; i += Group.DimX)
        {
            if (a.Rotates == 0) query[i] = Global.LoadFloat(a.Qkv + ((((long)tile.FirstRow * a.QkvStride) + (head * a.HeadDim) + i) * sizeof(float)));
            total[i] = 0;
        }
        Group.Barrier();

        ArrayView<float> ownSums = sums.SubView(warp * MaxHeadDim, MaxHeadDim), ownWeights = weights.SubView(warp * MaxLanes, MaxLanes);
        float max = float.NegativeInfinity, weightSum = 0;
        for (; split <= lastSplit; split++)
        {
            SumTiles(a, row, first, split, kvHead, codes, slope, query, ownSums, ownWeights, maxima, weightSums);
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
                total[i] = divided ? sum : Float32.Fma(total[i], oldFactor, sum * factor);
            }
            weightSum = divided ? splitSum : Float32.Fma(weightSum, oldFactor, splitSum * factor);
            max = newMax;
            Group.Barrier();
        }
        if (!divided)
        {
            for (int i = Group.IdxX; i < a.HeadDim; i += Group.DimX) StoreElement(a, tile.FirstRow, head, i, total[i] / weightSum);
            return;
        }
        StorePartial(a, row.PartialStart + item - tile.FirstItem, head, total, max, weightSum);
        if (IsLast(a, tileNumber, tile.Items, head, weights)) MergeSplits(a, tile.FirstRow, head, Group.IdxX, Group.DimX);
    }

    /// <summary>
    /// Leaves the query of a single token, normalised and rotated, in shared memory; the groups that see the token itself store its key and value, those
    /// of heads that share them the same.
    /// </summary>
    private static void Rotate(
        AttentionArguments a, GpuRow row, int rowNumber, int head, bool stores, ArrayView<float> query, ArrayView<float> angles, bool codes)
    {
        GpuRotary.Angles(a, row, Group.IdxX, Group.DimX, angles, 0);
        Group.Barrier();
        long heads = a.Qkv + ((long)rowNumber * a.QkvStride * sizeof(float)), source = heads + ((long)head * a.HeadDim * sizeof(float));
        float factor = GpuRotary.NormFactor(source, a.QueryNorm, a.HeadDim, a.QueryEpsilon);
        for (int i = Group.IdxX; i < a.HeadDim; i += Group.DimX) query[i] = GpuRotary.Rotated(a, source, a.QueryNorm, factor, angles, 0, i);
        if (stores)
        {
            GpuRotary.StoreKeyValue(a, heads, head / (a.Heads / a.KvHeads), GpuRow.TokenAddress(row, row.Position), Group.IdxX, Group.DimX, angles, 0, codes);
        }
        Group.Barrier();
    }

    /// <summary>Whether the group is the last that is done with an item of a tile; if so it sees what the others have stored.</summary>
    private static bool IsLast(AttentionArguments a, int tile, int items, int head, ArrayView<float> memory)
    {
        long counter = a.Counters + ((((long)head * Global.LoadInt(a.Work)) + tile) * sizeof(int));
        Group.Barrier();
        if (Group.IdxX == 0) memory[0] = Global.AddOrdered(counter, 1);
        Group.Barrier();
        if ((int)memory[0] != items - 1) return false;
        if (Group.IdxX == 0) Global.StoreInt(counter, 0);
        return true;
    }

    /// <summary>What the calling warp contributes to a split: its sums, and at its place the maximum and the sum of the weights.</summary>
    private static void SumTiles(
        AttentionArguments a, GpuRow row, int first, int split, int kvHead, bool codes, float slope,
        ArrayView<float> query, ArrayView<float> sums, ArrayView<float> weights, ArrayView<float> maxima, ArrayView<float> weightSums)
    {
        int lane = Warp.LaneIdx, lanes = Warp.WarpSize, warp = Group.IdxX / lanes, end = row.Position + 1;
        if (end > (split + 1) * SplitTokens) end = (split + 1) * SplitTokens;
        long keys = GpuKv.KeyOffset(a, kvHead, codes), values = keys + GpuKv.ValueBytes(a, codes), scales = GpuKv.ScaleOffset(a, kvHead);
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
                if (visible) score = Score(a, GpuRow.TokenAddress(row, key), keys, scales, codes, query, slope, key - row.Position);
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
                        long token = GpuRow.TokenAddress(row, j);
                        float value = codes
                            ? GpuKv.LoadElement(token + values, i, GpuKv.LoadScale(token + scales + KvCodes.ScaleBytes))
                            : Halves.Low(Global.Load2(token + values + (i * sizeof(ushort))));
                        sum = Float32.Fma(weights[j - tile], value, sum);
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

    private static float Score(AttentionArguments a, long token, long keys, long scales, bool codes, ArrayView<float> query, float slope, int distance)
    {
        uint scale = 0;
        if (codes) scale = GpuKv.LoadScale(token + scales);
        float score = (a.HeadDim % 8 == 0 ? DotVectors(token + keys, scale, codes, query, a.HeadDim) : DotElements(token + keys, scale, codes, query, a.HeadDim)) * a.Scale;
        if (a.SoftCap != 0) score = GpuMath.SoftCap(score, a.SoftCap);
        return Float32.Fma(slope, distance, score);
    }

    private static float DotVectors(long key, uint scale, bool codes, ArrayView<float> query, int headDim)
    {
        float sum = 0;
        for (int i = 0; i < headDim; i += 8)
        {
            UInt4 k = codes ? GpuKv.LoadEight(key, i, scale) : Global.Load16(key + (i * sizeof(ushort)));
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

    private static float DotElements(long key, uint scale, bool codes, ArrayView<float> query, int headDim)
    {
        float sum = 0;
        for (int i = 0; i < headDim; i++)
        {
            float element = codes ? GpuKv.LoadElement(key, i, scale) : Halves.Low(Global.Load2(key + (i * sizeof(ushort))));
            sum = Float32.Fma(element, query[i], sum);
        }
        return sum;
    }

    private static void StorePartial(AttentionArguments a, int slot, int head, ArrayView<float> total, float max, float weightSum)
    {
        long partial = PartialAddress(a, slot, head);
        for (int i = Group.IdxX; i < a.HeadDim; i += Group.DimX) Global.StoreFloat(partial + (i * sizeof(float)), total[i]);
        if (Group.IdxX != 0) return;
        Global.StoreFloat(partial + (a.HeadDim * sizeof(float)), max);
        Global.StoreFloat(partial + ((a.HeadDim + 1) * sizeof(float)), weightSum);
    }

    private static void StoreElement(AttentionArguments a, int row, int head, int i, float value) =>
        Global.Store2(a.Y + CoreTiles.OperandOffset(row, (head * a.HeadDim) + i, a.YStride, a.YBlockRows), Halves.Saturate(value));
}
