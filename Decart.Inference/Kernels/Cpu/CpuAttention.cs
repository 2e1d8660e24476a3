using System.Runtime.CompilerServices;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// Some consecutive queries of a chunk with some consecutive key/value heads, over the keys from <paramref name="FirstKey"/> to
/// before <paramref name="EndKey"/>; either all that the queries see, or one segment, whose state goes to <paramref name="Segment"/>.
/// </summary>
internal readonly record struct AttentionItem(
    int Chunk, int FirstQuery, int Queries, int FirstKvHead, int KvHeads, int FirstKey, int EndKey, int Segment = AttentionItem.Whole)
{
    public const int Whole = -1;
}

/// <summary>What attention needs to know, as the threads see it.</summary>
internal unsafe struct AttentionArguments
{
    public CpuChunk* Chunks;
    public float* Queries, Outputs, Scratch, Segments;
    public float* AlibiSlopes;
    public long ScratchLength;
    public nint QueryStride, OutputStride;
    public int Layer, Heads, KvHeads, HeadDim, PaddedDim, Rows, Window;
    public float Scale, SoftCap;

    public readonly int Group => Heads / KvHeads;

    public readonly long StateLength => AttentionState.Length(Rows, PaddedDim);

    public readonly int FirstVisible(int position) => Window == 0 ? 0 : Math.Max(0, position - Window + 1);
}

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

    public static long Length(int rows, int paddedDim) => (long)rows * (1 + MaxLanes + paddedDim) + MaxLanes;

    public float* Greatest(int row) => Memory + row;

    public float* Sums(int row) => Memory + AlignedRows + ((long)row * MaxLanes);

    public float* Values(int row) => Memory + AlignedRows + ((long)rows * MaxLanes) + ((long)row * paddedDim);

    private int AlignedRows => (rows + MaxLanes - 1) / MaxLanes * MaxLanes;

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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Combine<TLanes>(float* x, TLanes xFactor, float* y, TLanes yFactor, int count)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        for (int i = 0; i < count; i += TLanes.Count) TLanes.MultiplyAdd(TLanes.Load(y + i), yFactor, TLanes.Load(x + i) * xFactor).Store(x + i);
    }
}

/// <summary>
/// Causal attention, softmax(scale * q k^T) v, one item at a time: as many parts as threads, each with scratch memory of its own,
/// take the next item until there is none.
/// </summary>
/// <remarks>
/// The result for a query depends on its position, the window and the keys alone, bit for bit: keys are taken in tiles, and tiles in
/// segments, that begin at fixed positions; each segment's softmax starts afresh, and segments are added in ascending order.
/// A tile or segment of which a query sees nothing leaves its state as it was, whatever other queries made it be visited.
/// </remarks>
internal readonly unsafe struct AttentionJob(AttentionArguments arguments, AttentionItem* items, int itemCount, int* taken, SimdWidth width) : ITeamJob
{
    /// <summary>Keys of a segment, a multiple of the tile: what one thread takes when there are fewer heads than threads.</summary>
    public const int SegmentKeys = 512;

    private readonly AttentionArguments _arguments = arguments;

    /// <summary>Elements of one thread's scratch memory: a tile of keys and of values, the scores of the rows taken at once with their factors, two states.</summary>
    public static long ScratchLength(int rows, int headDim, int paddedDim) =>
        ((long)CpuAttentionTile.Keys * (headDim + paddedDim + CpuAttentionTile.RowsAtOnce)) + 16 + (2 * AttentionState.Length(rows, paddedDim));

    public void Run(int part)
    {
        switch (width)
        {
            case SimdWidth.Bits512: Run<Lanes512>(part); break;
            case SimdWidth.Bits256: Run<Lanes256>(part); break;
            default: Run<Lanes1>(part); break;
        }
    }

    /// <summary>Adds the segments of an item, which begin at <paramref name="first"/>, in ascending order and writes the outputs.</summary>
    public static void Merge<TLanes>(in AttentionArguments arguments, AttentionItem item, int first, int count)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        AttentionState total = new(arguments.Segments + (first * arguments.StateLength), arguments.Rows, arguments.PaddedDim);
        for (int i = first + 1; i < first + count; i++)
        {
            total.Add<TLanes>(new(arguments.Segments + (i * arguments.StateLength), arguments.Rows, arguments.PaddedDim), Rows(arguments, item));
        }
        Finish<TLanes>(arguments, item, total);
    }

    private static int Rows(in AttentionArguments arguments, AttentionItem item) => item.Queries * arguments.Group * item.KvHeads;

    private static void Finish<TLanes>(in AttentionArguments arguments, AttentionItem item, AttentionState state)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        int group = arguments.Group, rowsOfHead = item.Queries * group, firstRow = arguments.Chunks[item.Chunk].FirstRow + item.FirstQuery;
        for (int row = 0; row < rowsOfHead * item.KvHeads; row++)
        {
            int query = row % rowsOfHead / group, head = ((item.FirstKvHead + (row / rowsOfHead)) * group) + (row % group);
            state.Finish<TLanes>(row, arguments.HeadDim, arguments.Outputs + ((firstRow + query) * arguments.OutputStride) + ((nint)head * arguments.HeadDim));
        }
    }

    private void Run<TLanes>(int part)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        AttentionBlock<TLanes> block = new(_arguments, _arguments.Scratch + (part * _arguments.ScratchLength));
        for (int i = Interlocked.Increment(ref *taken) - 1; i < itemCount; i = Interlocked.Increment(ref *taken) - 1)
        {
            AttentionItem item = items[i];
            if (item.Segment == AttentionItem.Whole)
            {
                Finish<TLanes>(_arguments, item, block.AttendAll(item));
            }
            else
            {
                AttentionState segment = new(_arguments.Segments + (item.Segment * _arguments.StateLength), _arguments.Rows, _arguments.PaddedDim);
                block.AttendSegment(item, item.FirstKey, item.EndKey, segment);
            }
        }
    }
}
