using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Memory;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Attention of chunks by <see cref="WarpGroup"/> (sm_90a), for heads of up to 128 elements, with the bits of <see cref="GpuDecodeAttention"/>. One warp
/// copies tiles of 64 keys and their values into a ring; two warp groups attend, 64 queries each, which stay in registers, and take turns: while the tensor
/// cores have the products of one, the other computes weights (Shah et al., 2024, "FlashAttention-3"). One group stays on each multiprocessor and takes one
/// <see cref="PromptUnit"/> after the other.
/// </summary>
/// <remarks>
/// Keys and values that are <see cref="KvCodes"/> are copied as they are, a few tiles ahead, and made halves of in shared memory by the warps that copy: 16 tokens of a tile each. Their scales are powers of two,
/// so the bits are those of <see cref="GpuDecodeAttention"/>, which scales products.
/// </remarks>
internal static class GpuPromptAttention
{
    private const int Lanes = 32, Readers = PromptUnit.WarpGroups * WarpGroup.Threads / Lanes, Threads = (Readers * Lanes) + WarpGroup.Threads;

    /// <summary>Bytes of 64 rows of 64 elements.</summary>
    private const int BlockBytes = 64 * 128;

    private const int PieceBytes = 16, PieceElements = 8, TokenScaleBytes = 2 * KvCodes.ScaleBytes;

    /// <summary>Warps that copy, and tokens of a tile that each copies where there are codes.</summary>
    private const int CopyWarps = WarpGroup.Threads / Lanes, WarpKeys = AttentionScores.TileKeys / CopyWarps;

    /// <summary>For heads of up to 64 and 128 elements, whose tokens lie at one distance from each other. Any number of groups.</summary>
    public static readonly GpuKernel<AttentionArguments> Heads64 = Create<Narrow>(Run64), Heads128 = Create<Wide>(Run128);

    /// <summary>The same wherever tokens lie.</summary>
    public static readonly GpuKernel<AttentionArguments> Paged64 = Create<Narrow>(RunPaged64), Paged128 = Create<Wide>(RunPaged128);

    /// <summary>The same for keys and values that are <see cref="KvCodes"/>.</summary>
    public static readonly GpuKernel<AttentionArguments> Codes64 = CreateForCodes<NarrowCodes>(RunCodes64), Codes128 = CreateForCodes<WideCodes>(RunCodes128);

    /// <summary>How long heads are.</summary>
    private interface IShape : IRingShape
    {
        /// <summary>Groups of 64 dimensions, 1 or 2.</summary>
        static abstract int Groups { get; }
    }

    /// <summary>The same of codes, which wait in a ring of their own for being widened.</summary>
    private interface ICodeShape : IShape
    {
        /// <summary>Tiles of codes that there is room for, a power of two; all but one are on their way.</summary>
        static abstract int CodeStages { get; }
    }

    private static GpuKernel<AttentionArguments> Create<TShape>(Action<AttentionArguments> run, int codeBytes = 0)
        where TShape : IShape => new(run, Threads)
        {
            MinArchitecture = 90,
            ForOneArchitecture = true,
            StartsEarly = true,
            SharedBytes = CodesOffset<TShape>() + codeBytes,
        };

    private static GpuKernel<AttentionArguments> CreateForCodes<TShape>(Action<AttentionArguments> run)
        where TShape : ICodeShape => Create<TShape>(run, CopyWarps * TShape.CodeStages * CodeStageBytes(TShape.Groups));

    /// <summary>Where codes lie in shared memory: behind the ring and the barriers.</summary>
    private static int CodesOffset<TShape>()
        where TShape : IShape => Ring<TShape>.Bytes + (PromptUnit.WarpGroups * MBarrier.Bytes);

    /// <summary>Bytes of the codes that a warp copies of a tile: keys, values, and both scales of each token.</summary>
    private static int CodeStageBytes(int groups) => (2 * WarpKeys * 64 * groups) + (WarpKeys * TokenScaleBytes);

    private static void Run64(AttentionArguments a) => Run<Narrow>(a, tensors: true);

