using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;
using static Decart.Inference.Kernels.Gpu.GpuAttentionTile;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>How a warp comes by the queries of a tile: as <see cref="GpuRotary"/> left them, or rotated by itself.</summary>
internal static class GpuAttentionQuery
{
    private const int Lanes = 32;

    /// <summary>Loads queries that lie rotated in the device's memory.</summary>
    public static Query Load(AttentionArguments a, Softmax upper, Softmax lower, int groups)
    {
        Query query = default;
        query.A = LoadFragment(a, upper, lower, 0);
        query.B = LoadFragment(a, upper, lower, 32);
        if (groups > 1) query.C = LoadFragment(a, upper, lower, 64);
        if (groups > 1) query.D = LoadFragment(a, upper, lower, 96);
        if (groups > 2) query.E = LoadFragment(a, upper, lower, 128);
        if (groups > 2) query.F = LoadFragment(a, upper, lower, 160);
        if (groups > 2) query.G = LoadFragment(a, upper, lower, 192);
        if (groups > 2) query.H = LoadFragment(a, upper, lower, 224);
        return query;
    }

    private static Fragment LoadFragment(AttentionArguments a, Softmax upper, Softmax lower, int dim) => new()
    {
        Upper = LoadHalves(a, upper, dim + (Warp.LaneIdx % 4 * 8)),
        Lower = LoadHalves(a, lower, dim + (Warp.LaneIdx % 4 * 8)),
    };

    /// <summary>Eight elements of a query; zeros behind its end and where there is no query.</summary>
    private static UInt4 LoadHalves(AttentionArguments a, Softmax query, int dim)
    {
        UInt4 halves = default;
        if (query.Position < 0 || dim >= a.HeadDim) return halves;
        long address = a.Qkv + ((((long)query.Row * a.QkvStride) + ((long)query.Head * a.HeadDim) + dim) * sizeof(float));
        Float4 x = Global.LoadFloat4(address), y = Global.LoadFloat4(address + 16);
        halves.A = Halves.SaturatePair(x.A, x.B);
        halves.B = Halves.SaturatePair(x.C, x.D);
        halves.C = Halves.SaturatePair(y.A, y.B);
        halves.D = Halves.SaturatePair(y.C, y.D);
        return halves;
    }

    /// <summary>
    /// Normalises and rotates the warp's query heads of a single token and leaves them in the warp's memory as pairs of halves; the warp that sees the
    /// token itself does the same with its key and stores that and the value. Where several do, for other query heads, they store the same.
    /// </summary>
    public static void Rotate(
        AttentionArguments a, GpuRow row, int rowNumber, int kvHead, int headTile, int group, bool stores, ArrayView<float> memory, int place, int groups, bool codes)
    {
        int lane = Warp.LaneIdx, stride = RotatedStride(groups), angles = place + (GpuTensorAttention.TileQueries * stride);
        GpuRotary.Angles(a, row, lane, Lanes, memory, angles);
        Warp.Barrier();
        long heads = a.Qkv + ((long)rowNumber * a.QkvStride * sizeof(float));
        int first = headTile * GpuTensorAttention.TileQueries, count = group - first < GpuTensorAttention.TileQueries ? group - first : GpuTensorAttention.TileQueries;
        for (int head = 0; head < count; head++)
        {
            long source = heads + ((((long)kvHead * group) + first + head) * a.HeadDim * sizeof(float));
            float factor = GpuRotary.NormFactor(source, a.QueryNorm, a.HeadDim, a.QueryEpsilon);
            for (int pair = lane; pair < groups * GroupDims / 2; pair += Lanes)
            {
                uint halves = 0;
                if (2 * pair < a.HeadDim)
                {
                    halves = Halves.SaturatePair(
                        GpuRotary.Rotated(a, source, a.QueryNorm, factor, memory, angles, 2 * pair),
                        GpuRotary.Rotated(a, source, a.QueryNorm, factor, memory, angles, (2 * pair) + 1));
                }
                memory[place + (head * stride) + pair] = Interop.IntAsFloat(halves);
            }
        }
        if (stores)
        {
            GpuRotary.StoreKeyValue(a, heads, kvHead, GpuRow.TokenAddress(row, row.Position), lane, Lanes, memory, angles, codes);
        }
        Warp.Barrier();
    }

    /// <summary>Words from one rotated query to the next: four more than it has, so that lanes meet different banks.</summary>
    private static int RotatedStride(int groups) => (groups * GroupDims / 2) + 4;

    /// <summary>Loads queries as <see cref="Rotate"/> left them.</summary>
    public static Query LoadRotated(Softmax upper, Softmax lower, ArrayView<float> memory, int place, int groups)
    {
        Query query = default;
        query.A = LoadRotatedFragment(upper, lower, memory, place, groups, 0);
        query.B = LoadRotatedFragment(upper, lower, memory, place, groups, 32);
        if (groups > 1) query.C = LoadRotatedFragment(upper, lower, memory, place, groups, 64);
        if (groups > 1) query.D = LoadRotatedFragment(upper, lower, memory, place, groups, 96);
        if (groups > 2) query.E = LoadRotatedFragment(upper, lower, memory, place, groups, 128);
        if (groups > 2) query.F = LoadRotatedFragment(upper, lower, memory, place, groups, 160);
        if (groups > 2) query.G = LoadRotatedFragment(upper, lower, memory, place, groups, 192);
        if (groups > 2) query.H = LoadRotatedFragment(upper, lower, memory, place, groups, 224);
        return query;
    }

    private static Fragment LoadRotatedFragment(Softmax upper, Softmax lower, ArrayView<float> memory, int place, int groups, int dim)
    {
        int word = place + (Warp.LaneIdx / 4 * RotatedStride(groups)) + ((dim + (Warp.LaneIdx % 4 * 8)) / 2);
        return new Fragment
        {
            Upper = LoadRotatedHalves(upper, memory, word),
            Lower = LoadRotatedHalves(lower, memory, word + (8 * RotatedStride(groups))),
        };
    }

    /// <summary>Eight elements of a query; zeros where there is no query.</summary>
    private static UInt4 LoadRotatedHalves(Softmax query, ArrayView<float> memory, int word)
    {
        UInt4 halves = default;
        if (query.Position < 0) return halves;
        halves.A = Interop.FloatAsInt(memory[word]);
        halves.B = Interop.FloatAsInt(memory[word + 1]);
        halves.C = Interop.FloatAsInt(memory[word + 2]);
        halves.D = Interop.FloatAsInt(memory[word + 3]);
        return halves;
    }
}
