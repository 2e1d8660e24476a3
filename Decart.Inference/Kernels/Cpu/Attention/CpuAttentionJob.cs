using System.Runtime.CompilerServices;
using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// Some consecutive queries of a chunk with some consecutive key/value heads, over the keys from <paramref name="FirstKey"/> to
/// before <paramref name="EndKey"/>; either all that the queries see, or one split, whose state goes to <paramref name="Split"/>.
/// </summary>
internal readonly record struct AttentionItem(
    int Chunk, int FirstQuery, int Queries, int FirstKvHead, int KvHeads, int FirstKey, int EndKey, int Split = AttentionItem.Whole)
{
    public const int Whole = -1;
}

/// <summary>What attention needs to know, as the threads see it.</summary>
internal unsafe struct AttentionArguments
{
    public CpuChunk* Chunks;
    public float* Queries, Outputs, Scratch, Splits;
    public float* AlibiSlopes;
    public KvLayout Layout;
    public long ScratchLength;
    public nint QueryStride, OutputStride;
    public int Layer, Heads, KvHeads, HeadDim, PaddedDim, Rows, Window;
    public float Scale, SoftCap;

    public readonly int Group => Heads / KvHeads;

    public readonly long StateLength => AttentionState.Length(Rows, PaddedDim);

    /// <summary>Rows of the state for each key/value head of an item: its rows, filled up to those that are taken at once.</summary>
    public readonly int StateRows(int queries) =>
        ((queries * Group) + CpuAttentionTile.RowsAtOnce - 1) / CpuAttentionTile.RowsAtOnce * CpuAttentionTile.RowsAtOnce;

    public readonly int FirstVisible(int position) => Window == 0 ? 0 : Math.Max(0, position - Window + 1);
}

/// <summary>
/// Causal attention, softmax(scale * q k^T) v, one item at a time: as many parts as threads, each with scratch memory of its own,
/// take the next item until there is none.
/// </summary>
/// <remarks>
/// The result for a query depends on its position, the window and the keys alone, bit for bit: keys are taken in tiles, and tiles in
/// splits, that begin at fixed positions; each split's softmax starts afresh, and splits are added in ascending order.
/// A tile or split of which a query sees nothing leaves its state as it was, whatever other queries made it be visited.
/// </remarks>
internal readonly unsafe struct AttentionJob(AttentionArguments arguments, AttentionItem* items, int itemCount, int* taken, SimdWidth width) : ITeamJob
{
    /// <summary>Keys of a split, a multiple of the tile: what one thread takes when there are fewer heads than threads.</summary>
    public const int SplitKeys = 512;

    private readonly AttentionArguments _arguments = arguments;

    /// <summary>
    /// Elements of one thread's scratch memory: a tile of keys and of values, the scores of the rows taken at once with their
    /// factors, the addresses of its tokens, two states, and where there are codes the tile widened, and the addresses of that.
    /// </summary>
    public static long ScratchLength(int rows, KvLayout layout, int paddedDim)
    {
        int addresses = CpuAttentionTile.KeysAndAhead * sizeof(nint) / sizeof(float);
        long length = ((long)CpuAttentionTile.Keys * (layout.HeadDim + paddedDim + CpuAttentionTile.RowsAtOnce)) + 16 + addresses + (2 * AttentionState.Length(rows, paddedDim));
        return layout.HasCodes ? length + addresses + (CpuAttentionTile.Keys * 2 * layout.HeadBytes) : length;
    }

    /// <summary>Where the split that holds <paramref name="key"/> ends, or the keys.</summary>
    public static int EndOfSplit(int key, int endKey) => (int)Math.Min(((long)key / SplitKeys + 1) * SplitKeys, endKey);

    public void Run(int part)
    {
        switch (width)
        {
            case SimdWidth.Vector512: Run<Float32x16>(part); break;
            case SimdWidth.Vector256: Run<Float32x8>(part); break;
            case SimdWidth.Vector128: Run<Float32x4>(part); break;
            default: Run<Float32x1>(part); break;
        }
    }

    /// <summary>Adds the splits of an item, which begin at <paramref name="first"/>, in ascending order and writes the outputs.</summary>
    public static void Merge<TLanes>(in AttentionArguments arguments, AttentionItem item, int first, int count)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        AttentionState total = new(arguments.Splits + (first * arguments.StateLength), arguments.Rows, arguments.PaddedDim);
        for (int i = first + 1; i < first + count; i++)
        {
            AttentionState later = new(arguments.Splits + (i * arguments.StateLength), arguments.Rows, arguments.PaddedDim);
            total.Add<TLanes>(later, arguments.StateRows(item.Queries) * item.KvHeads);
        }
        Finish<TLanes>(arguments, item, total);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Finish<TLanes>(in AttentionArguments arguments, AttentionItem item, AttentionState state)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        int group = arguments.Group, firstRow = arguments.Chunks[item.Chunk].FirstRow + item.FirstQuery;
        for (int head = 0; head < item.KvHeads; head++)
        {
            float* outputs = arguments.Outputs + (firstRow * arguments.OutputStride) + ((nint)(item.FirstKvHead + head) * group * arguments.HeadDim);
            for (int row = 0; row < item.Queries * group; row++)
            {
                float* output = outputs + (row / group * arguments.OutputStride) + (row % group * arguments.HeadDim);
                state.Finish<TLanes>((head * arguments.StateRows(item.Queries)) + row, arguments.HeadDim, output);
            }
        }
    }

    private void Run<TLanes>(int part)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        AttentionBlock<TLanes> block = new(_arguments, _arguments.Scratch + (part * _arguments.ScratchLength));
        for (int i = Interlocked.Increment(ref *taken) - 1; i < itemCount; i = Interlocked.Increment(ref *taken) - 1)
        {
            AttentionItem item = items[i];
            if (item.Split == AttentionItem.Whole)
            {
                Finish<TLanes>(_arguments, item, block.AttendAll(item));
            }
            else
            {
                AttentionState split = new(_arguments.Splits + (item.Split * _arguments.StateLength), _arguments.Rows, _arguments.PaddedDim);
                block.AttendSplit(item, item.FirstKey, item.EndKey, split);
            }
        }
    }
}