    private static void Run128(AttentionArguments a) => Run<Wide>(a, tensors: true);

    private static void RunPaged64(AttentionArguments a) => Run<Narrow>(a, tensors: false);

    private static void RunPaged128(AttentionArguments a) => Run<Wide>(a, tensors: false);

    private static void RunCodes64(AttentionArguments a) => RunCodes<NarrowCodes>(a);

    private static void RunCodes128(AttentionArguments a) => RunCodes<WideCodes>(a);

    /// <param name="a">The operation.</param>
    /// <param name="tensors">Whether keys and values are copied as boxes of a tensor: a constant.</param>
    private static void Run<TShape>(AttentionArguments a, bool tensors)
        where TShape : IShape
    {
        GridDependency.LaunchDependents();
        if (!tensors && a.HeadDim < 64 * TShape.Groups) ClearPadding<TShape>();
        // By shuffles, so that the driver's compiler knows them to be the same for all lanes, and what depends on them.
        int memory = Warp.Shuffle(Shared.Base(), 0), warp = Warp.Shuffle(Group.IdxX >> 5, 0), turns = memory + Ring<TShape>.Bytes;
        if (Group.IdxX < PromptUnit.WarpGroups) MBarrier.Init(turns + (Group.IdxX * MBarrier.Bytes), WarpGroup.Threads / Lanes);
        Ring<TShape> ring = Ring<TShape>.Create(memory);
        if (warp >= Readers)
        {
            WarpGroup.LowerRegisters(24);
            GridDependency.Wait();
            if (!tensors) CopyTokens(a, ring, warp - Readers);
            else if (warp == Readers) CopyBoxes(a, ring);
        }
        else
        {
            WarpGroup.RaiseRegisters(240);
            GridDependency.Wait();
            Attend(a, ring, turns, warp >> 2);
        }
    }

    private static void RunCodes<TShape>(AttentionArguments a)
        where TShape : ICodeShape
    {
        GridDependency.LaunchDependents();
        if (a.HeadDim < 64 * TShape.Groups) ClearPadding<TShape>();
        int memory = Warp.Shuffle(Shared.Base(), 0), warp = Warp.Shuffle(Group.IdxX >> 5, 0), turns = memory + Ring<TShape>.Bytes;
        if (Group.IdxX < PromptUnit.WarpGroups) MBarrier.Init(turns + (Group.IdxX * MBarrier.Bytes), WarpGroup.Threads / Lanes);
        Ring<TShape> ring = Ring<TShape>.Create(memory);
        if (warp >= Readers)
        {
            WarpGroup.LowerRegisters(24);
            GridDependency.Wait();
            CopyCodes(a, ring, memory);
        }
        else
        {
            WarpGroup.RaiseRegisters(240);
            GridDependency.Wait();
            Attend(a, ring, turns, warp >> 2);
        }
    }

    /// <summary>Copies a warp's part of each tile of codes, some tiles ahead, and widens it into the ring.</summary>
    private static void CopyCodes<TShape>(AttentionArguments a, Ring<TShape> ring, int memory)
        where TShape : ICodeShape
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

    /// <summary>The number of the calling warp among those that copy.</summary>
    private static int CopyWarp() => (Pinned.Int(Group.IdxX) >> 5) - Readers;

