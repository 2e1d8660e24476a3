using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Prompts;

/// <summary>Brings keys and values of 16 bits into the ring of <see cref="GpuPromptAttention"/>.</summary>
internal static class PromptCopies
{
    private const int Lanes = 32, PieceElements = 8;

    /// <summary>One lane copies keys and values of a tile as boxes of 64 elements of 64 tokens.</summary>
    public static void CopyBoxes<TShape>(AttentionArguments a, Ring<TShape> ring)
        where TShape : IPromptRing
    {
        int units = PromptUnit.Count(a);
        long known = 0;
        for (int round = 0; PromptUnit.Number(round) < units; round++)
        {
            PromptUnit unit = PromptUnit.Load(a, PromptUnit.Number(round));
            long map = GpuRow.LoadMap(a.Rows, unit.FirstRow);
            if (map != known) TensorCopy.Acquire(map);
            known = map;
            int keys = (a.Layer * 2 * a.KvHeads) + unit.KvHead, values = keys + a.KvHeads;
            for (int key = PromptUnit.Begin(a, unit); key < PromptUnit.End(unit); key += AttentionScores.TileKeys)
            {
                Ring<TShape>.BeginFill(ring, TShape.StageBytes);
                if (Warp.LaneIdx == 0)
                {
                    int stage = Ring<TShape>.Stage(ring), full = Ring<TShape>.Full(ring);
                    TensorCopy.Load3(stage, map, 0, keys, key, full);
                    if (TShape.Groups > 1) TensorCopy.Load3(stage + PromptTiles.BlockBytes, map, 64, keys, key, full);
                    TensorCopy.Load3(stage + (TShape.Groups * PromptTiles.BlockBytes), map, 0, values, key, full);
                    if (TShape.Groups > 1) TensorCopy.Load3(stage + (3 * PromptTiles.BlockBytes), map, 64, values, key, full);
                }
                ring = Ring<TShape>.Next(ring);
            }
        }
    }

    /// <summary>Four warps copy a tile each in turn. Tokens that no query sees are replaced by some that one does.</summary>
    public static void CopyTokens<TShape>(AttentionArguments a, Ring<TShape> ring, int warp)
        where TShape : IPromptRing
    {
        int tile = 0;
        for (int round = 0; PromptUnit.Number(round) < PromptUnit.Count(a); round++)
        {
            PromptUnit unit = PromptUnit.Load(a, PromptUnit.Number(round));
            // Half a tile at a time: a token a lane.
            for (int key = PromptUnit.Begin(a, unit); (key & -AttentionScores.TileKeys) < PromptUnit.End(unit); key += Lanes)
            {
                Ring<TShape> stage = Ring<TShape>.After(ring, tile);
                bool ends = (key & Lanes) != 0;
                if ((tile & 3) == warp)
                {
                    if (!ends) Ring<TShape>.AwaitEmpty(stage);
                    CopyRows(a, AddressOf(a, unit, key), Ring<TShape>.Stage(stage) + ((key & Lanes) * 128), TShape.Groups);
                    if (ends) EndCopies(Ring<TShape>.Full(stage));
                }
                if (ends) tile++;
            }
        }
    }

    /// <summary>Waits for a warp's copies and says that they are there.</summary>
    private static void EndCopies(int full)
    {
        AsyncCopy.Commit();
        AsyncCopy.Wait(0);
        BulkCopy.Fence();
        Warp.Barrier();
        if (Warp.LaneIdx == 0) MBarrier.Arrive(full);
    }

    /// <summary>Where the head of a lane's token lies, of 32 from <paramref name="key"/> on.</summary>
    private static long AddressOf(AttentionArguments a, PromptUnit unit, int key)
    {
        // There are few registers, and nothing here is worth one all along.
        a.Layer = Pinned.Int(a.Layer);
        unit.Position = Pinned.Int(unit.Position);
        int first = PromptUnit.First(a, unit), last = PromptUnit.End(unit) - 1;
        key += Pinned.Int(Warp.LaneIdx);
        GpuRow row = GpuRow.Load(a.Rows, Pinned.Int(unit.FirstRow));
        int offset = ((a.Layer * 2 * a.KvHeads) + unit.KvHead) * a.HeadDim * sizeof(ushort);
        return GpuRow.TokenAddress(row, key < first ? first : key > last ? last : key) + offset;
    }

    /// <summary>Starts the copies of keys and values of 32 tokens, of each of which a lane has the address.</summary>
    private static void CopyRows(AttentionArguments a, long address, int stage, int groups)
    {
        int lane = Pinned.Int(Warp.LaneIdx), pieces = PieceElements * groups, piece = lane & (pieces - 1), step = 4 / groups, end = Pinned.Int(Lanes);
        int values = Pinned.Int(a.KvHeads) * a.HeadDim * sizeof(ushort);
        for (int row = lane >> (groups > 1 ? 4 : 3); row < end; row += step)
        {
            long source = Warp.Shuffle(address, row) + (piece * PromptTiles.PieceBytes);
            int destination = stage + ((piece >> 3) * PromptTiles.BlockBytes) + (row * 128) + (((piece ^ row) & 7) * PromptTiles.PieceBytes);
            if (piece * PieceElements < a.HeadDim)
            {
                AsyncCopy.Start16(destination, source);
                AsyncCopy.Start16(destination + (groups * PromptTiles.BlockBytes), source + values);
            }
        }
    }

    /// <summary>What is behind the ends of heads is multiplied, with zeros, so it must be numbers.</summary>
    public static void ClearPadding<TShape>()
        where TShape : IPromptRing
    {
        int end = Shared.Base() + (TShape.Stages * TShape.StageBytes);
        for (int address = Shared.Base() + (PromptTiles.PieceBytes * Group.IdxX); address < end; address += PromptTiles.PieceBytes * Group.DimX) Shared.Store16(address, default);
        BulkCopy.Fence();
    }
}
