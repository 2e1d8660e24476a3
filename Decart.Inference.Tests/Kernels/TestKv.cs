using System.Runtime.InteropServices;
using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Kernels;

/// <summary>
/// Keys and values of one sequence in native memory: one range, or pages in random order with gaps between them behind a page table. Every element
/// is not a number until it is written, those around the tokens for ever: disposal checks that.
/// </summary>
internal sealed unsafe class TestKv : IDisposable
{
    private const byte NotANumber = 0xFF;

    private readonly byte* _memory;
    private readonly long _bytes;
    private readonly nint* _pageTable;
    private readonly int _tokensPerPage;
    private bool _disposed;

    /// <summary>Makes room for tokens, in one range when <paramref name="tokensPerPage"/> is 0.</summary>
    public TestKv(KvLayout layout, int tokens, int tokensPerPage = 0)
    {
        (Layout, Tokens, _tokensPerPage) = (layout, tokens, tokensPerPage);
        long pageBytes = Math.Max(tokensPerPage == 0 ? tokens : tokensPerPage, 1) * layout.TokenBytes, gap = 3 * layout.ElementBytes;
        int pages = tokensPerPage == 0 ? 1 : (tokens + tokensPerPage - 1) / tokensPerPage;
        _bytes = gap + (pages * (pageBytes + gap));
        _memory = (byte*)NativeMemory.Alloc((nuint)_bytes);
        NativeMemory.Fill(_memory, (nuint)_bytes, NotANumber);
        _pageTable = (nint*)NativeMemory.Alloc((nuint)pages, (nuint)sizeof(nint));
        int[] places = [.. Enumerable.Range(0, pages)];
        new Random(tokens).Shuffle(places);
        for (int page = 0; page < pages; page++) _pageTable[page] = (nint)(_memory + gap + (places[page] * (pageBytes + gap)));
    }

    public KvLayout Layout { get; }

    public int Tokens { get; }

    public KvView View =>
        _tokensPerPage == 0 ? new KvView(_pageTable[0], Layout.TokenBytes) : new KvView(0, Layout.TokenBytes, (nint)_pageTable, _tokensPerPage);

    /// <summary>All elements of a token.</summary>
    public Span<T> Token<T>(int token)
        where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)token, (uint)Tokens);
        Assert.That(sizeof(T), Is.EqualTo(Layout.ElementBytes));
        return new Span<T>(Address(token), checked((int)(Layout.TokenBytes / sizeof(T))));
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        for (int token = 0; token < Tokens; token++) NativeMemory.Fill(Address(token), (nuint)Layout.TokenBytes, NotANumber);
        bool intact = true;
        for (long start = 0; start < _bytes; start += int.MaxValue)
            intact &= !new Span<byte>(_memory + start, (int)Math.Min(_bytes - start, int.MaxValue)).ContainsAnyExcept(NotANumber);
        NativeMemory.Free(_pageTable);
        NativeMemory.Free(_memory);
        Assert.That(intact, "nothing is written beside the tokens");
    }

    private byte* Address(int token) => _tokensPerPage == 0
        ? (byte*)_pageTable[0] + (token * Layout.TokenBytes)
        : (byte*)_pageTable[token / _tokensPerPage] + (token % _tokensPerPage * Layout.TokenBytes);
}
