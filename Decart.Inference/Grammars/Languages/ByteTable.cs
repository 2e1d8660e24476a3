using System.Runtime.CompilerServices;

namespace Decart.Inference.Grammars.Languages;

/// <summary>A value for each byte, in pages that are made when the first of their bytes is set: most tables have few.</summary>
internal struct ByteTable<T>
    where T : class
{
    private const int PageBits = 4, PageSize = 1 << PageBits;

    private T?[]?[]? _pages;

    public readonly T? this[byte value]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => _pages?[value >> PageBits]?[value & (PageSize - 1)];
    }

    public void Set(byte value, T item)
    {
        _pages ??= new T?[256 >> PageBits][];
        (_pages[value >> PageBits] ??= new T?[PageSize])[value & (PageSize - 1)] = item;
    }
}
