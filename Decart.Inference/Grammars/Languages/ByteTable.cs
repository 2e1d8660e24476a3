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

    /// <summary>The values of all bytes of a page, where they are all the same; it is never written to.</summary>
    public static T[] UniformPage(T item)
    {
        T[] page = new T[PageSize];
        Array.Fill(page, item);
        return page;
    }

    /// <summary>Sets the value of some bytes.</summary>
    /// <param name="values">The bytes.</param>
    /// <param name="item">The value.</param>
    /// <param name="uniform">A page of that value, to be shared.</param>
    public void Set(ByteSet values, T item, T[] uniform)
    {
        _pages ??= new T?[256 >> PageBits][];
        for (int page = 0; page < _pages.Length; page++)
        {
            int bits = values.Page(page);
            if (bits == ByteSet.FullPage)
            {
                _pages[page] = uniform;
                continue;
            }
            for (int i = 0; i < PageSize; i++)
            {
                if ((bits >> i & 1) != 0) (_pages[page] ??= new T?[PageSize])[i] = item;
            }
        }
    }

    public void Set(byte value, T item)
    {
        _pages ??= new T?[256 >> PageBits][];
        (_pages[value >> PageBits] ??= new T?[PageSize])[value & (PageSize - 1)] = item;
    }
}
