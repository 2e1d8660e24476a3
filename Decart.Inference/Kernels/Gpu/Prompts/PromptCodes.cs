using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Memory;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Prompts;

/// <summary>Brings keys and values that are <see cref="KvCodes"/> into the ring of <see cref="GpuPromptAttention"/>, as halves.</summary>
internal static class PromptCodes
{
    private const int TokenScaleBytes = 2 * KvCodes.ScaleBytes;

    /// <summary>Tokens of a tile that each warp copies.</summary>
    private const int WarpKeys = AttentionScores.TileKeys / PromptTiles.CopyWarps;

    /// <summary>Bytes of all codes that are on their way.</summary>
    public static int Bytes<TShape>()
        where TShape : IPromptCodeRing => PromptTiles.CopyWarps * TShape.CodeStages * CodeStageBytes(TShape.Groups);

    /// <summary>Copies a warp's part of each tile of codes, some tiles ahead, and widens it into the ring.</summary>
    public static void Copy<TShape>(AttentionArguments a, Ring<TShape> ring, int memory)
        where TShape : IPromptCodeRing
    {
        // There are few registers: what can be found again is. When there are no more units, offset is where the steps end.
        int round = 0, offset = 0;
        for (int step = 0; ; step++)
        {
            if (PromptUnit.Number(round) < PromptUnit.Count(a))
            {
                PromptUnit unit = PromptUnit.Load(a, PromptUnit.Number(round));
                int key = PromptUnit.Begin(a, unit) + offset;
                StartCodes(a, unit, key + (CopyWarp() * WarpKeys), CodeStage<TShape>(memory, step), TShape.Groups);
                offset += AttentionScores.TileKeys;
                if (key + AttentionScores.TileKeys >= PromptUnit.End(unit))
                {
                    round++;
                    offset = 0;
                }
            }
            else
            {
                if (offset == 0) offset = step + TShape.CodeStages - 1;
                if (step == offset) return;
            }
            AsyncCopy.Commit();
            int ready = step - (TShape.CodeStages - 1);
            if (ready >= 0)
            {
                AsyncCopy.Wait(TShape.CodeStages - 1);
                Warp.Barrier();
                Ring<TShape> stage = Ring<TShape>.After(ring, ready);
                Ring<TShape>.AwaitEmpty(stage);
                WidenCodes(a, CodeStage<TShape>(memory, ready), Ring<TShape>.Stage(stage) + (CopyWarp() * WarpKeys * 128), TShape.Groups);
                BulkCopy.Fence();
                Warp.Barrier();
                if (Warp.LaneIdx == 0) MBarrier.Arrive(Ring<TShape>.Full(Ring<TShape>.After(ring, Pinned.Int(ready))));
            }
        }
    }

    /// <summary>Where codes lie in shared memory: behind the ring and the barriers.</summary>
    public static int Offset<TShape>()
        where TShape : IPromptRing => Ring<TShape>.Bytes + (PromptUnit.WarpGroups * MBarrier.Bytes);

    /// <summary>Bytes of the codes that a warp copies of a tile: keys, values, and both scales of each token.</summary>
    private static int CodeStageBytes(int groups) => (2 * WarpKeys * 64 * groups) + (WarpKeys * TokenScaleBytes);

    /// <summary>The number of the calling warp among those that copy.</summary>
    private static int CopyWarp() => (Pinned.Int(Group.IdxX) >> 5) - PromptTiles.Readers;

    /// <summary>Where the calling warp's codes of a tile lie in shared memory.</summary>
    private static int CodeStage<TShape>(int memory, int tile)
        where TShape : IPromptCodeRing =>
        memory + Offset<TShape>() + (((CopyWarp() * TShape.CodeStages) + (tile & (TShape.CodeStages - 1))) * CodeStageBytes(TShape.Groups));