    /// <summary>Where the calling warp's codes of a tile lie in shared memory.</summary>
    private static int CodeStage<TShape>(int memory, int tile)
        where TShape : ICodeShape =>
        memory + CodesOffset<TShape>() + (((CopyWarp() * TShape.CodeStages) + (tile & (TShape.CodeStages - 1))) * CodeStageBytes(TShape.Groups));

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
            long source = Warp.Shuffle(token, place) + (piece * PieceBytes);
            int destination = stage + (place * rowBytes) + (piece * PieceBytes);
            if (piece * PieceBytes < a.HeadBytes)
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
            if (piece * PieceBytes < a.HeadBytes)
            {
                WidenPiece(codes + (place * rowBytes) + (piece * PieceBytes), Halves.Lows(scales, scales), rows + (place * 128), place, piece);
                WidenPiece(codes + ((WarpKeys + place) * rowBytes) + (piece * PieceBytes), Halves.Highs(scales, scales), rows + (groups * BlockBytes) + (place * 128), place, piece);
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
        row += (piece >> 2) * BlockBytes;
        UInt4 halves = new()
        {
            A = Halves.Multiply(E4M3.Low(packed.A), scale),
            B = Halves.Multiply(E4M3.Low(packed.B), scale),
            C = Halves.Multiply(E4M3.Low(packed.C), scale),
            D = Halves.Multiply(E4M3.Low(packed.D), scale),
        };
        Shared.Store16(row + ((((2 * piece) ^ place) & 7) * PieceBytes), halves);
        halves = new UInt4
        {
            A = Halves.Multiply(E4M3.High(packed.A), scale),
            B = Halves.Multiply(E4M3.High(packed.B), scale),
            C = Halves.Multiply(E4M3.High(packed.C), scale),
            D = Halves.Multiply(E4M3.High(packed.D), scale),
        };
        Shared.Store16(row + (((((2 * piece) + 1) ^ place) & 7) * PieceBytes), halves);
    }

    /// <summary>What is behind the ends of heads is multiplied, with zeros, so it must be numbers.</summary>
    private static void ClearPadding<TShape>()
        where TShape : IShape
    {
        int end = Shared.Base() + (TShape.Stages * TShape.StageBytes);
        for (int address = Shared.Base() + (PieceBytes * Group.IdxX); address < end; address += PieceBytes * Group.DimX) Shared.Store16(address, default);
        BulkCopy.Fence();
    }

    /// <summary>The other warp group may start its products.</summary>
    private static void PassTurn(int turns, int warpGroup)
    {
        Warp.Barrier();
        if (Warp.LaneIdx == 0) MBarrier.Arrive(turns + ((warpGroup ^ 1) * MBarrier.Bytes));
    }

