using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

/// <summary>Writes numbers to both ends of pages, wherever the device has them, and reads them back.</summary>
internal sealed unsafe class MarkedPages(IDeviceMemory device, long pageBytes)
{
    public void Write(nint address, long mark)
    {
        long first = mark, last = ~mark;
        device.Copy(address, (nint)(&first), sizeof(long));
        device.Copy(address + (nint)pageBytes - sizeof(long), (nint)(&last), sizeof(long));
    }

    public long Read(nint address)
    {
        long first = 0, last = 0;
        device.Copy((nint)(&first), address, sizeof(long));
        device.Copy((nint)(&last), address + (nint)pageBytes - sizeof(long), sizeof(long));
        Assert.That(last, Is.EqualTo(~first), "both ends of a page are of the same page");
        return first;
    }
}
