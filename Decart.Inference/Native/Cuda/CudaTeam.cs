namespace Decart.Inference.Native.Cuda;

/// <summary>What GPUs that share a model must have in common, asked of the driver before any of them is opened.</summary>
internal static class CudaTeam
{
    /// <summary>Throws unless all are there, are alike, map memory page by page and reach each other's.</summary>
    /// <param name="indices">The driver's numbers of the GPUs, in ascending order.</param>
    /// <exception cref="CudaUnavailableException">One of this does not hold; the message says what is needed and what was found.</exception>
    public static void Require(ReadOnlySpan<int> indices)
    {
        CudaContext.Require(indices[^1]);
        List<Gpu> gpus = [];
        foreach (int index in indices) gpus.Add(Find(index));
        Gpu first = gpus[0];
        foreach (Gpu gpu in gpus)
        {
            if (gpu with { Index = first.Index, Handle = first.Handle } != first)
                throw new CudaUnavailableException($"GPUs that share a model must be alike: {Describe(first)}, {Describe(gpu)}.");
            if (!gpu.MapsPages) throw new CudaUnavailableException($"GPUs that share a model need a driver that maps memory page by page; GPU {gpu.Index} has none.");
        }
        foreach (Gpu gpu in gpus)
        {
            foreach (Gpu other in gpus.Where(other => other != gpu)) RequirePeer(gpu, other);
        }
    }

    private static void RequirePeer(Gpu gpu, Gpu other)
    {
        CudaDriver.Check(CudaDriver.CanAccessPeer(out int can, gpu.Handle, other.Handle), "whether a GPU reaches another's memory");
        if (can != 0) return;
        throw new CudaUnavailableException(
            $"GPUs that share a model need access to each other's memory, by NVLink or by PCI Express with peer access; GPU {gpu.Index} cannot access that of GPU {other.Index}.");
    }

    private static Gpu Find(int index)
    {
        CudaDriver.Check(CudaDriver.GetDevice(out int handle, index), "a GPU's handle");
        return new Gpu(
            index,
            handle,
            CudaContext.GetAttribute(handle, CudaDeviceAttribute.ComputeCapabilityMajor),
            CudaContext.GetAttribute(handle, CudaDeviceAttribute.ComputeCapabilityMinor),
            CudaContext.GetAttribute(handle, CudaDeviceAttribute.Multiprocessors),
            CudaContext.GetAttribute(handle, CudaDeviceAttribute.VirtualMemoryManagementSupported) != 0);
    }

    private static string Describe(Gpu gpu) => $"GPU {gpu.Index} has compute capability {gpu.Major}.{gpu.Minor} and {gpu.Multiprocessors} multiprocessors";

    /// <param name="Index">The driver's number.</param>
    /// <param name="Handle">The driver's handle.</param>
    /// <param name="Major">Compute capability, before the point.</param>
    /// <param name="Minor">Compute capability, behind the point.</param>
    /// <param name="Multiprocessors">How many it has.</param>
    /// <param name="MapsPages">Whether there is hardware paging.</param>
    private readonly record struct Gpu(int Index, int Handle, int Major, int Minor, int Multiprocessors, bool MapsPages);
}
