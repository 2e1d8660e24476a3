namespace Decart.Inference.Memory;

/// <summary>
/// Lays physical pages, numbered from 0, under the ranges of slots, so that kernels find them. The engine's thread calls; what it asks for
/// may be carried out later, in the order of the calls.
/// </summary>
/// <remarks>
/// Every call that changes something returns a ticket. <see cref="Wait"/> returns once all calls up to a ticket have been carried out.
/// A page may be given to another slot at once: the order of the calls keeps their effects apart. The caller takes the address ranges that
/// a call makes from <see cref="Ranges"/> beforehand; those that it frees are given back once it has been carried out.
/// </remarks>
internal interface IPageMap : IDisposable
{
    PageGeometry Geometry { get; }

    /// <summary>Physical pages.</summary>
    int Pages { get; }

    /// <summary>Ranges that pages can be laid under.</summary>
    int Slots { get; }

    /// <summary>The ticket of the last call; tickets ascend.</summary>
    long LastTicket { get; }

    /// <summary>The address ranges that mapped pages make.</summary>
    AddressRangeShare Ranges { get; }

    /// <summary>Where kernels find the tokens of a slot.</summary>
    KvView View(int slot);

    /// <summary>Lays a page under a slot's range, as its page number <paramref name="index"/>, in place of one that may be there.</summary>
    long Map(int slot, int index, int page, int freedRanges = 0);

    /// <summary>Copies the first bytes of a page to the page at <paramref name="index"/> of a slot.</summary>
    long Copy(int slot, int index, int source, long bytes);

    /// <summary>Takes consecutive pages away from a slot.</summary>
    long Unmap(int slot, int index, int count, int freedRanges = 0);

    /// <summary>Begins to carry out the calls that were made; without this they may be left until somebody waits for them.</summary>
    void Start();

    /// <summary>Waits until all calls have been carried out, including any that fail.</summary>
    void Finish();

    /// <summary>Waits until everything up to a ticket has been carried out.</summary>
    /// <param name="slot">The slot that is about to be used.</param>
    /// <param name="since">The first ticket that concerns the slot's present use.</param>
    /// <param name="ticket">The last that must have been carried out.</param>
    /// <exception cref="VirtualMemoryException">A call for the slot between the two has failed.</exception>
    void Wait(int slot, long since, long ticket);
}