    /// <summary>One lane copies keys and values of a tile as boxes of 64 elements of 64 tokens.</summary>
    private static void CopyBoxes<TShape>(AttentionArguments a, Ring<TShape> ring)
        where TShape : IShape
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
                    if (TShape.Groups > 1) TensorCopy.Load3(stage + BlockBytes, map, 64, keys, key, full);
                    TensorCopy.Load3(stage + (TShape.Groups * BlockBytes), map, 0, values, key, full);
                    if (TShape.Groups > 1) TensorCopy.Load3(stage + (3 * BlockBytes), map, 64, values, key, full);
                }
                ring = Ring<TShape>.Next(ring);
            }
        }
    }

    /// <summary>Four warps copy a tile each in turn. Tokens that no query sees are replaced by some that one does.</summary>
    private static void CopyTokens<TShape>(AttentionArguments a, Ring<TShape> ring, int warp)
        where TShape : IShape
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
            long source = Warp.Shuffle(address, row) + (piece * PieceBytes);
            int destination = stage + ((piece >> 3) * BlockBytes) + (row * 128) + (((piece ^ row) & 7) * PieceBytes);
            if (piece * PieceElements < a.HeadDim)
            {
                AsyncCopy.Start16(destination, source);
                AsyncCopy.Start16(destination + (groups * BlockBytes), source + values);
            }
        }
    }

    /// <param name="a">The operation.</param>
    /// <param name="ring">Keys and values.</param>
    /// <param name="turns">For each warp group a barrier that it is its turn.</param>
    /// <param name="warpGroup">The number of the warp group.</param>
    private static void Attend<TShape>(AttentionArguments a, Ring<TShape> ring, int turns, int warpGroup)
        where TShape : IShape
    {
        int units = PromptUnit.Count(a), number = PromptUnit.Number(0), turn = turns + (warpGroup * MBarrier.Bytes), parity = 0;
        if (number >= units) return;
        if (warpGroup == 1) PassTurn(turns, 1);
        PromptUnit unit = PromptUnit.Load(a, number);
        AttentionRowOperands queries = LoadQueries(a, unit, warpGroup, TShape.Groups);
        for (int round = 1; number < units; round++)
        {
            // From the first position on some query does not see a key, before the last window some does not.
            int lastPlain = a.Plain != 0 ? unit.Position + PromptUnit.FirstIndex(unit, warpGroup) - (AttentionScores.TileKeys - 1) : -1;
            int end = PromptUnit.End(unit), firstPlain = a.Window != 0 ? end - a.Window : 0;
            int key = PromptUnit.Begin(a, unit), split = GpuSplits.Of(key), splitEnd = GpuSplits.Start(split + 1), ownEnd = Pinned.Varying(splitEnd), accumulate = 0;
            AttentionRowTotals whole = new() { Upper = AttentionSoftmax.None, Lower = AttentionSoftmax.None };
            Tile64 products = default;
            Tile128 sums = default, totals = default;

            Ring<TShape>.Await(ring);
            MBarrier.Wait(turn, parity);
            WarpGroup.Fence();
            products = Multiply(products, queries, Ring<TShape>.Stage(ring), TShape.Groups);
            WarpGroup.Commit();
            PassTurn(turns, warpGroup);
            parity ^= 1;
            // What comes next is known before it is needed.
            number = PromptUnit.Number(round);
            PromptUnit following = unit;
            if (number < units) following = PromptUnit.Load(a, number);
            WarpGroup.Wait(0);
            Tile64 scores = products;
            if (key > lastPlain || key < firstPlain) scores = AttentionRows.Score(a, scores, key, unit, warpGroup);
            AttentionRowSoftmaxes softmax = AttentionRowSoftmaxes.None;
            AttentionRows.Raise(a, scores, ref softmax);
            AttentionRowWeights weights = AttentionRows.Weigh(a, scores, ref softmax);
            for (key += AttentionScores.TileKeys; key < end; key += AttentionScores.TileKeys)
            {
                Ring<TShape> before = ring;
                ring = Ring<TShape>.Next(ring);
                Ring<TShape>.Await(ring);
                MBarrier.Wait(turn, parity);
                WarpGroup.Fence();
                products = Multiply(products, queries, Ring<TShape>.Stage(ring), TShape.Groups);
                WarpGroup.Commit();
                sums = AddValues(sums, weights, Ring<TShape>.Stage(before) + (TShape.Groups * BlockBytes), TShape.Groups, accumulate);
                WarpGroup.Commit();
                PassTurn(turns, warpGroup);
                parity ^= 1;
                accumulate = 1;
                WarpGroup.Wait(1);
                scores = products;
                if (key > lastPlain || key < firstPlain) scores = AttentionRows.Score(a, scores, key, unit, warpGroup);
                AttentionRowFactors old = default, factors = default;
                // What lanes and what the scalar unit hold changes apart.
                if (Vote.Any(key == ownEnd ? 1 : 0) != 0)
                {
                    old = Join(a, ref whole, softmax, out factors);
                    softmax = AttentionRowSoftmaxes.None;
                    ownEnd = Pinned.Varying(GpuSplits.Start(split + 2));
                }
                if (key == splitEnd)
                {
                    split++;
                    splitEnd = GpuSplits.Start(split + 1);
                    accumulate = 0;
                }
                // Mostly no maximum changes, and what sums so far are multiplied with is 1.
                int raises = AttentionRows.Exceeds(scores, softmax);
                AttentionRowFactors raised = default;
                if (raises != 0) raised = AttentionRows.Raise(a, scores, ref softmax);
                AttentionRowWeights next = AttentionRows.Weigh(a, scores, ref softmax);
                WarpGroup.ComputeFirst(AttentionRows.Any(next));
                WarpGroup.Wait(0);
                Ring<TShape>.Release(before);
                weights = next;
                if (accumulate == 0)
                {
                    totals = Merge(totals, old, sums, factors, TShape.Groups);
                }
                else if (raises != 0)
                {
                    sums.Left = AttentionRows.Scale(sums.Left, raised);
                    if (TShape.Groups > 1) sums.Right = AttentionRows.Scale(sums.Right, raised);
                }
            }
            MBarrier.Wait(turn, parity);
            WarpGroup.Fence();
            sums = AddValues(sums, weights, Ring<TShape>.Stage(ring) + (TShape.Groups * BlockBytes), TShape.Groups, accumulate);
            WarpGroup.Commit();
            PassTurn(turns, warpGroup);
            parity ^= 1;
            // The next queries come while this unit ends.
            if (number < units) queries = LoadQueries(a, following, warpGroup, TShape.Groups);
            AttentionRowFactors last = Join(a, ref whole, softmax, out AttentionRowFactors lastFactors);
            WarpGroup.Wait(0);
            Ring<TShape>.Release(ring);
            ring = Ring<TShape>.Next(ring);
            totals = Merge(totals, last, sums, lastFactors, TShape.Groups);
            Store(a, unit, warpGroup, totals, whole, TShape.Groups);
            unit = following;
        }
    }

    /// <summary>Loads the warp group's queries, in place of those that there are not some that there are; zeros behind their ends.</summary>
    private static AttentionRowOperands LoadQueries(AttentionArguments a, PromptUnit unit, int warpGroup, int groups)
    {
        int dim = (Pinned.Int(Warp.LaneIdx) & 3) * 2;
        long upper = AddressOf(a, unit, PromptUnit.Query(unit, warpGroup, AttentionRows.FirstQuery())) + (dim * sizeof(ushort));
        long lower = AddressOf(a, unit, PromptUnit.Query(unit, warpGroup, AttentionRows.FirstQuery() + 8)) + (dim * sizeof(ushort));
        AttentionRowOperands operands = default;
        operands.Left = LoadOperands(a, upper, lower, 0);
        if (groups > 1) operands.Right = LoadOperands(a, upper, lower, 64);
        return operands;
    }

    private static long AddressOf(AttentionArguments a, PromptUnit unit, PromptQuery query) =>
        GpuHeads.QueryAddress(a, query.Used != 0 ? query.Row : unit.FirstRow, query.Used != 0 ? query.Head : (unit.KvHead * unit.Group) + unit.FirstHead);

    private static AttentionRowWeights LoadOperands(AttentionArguments a, long upper, long lower, int dim) => new()
    {
        A = LoadOperand(a, upper, lower, dim),
        B = LoadOperand(a, upper, lower, dim + 16),
        C = LoadOperand(a, upper, lower, dim + 32),
        D = LoadOperand(a, upper, lower, dim + 48),
    };

    private static UInt4 LoadOperand(AttentionArguments a, long upper, long lower, int dim)
    {
        UInt4 operand = default;
        if (dim < a.HeadDim)
        {
            operand.A = (uint)Global.LoadInt(upper + (dim * sizeof(ushort)));
            operand.B = (uint)Global.LoadInt(lower + (dim * sizeof(ushort)));
        }
        if (dim + 8 < a.HeadDim)
        {
            operand.C = (uint)Global.LoadInt(upper + ((dim + 8) * sizeof(ushort)));
            operand.D = (uint)Global.LoadInt(lower + ((dim + 8) * sizeof(ushort)));
        }
        return operand;
    }

    private static Tile64 Multiply(Tile64 products, AttentionRowOperands queries, int keys, int groups)
    {
        const int Step = (int)MatrixDescriptor.Step;
        int matrix = MatrixDescriptor.CreateRows(keys), block = MatrixDescriptor.Advance(BlockBytes);
        products = WarpGroup.MultiplyRows64(products, queries.Left.A, MatrixDescriptor.Swizzled(matrix), 0);
        products = WarpGroup.MultiplyRows64(products, queries.Left.B, MatrixDescriptor.Swizzled(matrix + Step), 1);
        products = WarpGroup.MultiplyRows64(products, queries.Left.C, MatrixDescriptor.Swizzled(matrix + (2 * Step)), 1);
        products = WarpGroup.MultiplyRows64(products, queries.Left.D, MatrixDescriptor.Swizzled(matrix + (3 * Step)), 1);
        if (groups > 1) products = WarpGroup.MultiplyRows64(products, queries.Right.A, MatrixDescriptor.Swizzled(matrix + block), 1);
        if (groups > 1) products = WarpGroup.MultiplyRows64(products, queries.Right.B, MatrixDescriptor.Swizzled(matrix + block + Step), 1);
        if (groups > 1) products = WarpGroup.MultiplyRows64(products, queries.Right.C, MatrixDescriptor.Swizzled(matrix + block + (2 * Step)), 1);
        if (groups > 1) products = WarpGroup.MultiplyRows64(products, queries.Right.D, MatrixDescriptor.Swizzled(matrix + block + (3 * Step)), 1);
        return products;
    }

    private static Tile128 AddValues(Tile128 sums, AttentionRowWeights weights, int values, int groups, int accumulate)
    {
        // 16 keys are 16 rows of 128 bytes.
        int matrix = MatrixDescriptor.CreateTransposed(values, BlockBytes), step = MatrixDescriptor.Advance(16 * 128);
        if (groups > 1)
        {
            sums = WarpGroup.MultiplyTransposed128(sums, weights.A, MatrixDescriptor.Swizzled(matrix), accumulate);
            sums = WarpGroup.MultiplyTransposed128(sums, weights.B, MatrixDescriptor.Swizzled(matrix + step), 1);
            sums = WarpGroup.MultiplyTransposed128(sums, weights.C, MatrixDescriptor.Swizzled(matrix + (2 * step)), 1);
            return WarpGroup.MultiplyTransposed128(sums, weights.D, MatrixDescriptor.Swizzled(matrix + (3 * step)), 1);
        }
        sums.Left = WarpGroup.MultiplyTransposed64(sums.Left, weights.A, MatrixDescriptor.Swizzled(matrix), accumulate);
        sums.Left = WarpGroup.MultiplyTransposed64(sums.Left, weights.B, MatrixDescriptor.Swizzled(matrix + step), 1);
        sums.Left = WarpGroup.MultiplyTransposed64(sums.Left, weights.C, MatrixDescriptor.Swizzled(matrix + (2 * step)), 1);
        sums.Left = WarpGroup.MultiplyTransposed64(sums.Left, weights.D, MatrixDescriptor.Swizzled(matrix + (3 * step)), 1);
        return sums;
    }

    /// <summary>Brings the softmaxes of the rows up to date with those of a split; returns what totals so far are multiplied with.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="whole">Of the rows.</param>
    /// <param name="split">Of the split.</param>
    /// <param name="factors">What the split's sums are multiplied with.</param>
    private static AttentionRowFactors Join(AttentionArguments a, ref AttentionRowTotals whole, AttentionRowSoftmaxes split, out AttentionRowFactors factors)
    {
        AttentionJoin upper = GpuAttentionMerge.Join(whole.Upper, split.Upper.Max * a.Factor, AttentionRows.RowSum(split.Upper));
        AttentionJoin lower = GpuAttentionMerge.Join(whole.Lower, split.Lower.Max * a.Factor, AttentionRows.RowSum(split.Lower));
        whole.Upper = upper.Whole;
        whole.Lower = lower.Whole;
        factors = new AttentionRowFactors { Upper = upper.Factor, Lower = lower.Factor };
        return new AttentionRowFactors { Upper = upper.Old, Lower = lower.Old };
    }

    /// <summary>totals times <paramref name="old"/> plus sums times <paramref name="factors"/>.</summary>
    private static Tile128 Merge(Tile128 totals, AttentionRowFactors old, Tile128 sums, AttentionRowFactors factors, int groups)
    {
        // Mostly it is 1.
        if (Vote.Any(old.Upper != 1 || old.Lower != 1 ? 1 : 0) != 0)
        {
            totals.Left = AttentionRows.Scale(totals.Left, old);
            if (groups > 1) totals.Right = AttentionRows.Scale(totals.Right, old);
        }
        totals.Left = AttentionRows.Add(totals.Left, sums.Left, factors);
        if (groups > 1) totals.Right = AttentionRows.Add(totals.Right, sums.Right, factors);
        return totals;
    }

    private static void Store(AttentionArguments a, PromptUnit unit, int warpGroup, Tile128 totals, AttentionRowTotals whole, int groups)
    {
        Output upper = Output.Of(a, PromptUnit.Query(unit, warpGroup, AttentionRows.FirstQuery()), whole.Upper), lower = Output.Of(a, PromptUnit.Query(unit, warpGroup, AttentionRows.FirstQuery() + 8), whole.Lower);
        Store(a, upper, lower, totals.Left, 0);
        if (groups > 1) Store(a, upper, lower, totals.Right, 8);
    }

    private static void Store(AttentionArguments a, Output upper, Output lower, Tile64 totals, int core)
    {
        StorePairs(a, upper, lower, totals.T0, core);
        StorePairs(a, upper, lower, totals.T1, core + 1);
        StorePairs(a, upper, lower, totals.T2, core + 2);
        StorePairs(a, upper, lower, totals.T3, core + 3);
        StorePairs(a, upper, lower, totals.T4, core + 4);
        StorePairs(a, upper, lower, totals.T5, core + 5);
        StorePairs(a, upper, lower, totals.T6, core + 6);
        StorePairs(a, upper, lower, totals.T7, core + 7);
    }

    private static void StorePairs(AttentionArguments a, Output upper, Output lower, Float4 total, int core)
    {
        if (core * 8 >= a.HeadDim) return;
        Output.Store(a, upper, core, Halves.Round(total.A * upper.Inverse, total.B * upper.Inverse));
        Output.Store(a, lower, core, Halves.Round(total.C * lower.Inverse, total.D * lower.Inverse));
    }

    /// <summary>Where a query's output goes, if it is one, and what its totals are multiplied with.</summary>
    private struct Output
    {
        private long _address;
        private int _core, _used;

        public float Inverse;

        public static Output Of(AttentionArguments a, PromptQuery query, AttentionSoftmax whole) => new()
        {
            _address = a.Y + CoreTiles.OperandOffset(query.Row, 0, a.YStride, a.YBlockRows) + ((Warp.LaneIdx & 3) * 2 * sizeof(ushort)),
            _core = query.Head * (a.HeadDim >> 3),
            _used = query.Used,
            Inverse = Float32.Divide(1, whole.Sum),
        };

        /// <summary>Stores the thread's two of eight neighbouring elements, those of a row of a core matrix.</summary>
        public static void Store(AttentionArguments a, Output output, int core, uint halves)
        {
            core += output._core;
            int offset = ((core >> 3) * a.YBlockRows * CoreTiles.RowBytes) + ((core & 7) * CoreTiles.CoreBytes);
            if (output._used != 0) Global.StoreInt(output._address + offset, (int)halves);
        }
    }

    private struct Narrow : IShape
    {
        public static int Groups => 1;

        public static int Stages => 8;

        public static int StageBytes => 2 * BlockBytes;

        public static int Writers => 1;

        public static int Readers => GpuPromptAttention.Readers;
    }

    private struct NarrowCodes : ICodeShape
    {
        public static int Groups => 1;

        public static int Stages => 8;

        public static int StageBytes => 2 * BlockBytes;

        public static int Writers => CopyWarps;

        public static int Readers => GpuPromptAttention.Readers;

        public static int CodeStages => 8;
    }

    private struct WideCodes : ICodeShape
    {
        public static int Groups => 2;

        public static int Stages => 4;

        public static int StageBytes => 4 * BlockBytes;

        public static int Writers => CopyWarps;

        public static int Readers => GpuPromptAttention.Readers;

        public static int CodeStages => 4;
    }

    private struct Wide : IShape
    {
        public static int Groups => 2;

        public static int Stages => 6;

        public static int StageBytes => 4 * BlockBytes;

        public static int Writers => 1;

        public static int Readers => GpuPromptAttention.Readers;
    }
}
