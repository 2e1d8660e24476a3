using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// A block of rows that one expert is multiplied with. In the device's memory their number stands first (int), then that of their rows, gaps included, then for each its expert
/// and where its rows end (ints). Blocks of an expert are neighbours; all but the last are full.
/// </summary>
internal struct ExpertBlock
{
    private const int HeadBytes = 2 * sizeof(int), EntryBytes = 2 * sizeof(int);

    public int Expert, End;

    /// <summary>Bytes of so many blocks.</summary>
    public static long Bytes(int blocks) => HeadBytes + ((long)blocks * EntryBytes);

    public static int Count(long blocks) => Global.LoadInt(blocks);

    /// <summary>Where the number of rows stands.</summary>
    public static long RowsAddress(long blocks) => blocks + sizeof(int);

    public static ExpertBlock Load(long blocks, int index)
    {
        long entry = Address(blocks, index);
        return new ExpertBlock { Expert = Global.LoadInt(entry), End = Global.LoadInt(entry + sizeof(int)) };
    }

    public static void Store(long blocks, int index, ExpertBlock block)
    {
        long entry = Address(blocks, index);
        Global.StoreInt(entry, block.Expert);
        Global.StoreInt(entry + sizeof(int), block.End);
    }

    public static void StoreCount(long blocks, int count, int rows)
    {
        Global.StoreInt(blocks, count);
        Global.StoreInt(RowsAddress(blocks), rows);
    }

    /// <summary>The weight that a block of rows is multiplied with, an expert's or the only one, and where its rows end: at 0 if there is no such block.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="index">The block, where there are experts.</param>
    public static (long Weight, int End) Find(MatMulArguments a, int index)
    {
        if (a.ExpertBlocks == 0) return (a.Weight, Global.LoadInt(a.Count));
        if (index >= Count(a.ExpertBlocks)) return (0, 0);
        ExpertBlock block = Load(a.ExpertBlocks, index);
        return (Weight(a, block), block.End);
    }

    /// <summary>The address of the weight of the block's expert.</summary>
    public static long Weight(MatMulArguments a, ExpertBlock block) => Global.LoadLong(a.Weight + ((long)block.Expert * sizeof(long)));

    private static long Address(long blocks, int index) => blocks + HeadBytes + ((long)index * EntryBytes);
}
