using System.Diagnostics.CodeAnalysis;

namespace Decart.Inference.Tokenization;

/// <summary>
/// Ids of words met before: a table with one entry a slot, so that its size is bounded; a new word replaces the one in its slot.
/// Entries are immutable and published by a single reference, so threads need no lock.
/// </summary>
internal sealed class WordCache
{
    private const int Slots = 1 << 15;
    private const int LongestWord = 48;
    private readonly Entry?[] _entries = new Entry?[Slots];

    public bool TryGet(ReadOnlySpan<char> word, [NotNullWhen(true)] out int[]? ids)
    {
        ids = null;
        if (word.Length > LongestWord) return false;
        Entry? entry = Volatile.Read(ref _entries[Slot(word)]);
        if (entry is null || !word.SequenceEqual(entry.Word)) return false;
        ids = entry.Ids;
        return true;
    }

    public void Add(ReadOnlySpan<char> word, ReadOnlySpan<int> ids)
    {
        if (word.Length > LongestWord) return;
        Volatile.Write(ref _entries[Slot(word)], new Entry(word.ToString(), ids.ToArray()));
    }

    private static int Slot(ReadOnlySpan<char> word)
    {
        uint hash = (uint)word.Length;
        foreach (char character in word) hash = (hash ^ character) * 0x9E3779B1;
        return (int)((hash ^ (hash >> 15)) & (Slots - 1));
    }

    private sealed record Entry(string Word, int[] Ids);
}
