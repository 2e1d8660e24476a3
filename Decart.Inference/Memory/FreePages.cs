using System.Numerics;

namespace Decart.Inference.Memory;

/// <summary>
/// The free pages of a pool, found in runs: the system describes a run of consecutive pages at consecutive addresses as one range, so a sequence should get
/// them one after the other. Every call takes constant time.
/// </summary>
/// <remarks>
/// Pages are kept in blocks of 64, a bit for each, and blocks in lists by how many of their pages are free. A new run begins in a block that has as many
/// free pages as can be had; others that grow in that block are left room.
/// </remarks>
internal sealed class FreePages
{
    private const int None = -1;
    private const int BlockPages = 64;
    private const int Levels = 7; // by the logarithm of the number of free pages, 1 to 64

    private readonly ulong[] _free;
    private readonly int[] _next, _previous; // in the list of a block's level
    private readonly int[] _first = new int[Levels];

    /// <param name="pages">Number of pages; all are free.</param>
    public FreePages(int pages)
    {
        int blocks = (pages + BlockPages - 1) / BlockPages;
        _free = new ulong[blocks];
        _next = new int[blocks];
        _previous = new int[blocks];
        Array.Fill(_first, None);
        for (int block = blocks - 1; block >= 0; block--)
        {
            _free[block] = ulong.MaxValue >> Math.Max(0, ((block + 1) * BlockPages) - pages);
            Link(block);
        }
        Count = pages;
    }

    public int Count { get; private set; }

    public bool Contains(int page)
    {
        uint block = (uint)page / BlockPages;
        return block < (uint)_free.Length && ((_free[block] >> page) & 1) != 0;
    }

    public void Add(int page) => Change(page / BlockPages, _free[page / BlockPages] | (1UL << page), 1);

    public void Remove(int page) => Change(page / BlockPages, _free[page / BlockPages] & ~(1UL << page), -1);

    /// <summary>The longest run of free pages in a block that has as many of them as can be had.</summary>
    /// <returns>Its first page and its length, 0 when no page is free.</returns>
    public (int First, int Length) FindRun()
    {
        int level = Levels - 1;
        while (_first[level] == None)
        {
            if (--level < 0) return (None, 0);
        }
        int block = _first[level];
        (int offset, int length) = LongestRun(_free[block]);
        return ((block * BlockPages) + offset, length);
    }

    private static (int Offset, int Length) LongestRun(ulong free)
    {
        (int offset, int length) longest = (0, 0);
        int at = 0;
        while (free != 0)
        {
            int gap = BitOperations.TrailingZeroCount(free);
            at += gap;
            free >>= gap;
            int length = BitOperations.TrailingZeroCount(~free);
            if (length > longest.length) longest = (at, length);
            if (length == BlockPages) break;
            at += length;
            free >>= length;
        }
        return longest;
    }

    private static int Level(ulong free) => BitOperations.Log2((uint)BitOperations.PopCount(free));

    private void Change(int block, ulong free, int count)
    {
        ulong before = _free[block];
        bool moves = before == 0 || free == 0 || Level(before) != Level(free);
        if (moves && before != 0) Unlink(block);
        _free[block] = free;
        if (moves && free != 0) Link(block);
        Count += count;
    }

    private void Link(int block)
    {
        ref int first = ref _first[Level(_free[block])];
        (_next[block], _previous[block]) = (first, None);
        if (first != None) _previous[first] = block;
        first = block;
    }

    private void Unlink(int block)
    {
        (int next, int previous) = (_next[block], _previous[block]);
        if (previous == None) _first[Level(_free[block])] = next;
        else _next[previous] = next;
        if (next != None) _previous[next] = previous;
    }
}
