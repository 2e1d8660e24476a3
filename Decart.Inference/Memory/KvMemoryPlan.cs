using Microsoft.Extensions.Logging;

namespace Decart.Inference.Memory;

/// <summary>How much memory keys and values get and how it is divided.</summary>
/// <param name="Layout">The layout of a token.</param>
/// <param name="Paging"><see cref="PagingMode.Hardware"/> or <see cref="PagingMode.Table"/>.</param>
/// <param name="Geometry">How tokens lie on pages.</param>
/// <param name="Pages">Physical pages.</param>
/// <param name="Slots">Ranges wanted.</param>
/// <param name="MinSlots">Ranges needed.</param>
/// <param name="SlotTokens">The most tokens of a range.</param>
internal sealed record KvMemoryPlan(KvLayout Layout, PagingMode Paging, PageGeometry Geometry, int Pages, int Slots, int MinSlots, int SlotTokens)
{
    /// <summary>Ranges beyond those of the running sequences are for paused ones and conversations between turns.</summary>
    private const int MostSlots = 16 * 1024;

    /// <summary>Of the 128 TiB that a process can address; the driver and the heap want some too.</summary>
    private const long MostAddresses = 32L << 40;

    /// <summary>Decides.</summary>
    /// <param name="memory">The device's memory.</param>
    /// <param name="layout">The layout of a token.</param>
    /// <param name="contextLength">The most tokens of a sequence.</param>
    /// <param name="sequences">How many sequences may run at once.</param>
    /// <param name="bytes">What the pages may take; null: as much as is useful and there.</param>
    /// <param name="paging">How pages are to be found.</param>
    /// <exception cref="NotSupportedException">Hardware paging is asked for and the device has none, or several devices have none or are not to use it.</exception>
    /// <exception cref="InsufficientMemoryException">The memory asked for is not there, or too little for one page.</exception>
    public static KvMemoryPlan For(IDeviceMemory memory, KvLayout layout, int contextLength, int sequences, long? bytes, PagingMode paging)
    {
        bool hardware = paging != PagingMode.Table && memory.PageGranularity > 0;
        if (paging == PagingMode.Hardware && !hardware)
            throw new NotSupportedException("This device cannot map memory page by page: choose PagingMode.Auto or PagingMode.Table.");
        if (memory is ParallelMemory && !hardware) throw new NotSupportedException(ParallelMemory.NeedsHardwarePaging);
        long free = memory.MeasureFree();
        long useful = (long)contextLength * sequences * layout.TokenBytes;
        long budget = bytes ?? Math.Min(useful, (long)(free * memory.KvShare));
        if (budget > free)
            throw new InsufficientMemoryException($"KvCacheBytes asks for {budget} bytes for keys and values; {free} are free now that the model is loaded.");
        PageGeometry geometry = hardware ? PageGeometry.ForHardware(layout.TokenBytes, memory.PageGranularity) : PageGeometry.ForTable(layout.TokenBytes);
        if (hardware) geometry = geometry.WithAtMost(memory.Ranges.Limit / 2, budget);
        // The default is rounded up: sequences use whole pages, and the scheduler leaves one to those that run.
        long pages = bytes is null && budget == useful
            ? ((long)geometry.PagesFor(contextLength) * sequences) + 1
            : budget / geometry.PageBytes;
        if (pages < 1)
        {
            throw new InsufficientMemoryException(
                $"Keys and values need at least one page of {geometry.PageBytes} bytes; {budget} bytes are given by {(bytes is null ? "the free memory" : "KvCacheBytes")}.");
        }
        long slotBytes = (geometry.PagesFor(contextLength) + 1L) * geometry.PageBytes; // between two slots one page stays empty
        int slots = (int)Math.Clamp(MostAddresses / slotBytes, sequences, Math.Max(MostSlots, sequences));
        return new KvMemoryPlan(
            layout,
            hardware ? PagingMode.Hardware : PagingMode.Table,
            geometry,
            (int)Math.Min(pages, int.MaxValue),
            slots,
            sequences,
            contextLength);
    }

    /// <summary>Creates the pages and reserves the ranges.</summary>
    /// <param name="memory">The device's memory.</param>
    /// <param name="prefixCaching">Whether pages are found again by their tokens.</param>
    /// <param name="logger">Told what was created.</param>
    /// <exception cref="InsufficientMemoryException">The system does not give what the plan says.</exception>
    public KvMemory Create(IDeviceMemory memory, bool prefixCaching, ILogger logger)
    {
        IPageMap? map = null;
        try
        {
            map = Paging == PagingMode.Hardware
                ? new HardwarePageMap(memory.CreateVirtualMemory(Geometry.PageBytes, Pages), memory, Layout, Pages, Slots, MinSlots, SlotTokens, logger)
                : new TablePageMap(memory, Layout, Pages, Slots, SlotTokens);
            KvMemory kv = new(map, prefixCaching ? new PrefixCache(Pages, Geometry.TokensTouching(1)) : null);
            logger.KvMemoryCreated(Pages, Geometry.PageBytes, kv.CapacityTokens, Paging, map.Slots, SlotTokens);
            return kv;
        }
        catch (Exception error)
        {
            map?.Dispose();
            if (error is not (VirtualMemoryException or OutOfMemoryException)) throw;
            throw new InsufficientMemoryException(
                $"Keys and values need {Pages} pages of {Geometry.PageBytes} bytes, which the system does not give; set KvCacheBytes lower. {error.Message}", error);
        }
    }
}
