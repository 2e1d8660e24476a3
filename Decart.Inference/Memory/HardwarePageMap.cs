using System.Runtime.ExceptionServices;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Memory;

/// <summary>
/// Pages mapped by the memory management unit under one huge reservation, in which every slot owns an equal range: kernels see a plain
/// array. Before and after each slot one page of addresses stays empty. Mapping costs microseconds a page, so a helper thread does it ahead of need, woken once a step; whoever has to wait does what is left itself.
/// </summary>
internal sealed class HardwarePageMap : IPageMap
{
    /// <summary>The reservation and the window.</summary>
    private const int FixedRanges = 2;

    private readonly IVirtualMemory _memory;
    private readonly ILogger _logger;
    private Exception? _logFailure;
    private readonly nint[] _pages;
    private readonly nint _base;
    private readonly nint _window; // where a page is mapped while it is copied from
    private bool _windowMapped;
    private readonly long _slotBytes;
    private readonly long _tokenBytes;
    private readonly IDeviceMemory _device;
    private readonly Thread _helper;

    private Queue<Call> _asked = []; // of the calling thread alone, as the next: a call costs no lock, they are handed over together
    private long _issued, _started;

    private readonly object _gate = new(); // guards _calls, _starting and _stopping
    private Queue<Call> _calls = [];
    private bool _starting;
    private bool _stopping;

    private readonly object _executing = new(); // held by the thread that carries out calls; guards _taken and _mapped
    private Queue<Call> _taken = []; // what comes before _calls: taken all at once, so that the gate is seldom contended
    private readonly List<int>[] _mapped; // for each slot and index the page that is mapped there
    private readonly Fault?[] _faults;
    private long _completed;
    private Exception? _unmapError;
    private bool _disposed;

    /// <summary>Creates the pages and reserves the addresses. Takes ownership of the virtual memory, also when it fails.</summary>
    /// <param name="memory">Creates and maps pages of the geometry's size.</param>
    /// <param name="device">Copies.</param>
    /// <param name="layout">The layout of a token.</param>
    /// <param name="pages">Number of pages.</param>
    /// <param name="slots">Number of slots wanted; there are at least <paramref name="minSlots"/>, fewer than wanted where addresses are short.</param>
    /// <param name="minSlots">Number of slots needed.</param>
    /// <param name="slotTokens">The most tokens of a slot.</param>
    /// <param name="logger">Logs what fails when no caller waits for it.</param>
    /// <exception cref="VirtualMemoryException">There is not enough memory, or there are not enough addresses.</exception>
    public HardwarePageMap(
        IVirtualMemory memory, IDeviceMemory device, KvLayout layout, int pages, int slots, int minSlots, int slotTokens, ILogger logger)
    {
        (_memory, _device, _logger) = (memory, device, logger);
        _tokenBytes = layout.TokenBytes;
        Geometry = new PageGeometry(memory.PageBytes, layout.TokenBytes);
        _slotBytes = (Geometry.PagesFor(slotTokens) + 1L) * Geometry.PageBytes;
        _pages = new nint[pages];
        try
        {
            _base = Reserve(ref slots, minSlots) + (nint)Geometry.PageBytes;
            _window = _memory.Reserve(Geometry.PageBytes);
            for (int i = 0; i < pages; i++) _pages[i] = _memory.CreatePage();
            Slots = slots;
            _mapped = new List<int>[slots];
            _faults = new Fault?[slots];
            _helper = new Thread(Help) { IsBackground = true, Name = "Decart.Inference pages" };
            _helper.Start();
        }
        catch
        {
            _memory.Dispose();
            throw;
        }
        Ranges = device.Ranges.Open(FixedRanges);
    }

    public PageGeometry Geometry { get; }

    public int Pages => _pages.Length;

    public int Slots { get; }

    public long LastTicket => _issued;

    public AddressRangeShare Ranges { get; }

    public KvView View(int slot) => new(Address(slot, 0), _tokenBytes);

    public long Map(int slot, int index, int page, int freedRanges = 0) => Issue(new Call(Operation.Map, slot, index, page, 0, freedRanges));

    public long Copy(int slot, int index, int source, long bytes) => Issue(new Call(Operation.Copy, slot, index, source, bytes, 0));

    public long Unmap(int slot, int index, int count, int freedRanges = 0) => Issue(new Call(Operation.Unmap, slot, index, count, 0, freedRanges));

    public void Start()
    {
        if (_started == _issued) return;
        _started = _issued;
        lock (_gate)
        {
            HandOver();
            _starting = true;
            Monitor.Pulse(_gate);
        }
    }

    public void Finish() => CarryOut(upTo: _issued);

    public void Wait(int slot, long since, long ticket)
    {
        CarryOut(upTo: ticket);
        if (Volatile.Read(ref _faults[slot]) is { } fault && fault.Ticket >= since)
            throw new VirtualMemoryException($"The keys and values of a sequence could not be given memory: {fault.Error.Message}", fault.Error);
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        lock (_gate)
        {
            _stopping = true;
            Monitor.Pulse(_gate);
        }
        _helper.Join();
        LogUnmapError();
        _memory.Dispose();
        Ranges.Dispose();
        if (_logFailure is not null) ExceptionDispatchInfo.Throw(_logFailure);
    }

