using Decart.Inference.Memory;
using Decart.Inference.Native.Cuda;

namespace Decart.Inference.Tests.Memory;

public sealed class CudaMemoryTests
{
    [Test]
    public void A_machine_without_the_gpu_says_what_was_looked_for()
    {
        const int NoSuchGpu = 1000;
        Assert.That(() => CudaContext.Open(NoSuchGpu),
            Throws.TypeOf<CudaUnavailableException>().With.Message.Contains(CudaDriver.LibraryNames[0]).Or.Message.Contains("GPU"));
        Assert.That(() => CudaContext.Open(-1), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test, Cuda]
    public void A_page_has_its_memory_from_the_start_and_gives_it_back()
    {
        using MemoryDevice device = MemoryDevice.Open(MemoryDevice.Cuda);
        long page = device.Memory.PageGranularity, before = device.Memory.MeasureFree();
        using IVirtualMemory memory = device.Memory.CreateVirtualMemory(page, 256);
        nint[] pages = [.. Enumerable.Range(0, 256).Select(_ => memory.CreatePage())];
        Assert.That(before - device.Memory.MeasureFree(), Is.GreaterThanOrEqualTo(256 * page));
        foreach (nint handle in pages) memory.ReleasePage(handle);
        Assert.That(before - device.Memory.MeasureFree(), Is.LessThan(128 * page));
    }

    [Test, Cuda]
    public void Running_out_of_memory_says_so_in_the_drivers_words()
    {
        using MemoryDevice device = MemoryDevice.Open(MemoryDevice.Cuda);
        using IVirtualMemory memory = device.Memory.CreateVirtualMemory(1L << 44, 1);
        Assert.That(memory.CreatePage, Throws.TypeOf<VirtualMemoryException>()
            .With.Message.Contains("CUDA_ERROR_OUT_OF_MEMORY").And.InnerException.TypeOf<CudaException>());
    }

    [Test, Cuda]
    public void A_context_works_on_any_thread_and_not_after_disposal()
    {
        using CudaContext context = Open();
        var memory = new CudaMemory(context);
        long free = 0;
        var thread = new Thread(() => free = memory.MeasureFree());
        thread.Start();
        thread.Join();
        Assert.That(free, Is.Positive);
        context.Dispose();
        Assert.That(() => memory.MeasureFree(), Throws.InstanceOf<ObjectDisposedException>());
    }

    private static CudaContext Open()
    {
        try
        {
            return CudaContext.Open(0);
        }
        catch (CudaUnavailableException exception)
        {
            Assert.Ignore(exception.Message);
            throw;
        }
    }
}
