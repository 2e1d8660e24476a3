namespace Decart.Inference.Memory;

/// <summary>
/// Pages in one plain allocation, found through a table of addresses for each slot that kernels look up: what is left where the
/// hardware's paging cannot be used (Kwon et al., PagedAttention, 2023). Everything is carried out at once.
/// </summary>
internal sealed unsafe class TablePageMap : IPageMap
{
    private readonly IDeviceMemory _memory;
    private readonly long _tokenBytes;
    private readonly long _tableBytes;
    private readonly nint _pages;
    private readonly nint[] _tables;
    private bool _disposed;

    /// <param name="memory">Where pages and tables are allocated.</param>
    /// <param name="layout">The layout of a token.</param>
    /// <param name="pages">Number of pages.</param>
    /// <param name="slots">Number of slots.</param>
    /// <param name="slotTokens">The most tokens of a slot.</param>
    /// <exception cref="OutOfMemoryException">There is not that much memory.</exception>
    public TablePageMap(IDeviceMemory memory, KvLayout layout, int pages, int slots, int slotTokens)
    {
        _memory = memory;
        _tokenBytes = layout.TokenBytes;
        Geometry = PageGeometry.ForTable(layout.TokenBytes);
        Pages = pages;
        _tables = new nint[slots];
        _tableBytes = (long)Geometry.PagesFor(slotTokens) * sizeof(nint);
        _pages = memory.Allocate(pages * Geometry.PageBytes);
    }

    public PageGeometry Geometry { get; }

    public int Pages { get; }

    public int Slots => _tables.Length;

    public long LastTicket => 0;

    public AddressRangeShare Ranges { get; } = AddressRanges.Unlimited.Open(fixedCount: 0);

    public KvView View(int slot) => new(0, _tokenBytes, Table(slot), PageGeometry.TableTokensPerPage);

    public long Map(int slot, int index, int page, int freedRanges = 0)
    {
        nint address = Address(page);
        _memory.Copy(Table(slot) + (index * sizeof(nint)), (nint)(&address), sizeof(nint));
        return 0;
    }

    public long Copy(int slot, int index, int source, long bytes)
    {
        nint destination;
        _memory.Copy((nint)(&destination), Table(slot) + (index * sizeof(nint)), sizeof(nint));
        _memory.Copy(destination, Address(source), bytes);
        return 0;
    }

    /// <summary>Does nothing: the table's entries are not looked up until they are written again.</summary>
    public long Unmap(int slot, int index, int count, int freedRanges = 0) => 0;

    public void Start()
    {
    }

    public void Finish()
    {
    }

    public void Wait(int slot, long since, long ticket)
    {
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        Ranges.Dispose();
        foreach (nint table in _tables)
        {
            if (table != 0) _memory.Free(table);
        }
        _memory.Free(_pages);
    }

    private nint Address(int page) => _pages + (nint)(page * Geometry.PageBytes);

    private nint Table(int slot) => _tables[slot] != 0 ? _tables[slot] : _tables[slot] = _memory.Allocate(_tableBytes);
}
