using System.Numerics;
using System.Runtime.CompilerServices;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// Where the keys and values of a tile's tokens begin (layer 0). Packing is compiled once for each implementation, so that a strided range
/// costs no look-ups.
/// </summary>
internal unsafe interface ITokenRows<TSelf>
    where TSelf : unmanaged, ITokenRows<TSelf>
{
    /// <summary>The tile that begins at token <paramref name="first"/>, which there is.</summary>
    /// <param name="chunk">The tokens' sequence.</param>
    /// <param name="first">Position of the tile's first token.</param>
    /// <param name="scratch"><see cref="PagedRows.Count"/> elements, in use as long as the result is.</param>
    static abstract TSelf From(in CpuChunk chunk, int first, nint* scratch);

    /// <summary>
    /// Token <paramref name="key"/> of the tile. Up to <see cref="CpuAttentionTile.PrefetchKeys"/> beyond the tile or the sequence may be asked for, but what
    /// is no token of the sequence only to prefetch.
    /// </summary>
    float* this[int key] { get; }
}

/// <summary>Rows at equal distances, as the memory hardware shows a sequence.</summary>
internal readonly unsafe struct StridedRows(float* first, long stride) : ITokenRows<StridedRows>
{
    public float* this[int key]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => first + (key * stride);
    }

    public static StridedRows From(in CpuChunk chunk, int first, nint* scratch) => new(chunk.Token(first), chunk.Kv.TokenStride);
}

/// <summary>Rows found in a page table: each page is looked up once for a tile, and all its heads find its rows in the first-level cache.</summary>
internal readonly unsafe struct PagedRows(nint* rows) : ITokenRows<PagedRows>
{
    /// <summary>Rows that are looked up.</summary>
    public const int Count = CpuAttentionTile.Keys + CpuAttentionTile.PrefetchKeys;

    public float* this[int key]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (float*)rows[key];
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static PagedRows From(in CpuChunk chunk, int first, nint* scratch)
    {
        nint* pages = (nint*)chunk.Kv.PageTable;
        int tokensPerPage = chunk.Kv.TokensPerPage, shift = BitOperations.Log2((uint)tokensPerPage);
        nint tokenBytes = (nint)chunk.Kv.TokenStride * sizeof(float);
        int end = Math.Min(Count, chunk.EndPosition - first), key = 0;
        while (key < end)
        {
            int token = first + key, tokenOfPage = token & (tokensPerPage - 1);
            nint row = pages[token >> shift] + (tokenOfPage * tokenBytes);
            int endOfPage = Math.Min(end, key + tokensPerPage - tokenOfPage);
            for (; key < endOfPage; key++, row += tokenBytes) scratch[key] = row;
        }
        for (; key < Count; key++) scratch[key] = scratch[end - 1];
        return new PagedRows(scratch);
    }
}
