namespace Decart.Inference.Memory;

/// <summary>One range of addresses that was reserved.</summary>
internal sealed class Reservation(nint address, long bytes)
{
    public nint Address => address;

    public long Bytes => bytes;

    /// <summary>The address after the last byte.</summary>
    public nint End => address + (nint)bytes;

    /// <summary>Pages that are mapped in the range.</summary>
    public int MappedPages { get; set; }

    public bool Contains(nint start, long length) => start >= Address && start < End && length <= End - start;
}
