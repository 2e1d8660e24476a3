using System.Numerics;
using System.Runtime.CompilerServices;

namespace Decart.Inference.Tokenization;

/// <summary>The result of merging a pair of symbols; the lowest rank is merged first.</summary>
internal readonly record struct Merge(int Rank, int Id);

/// <summary>
/// What pairs of symbols become: a hash table with open addressing, at most half full. The hash is drawn anew for each table, so
/// that no file can be made to collide.
/// </summary>
internal sealed class MergeTable
{
    private const long Empty = -1;

    private readonly ulong _multiplier = (ulong)Random.Shared.NextInt64() | 1;
    private readonly Slot[] _slots;
    private readonly int _shift;

    /// <param name="capacity">The most pairs that will be added.</param>
    public MergeTable(int capacity)
    {
        int bits = Math.Max(4, BitOperations.Log2((uint)capacity) + 2);
        _slots = new Slot[1 << bits];
        _slots.AsSpan().Fill(new Slot(Empty, default));
        _shift = 64 - bits;
    }

    /// <summary>The merges that were added, in no particular order.</summary>
    public IEnumerable<Merge> Merges => _slots.Where(slot => slot.Pair != Empty).Select(slot => slot.Merge);

    /// <summary>The key of a pair of adjacent symbols.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Pair(int left, int right) => ((long)left << 32) | (uint)right;

    /// <summary>Adds a pair, or replaces what it becomes.</summary>
    public void Set(int left, int right, Merge merge)
    {
        long pair = Pair(left, right);
        _slots[Find(pair)] = new Slot(pair, merge);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryGet(long pair, out Merge merge)
    {
        ref readonly Slot slot = ref _slots[Find(pair)];
        merge = slot.Merge;
        return slot.Pair == pair;
    }

    /// <summary>The slot of a pair, or the empty one where it belongs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Find(long pair)
    {
        Slot[] slots = _slots;
        int index = (int)(((ulong)pair * _multiplier) >> _shift);
        while (slots[index].Pair != pair && slots[index].Pair != Empty) index = (index + 1) & (slots.Length - 1);
        return index;
    }

    private readonly record struct Slot(long Pair, Merge Merge);
}