    /// <summary>Starts the copies of the codes of 16 tokens. Tokens that no query sees are replaced by some that one does.</summary>
    private static void StartCodes(AttentionArguments a, PromptUnit unit, int key, int stage, int groups)
    {
        int lane = Pinned.Int(Warp.LaneIdx), pieces = 4 * groups, piece = lane & (pieces - 1), rowBytes = 64 * groups, end = Pinned.Int(WarpKeys);
        int first = PromptUnit.First(a, unit), last = PromptUnit.End(unit) - 1;
        GpuRow row = GpuRow.Load(a.Rows, unit.FirstRow);
        key += lane & (WarpKeys - 1);
        long token = GpuRow.TokenAddress(row, key < first ? first : key > last ? last : key);
        if (lane < WarpKeys) AsyncCopy.Start4(stage + (2 * WarpKeys * rowBytes) + (lane * TokenScaleBytes), token + GpuKv.ScaleOffset(a, unit.KvHead));
        token += GpuKv.KeyOffset(a, unit.KvHead, codes: true);
        for (int place = lane >> (groups > 1 ? 3 : 2); place < end; place += 8 / groups)
        {
            long source = Warp.Shuffle(token, place) + (piece * PromptTiles.PieceBytes);
            int destination = stage + (place * rowBytes) + (piece * PromptTiles.PieceBytes);
            if (piece * PromptTiles.PieceBytes < a.HeadBytes)
            {
                AsyncCopy.Start16(destination, source);
                AsyncCopy.Start16(destination + (WarpKeys * rowBytes), source + GpuKv.ValueBytes(a, codes: true));
            }
        }
    }

    /// <summary>Makes halves of 16 tokens' keys and values.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="codes">The codes.</param>
    /// <param name="rows">Where the first token's keys go in a stage of the ring.</param>
    /// <param name="groups">Groups of 64 dimensions.</param>
    private static void WidenCodes(AttentionArguments a, int codes, int rows, int groups)
    {
        int lane = Pinned.Int(Warp.LaneIdx), piece = lane & ((4 * groups) - 1), rowBytes = 64 * groups, end = Pinned.Int(WarpKeys);
        for (int place = lane >> (groups > 1 ? 3 : 2); place < end; place += 8 / groups)
        {
            uint scales = (uint)Shared.LoadInt(codes + (2 * WarpKeys * rowBytes) + (place * TokenScaleBytes));
            if (piece * PromptTiles.PieceBytes < a.HeadBytes)
            {
                WidenPiece(codes + (place * rowBytes) + (piece * PromptTiles.PieceBytes), Halves.Lows(scales, scales), rows + (place * 128), place, piece);
                WidenPiece(codes + ((WarpKeys + place) * rowBytes) + (piece * PromptTiles.PieceBytes), Halves.Highs(scales, scales), rows + (groups * PromptTiles.BlockBytes) + (place * 128), place, piece);
            }
        }
    }

    /// <summary>Makes halves of 16 codes: two pieces of 16 bytes.</summary>
    private static void WidenPiece(int codes, uint scale, int row, int place, int piece)
    {
        UInt4 packed = Shared.Load16(codes);
        packed.A = Integers.ChooseBytes(packed.A, 0, 0x3120);
        packed.B = Integers.ChooseBytes(packed.B, 0, 0x3120);
        packed.C = Integers.ChooseBytes(packed.C, 0, 0x3120);
        packed.D = Integers.ChooseBytes(packed.D, 0, 0x3120);
        row += (piece >> 2) * PromptTiles.BlockBytes;
        UInt4 halves = new()
        {
            A = Halves.Multiply(E4M3.Low(packed.A), scale),
            B = Halves.Multiply(E4M3.Low(packed.B), scale),
            C = Halves.Multiply(E4M3.Low(packed.C), scale),
            D = Halves.Multiply(E4M3.Low(packed.D), scale),
        };
        Shared.Store16(row + ((((2 * piece) ^ place) & 7) * PromptTiles.PieceBytes), halves);
        halves = new UInt4
        {
            A = Halves.Multiply(E4M3.High(packed.A), scale),
            B = Halves.Multiply(E4M3.High(packed.B), scale),
            C = Halves.Multiply(E4M3.High(packed.C), scale),
            D = Halves.Multiply(E4M3.High(packed.D), scale),
        };
        Shared.Store16(row + (((((2 * piece) + 1) ^ place) & 7) * PromptTiles.PieceBytes), halves);
    }
}
