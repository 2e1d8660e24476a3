using System.Runtime.InteropServices;

namespace Decart.Inference.Tokenization;

/// <summary>The symbols of one piece while they are merged; reused from piece to piece by one thread.</summary>
internal sealed class BpeWorkspace
{
    // Larger buffers than this are given back after use.
    private const int KeptSymbols = 1 << 16;
    private const int Merged = -1;
    private const int StepsBetweenChecks = 4096;

    private readonly PriorityQueue<long, long> _queue = new();
    private int[] _previous = new int[64];
    private int[] _next = new int[64];

    /// <summary>The ids of the piece's characters, in order.</summary>
    public List<int> Symbols { get; } = [];

    public void Begin()
    {
        Symbols.Clear();
        _queue.Clear(); // of what a piece left whose encoding was cancelled
        if (Symbols.Capacity <= KeptSymbols) return;
        Symbols.Capacity = 0;
        _queue.TrimExcess();
        _previous = _next = [];
    }

    /// <summary>Merges the symbols and appends what is left of them.</summary>
    public void Merge(MergeTable merges, List<int> ids, EncodingBudget budget)
    {
        Span<int> symbols = CollectionsMarshal.AsSpan(Symbols);
        if (_next.Length < symbols.Length) (_previous, _next) = (new int[Symbols.Capacity], new int[Symbols.Capacity]);
        Span<int> previous = _previous, next = _next;
        for (int i = 0; i < symbols.Length; i++)
        {
            previous[i] = i - 1;
            next[i] = i + 1;
            if (i > 0) Enqueue(merges, symbols, i - 1, i);
        }
        for (int step = 1; _queue.TryDequeue(out long pair, out long priority); step++)
        {
            if (step % StepsBetweenChecks == 0) budget.ThrowIfCancelled();
            int left = (int)(priority & int.MaxValue);
            int right = next[left];
            // The pair as it was queued may be gone: one of its symbols was merged with another neighbour.
            if (symbols[left] == Merged || right >= symbols.Length || MergeTable.Pair(symbols[left], symbols[right]) != pair) continue;
            merges.TryGet(pair, out Merge merge);
            symbols[left] = merge.Id;
            symbols[right] = Merged;
            next[left] = next[right];
            if (next[left] < symbols.Length)
            {
                previous[next[left]] = left;
                Enqueue(merges, symbols, left, next[left]);
            }
            if (previous[left] >= 0) Enqueue(merges, symbols, previous[left], left);
        }
        for (int i = 0; i < symbols.Length; i = next[i]) ids.Add(symbols[i]);
    }

    private void Enqueue(MergeTable merges, ReadOnlySpan<int> symbols, int left, int right)
    {
        long pair = MergeTable.Pair(symbols[left], symbols[right]);
        if (merges.TryGet(pair, out Merge merge)) _queue.Enqueue(pair, ((long)merge.Rank << 31) | (uint)left);
    }
}