    /// <summary>Reserves as many slots as wanted, or half as many, and so on.</summary>
    private nint Reserve(ref int slots, int minSlots)
    {
        while (true)
        {
            try
            {
                return _memory.Reserve(checked((_slotBytes * slots) + Geometry.PageBytes));
            }
            catch (VirtualMemoryException) when (slots > minSlots)
            {
                slots = Math.Max(slots / 2, minSlots);
            }
        }
    }

    private nint Address(int slot, int index) => _base + (nint)((slot * _slotBytes) + (index * Geometry.PageBytes));

    private long Issue(Call call)
    {
        if (Volatile.Read(ref _unmapError) is not null) LogUnmapError();
        _asked.Enqueue(call);
        return ++_issued;
    }

    /// <summary>Hands the calls that were made to whoever carries them out. With the gate held.</summary>
    private void HandOver()
    {
        if (_calls.Count == 0) (_asked, _calls) = (_calls, _asked);
        while (_asked.TryDequeue(out Call call)) _calls.Enqueue(call);
    }

    private void CarryOut(long upTo)
    {
        if (Volatile.Read(ref _completed) >= upTo) return;
        lock (_gate) HandOver();
        while (Volatile.Read(ref _completed) < upTo) CarryOutNext();
    }

    /// <summary>A logger that throws is not the caller's fault: the exception is kept for whoever disposes of the map.</summary>
    private void LogUnmapError()
    {
        if (Interlocked.Exchange(ref _unmapError, null) is not { } error) return;
        try
        {
            _logger.UnmapFailed(error);
        }
        catch (Exception failure)
        {
            _logFailure ??= failure;
        }
    }

    private void Help()
    {
        while (true)
        {
            lock (_gate)
            {
                while (!_starting && !_stopping) Monitor.Wait(_gate);
                if (!_starting) return;
                _starting = false;
            }
            while (CarryOutNext())
            {
            }
        }
    }

    /// <returns>False when there was nothing to do.</returns>
    private bool CarryOutNext()
    {
        lock (_executing)
        {
            if (_taken.Count == 0)
            {
                lock (_gate) (_taken, _calls) = (_calls, _taken);
            }
            if (!_taken.TryDequeue(out Call call)) return false;
            try
            {
                CarryOut(call);
            }
            catch (Exception error)
            {
                if (call.Operation == Operation.Unmap) Volatile.Write(ref _unmapError, error); // whoever calls next logs it
                else Volatile.Write(ref _faults[call.Slot], new Fault(_completed + 1, error));
            }
            if (call.FreedRanges > 0) Ranges.Return(call.FreedRanges);
            Volatile.Write(ref _completed, _completed + 1);
            return true;
        }
    }

    private void CarryOut(Call call)
    {
        List<int> mapped = _mapped[call.Slot] ??= [];
        switch (call.Operation)
        {
            case Operation.Map:
                while (mapped.Count <= call.Index) mapped.Add(AddressRanges.Unmapped);
                if (mapped[call.Index] != AddressRanges.Unmapped) Unmap(call.Slot, mapped, call.Index, call.Index + 1);
                _memory.Map(Address(call.Slot, call.Index), _pages[call.Page]);
                mapped[call.Index] = call.Page;
                break;
            case Operation.Copy when mapped[call.Index] == AddressRanges.Unmapped:
                break; // its mapping has failed, which is reported to the slot's user
            case Operation.Copy:
                ClearWindow(); // an earlier attempt has failed
                _memory.Map(_window, _pages[call.Page]);
                _windowMapped = true;
                _device.Copy(Address(call.Slot, call.Index), _window, call.Bytes);
                ClearWindow();
                break;
            case Operation.Unmap:
                Unmap(call.Slot, mapped, call.Index, Math.Min(call.Index + call.Count, mapped.Count));
                break;
        }
    }

    /// <summary>A failure here does not matter until the window is needed again.</summary>
    private void ClearWindow()
    {
        if (!_windowMapped) return;
        try
        {
            _memory.Unmap(_window, Geometry.PageBytes);
            _windowMapped = false;
        }
        catch (VirtualMemoryException error)
        {
            Volatile.Write(ref _unmapError, error);
        }
    }

    /// <summary>Takes away what is really mapped from one index to before another: a page whose mapping failed is not.</summary>
    private void Unmap(int slot, List<int> mapped, int first, int end)
    {
        for (int index = first; index < end;)
        {
            int run = index;
            while (run < end && mapped[run] != AddressRanges.Unmapped) run++;
            if (run > index)
            {
                _memory.Unmap(Address(slot, index), (run - index) * Geometry.PageBytes);
                for (; index < run; index++) mapped[index] = AddressRanges.Unmapped;
            }
            else
            {
                index++;
            }
        }
    }

    private enum Operation
    {
        Map,
        Copy,
        Unmap,
    }

    /// <param name="Operation">What to do.</param>
    /// <param name="Slot">The slot.</param>
    /// <param name="Index">The first index of the slot.</param>
    /// <param name="Page">The page to map or to copy from; the number of pages to unmap.</param>
    /// <param name="Bytes">Bytes to copy.</param>
    /// <param name="FreedRanges">Address ranges that the system no longer describes.</param>
    private readonly record struct Call(Operation Operation, int Slot, int Index, int Page, long Bytes, int FreedRanges)
    {
        public int Count => Page;
    }

    private sealed record Fault(long Ticket, Exception Error);
}
