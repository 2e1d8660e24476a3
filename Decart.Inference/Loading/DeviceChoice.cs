using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Compilation;
using Decart.Inference.Kernels.TensorParallel;
using Decart.Inference.Memory;
using Decart.Inference.Native.Cuda;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Loading;

/// <summary>The device that a session computes on, opened.</summary>
/// <param name="Device">Which it is; never <see cref="Device.Auto"/>.</param>
/// <param name="Backend">What runs on it; the caller's.</param>
internal readonly record struct DeviceChoice(Device Device, IBackend Backend)
{
    /// <summary>Of the memory of a GPU that is free, what weights may take where a number of GPUs is chosen: the rest is for steps, keys and values.</summary>
    private const double WeightShare = 0.85;

    /// <summary>Whether weights stay in few bits there.</summary>
    public bool PacksWeights => GpuSupport.IsSupported && Backend switch
    {
        GpuBackend gpu => gpu.PacksWeights,
        ParallelBackend several => several.Ranks[0] is GpuBackend { PacksWeights: true },
        _ => false,
    };

    /// <summary>
    /// Opens the device that is asked for; for <see cref="Device.Auto"/> the first GPU where one can be used, with as many others as the model needs, else the processor.
    /// </summary>
    /// <param name="options">Validated.</param>
    /// <param name="logger">Told what is used, and why no GPU is.</param>
    /// <param name="cache">Where compiled kernels are kept; the user's when null.</param>
    /// <param name="latestArchitecture">See <see cref="CudaDevice.LatestArchitecture"/>.</param>
    /// <param name="model">What is to be loaded; null where one GPU is enough.</param>
    /// <exception cref="NotSupportedException">The GPU that is asked for cannot be used; the message says what is needed and what was found.</exception>
    public static DeviceChoice Open(LlmSessionOptions options, ILogger logger, KernelCache? cache = null, int latestArchitecture = int.MaxValue, ModelNeed? model = null)
    {
        switch (options.Device.Kind)
        {
            case DeviceKind.Cuda:
                try
                {
                    return OpenCuda(options, model, cache, latestArchitecture);
                }
                catch (Exception error) when (error is not OutOfMemoryException)
                {
                    throw new NotSupportedException($"The device {options.Device} cannot be used. {error.Message}", error);
                }
            case DeviceKind.Auto:
                try
                {
                    DeviceChoice first = OpenOne(Device.Cuda(0), options, cache, latestArchitecture);
                    return model is { } need ? OpenEnough(first, need, options, logger, cache, latestArchitecture) : first;
                }
                catch (CudaUnavailableException error)
                {
                    logger.NoGpu(error.Message);
                }
                catch (Exception error)
                {
                    // Whatever the driver does wrong, the CPU can compute.
                    logger.GpuFails(error, error.Message);
                }
                return OpenCpu(options, logger);
            default:
                return OpenCpu(options, logger);
        }
    }

    /// <summary>The fewest GPUs that a model fits on and can be divided among; 1 where there are not enough.</summary>
    /// <param name="model">The model.</param>
    /// <param name="packs">Whether the GPUs keep weights in few bits.</param>
    /// <param name="free">Bytes that are free on each.</param>
    /// <param name="gpus">How many there are.</param>
    internal static int CountFor(ModelNeed model, bool packs, long free, int gpus)
    {
        for (int count = 1; count <= gpus; count++)
        {
            if (model.BytesWhere(packs) <= count * WeightShare * free && (count == 1 || Division.IsPossible(model.Shape, count))) return count;
        }
        return 1;
    }

    private static DeviceChoice OpenEnough(DeviceChoice first, ModelNeed model, LlmSessionOptions options, ILogger logger, KernelCache? cache, int latestArchitecture)
    {
        int gpus, count;
        DeviceChoice several;
        try
        {
            gpus = CountGpus();
            count = CountFor(model, first.PacksWeights, first.Backend.Memory.MeasureFree(), gpus);
            if (count == 1) return first;
            several = OpenSeveral([.. Enumerable.Range(0, count)], options, model, cache, latestArchitecture);
        }
        catch (Exception error)
        {
            // Whatever the driver does wrong with several GPUs, the first can compute.
            logger.GpusFail(error, error.Message);
            return first;
        }
        first.Backend.Dispose();
        logger.GpusChosen(count, gpus, model.BytesWhere(several.PacksWeights));
        return several;
    }

    private static DeviceChoice OpenCpu(LlmSessionOptions options, ILogger logger)
    {
        int threads = options.Threads ?? ThreadTeam.DefaultThreads;
        logger.ProcessorChosen(threads, SimdWidths.Machine.Bits());
        return new(Device.Cpu, new CpuBackend(threads, keysAndValues: options.KvCacheType));
    }

    private static DeviceChoice OpenCuda(LlmSessionOptions options, ModelNeed? model, KernelCache? cache, int latestArchitecture)
    {
        Device device = options.Device;
        int[] indices = device.IsAll ? [.. Enumerable.Range(0, CountGpus())] : [.. device.Indices];
        return indices.Length > 1
            ? OpenSeveral(indices, options, model, cache, latestArchitecture)
            : OpenOne(indices is [int only] ? Device.Cuda(only) : device, options, cache, latestArchitecture);
    }

    /// <summary>GPUs that there are, as far as they can be used together.</summary>
    private static int CountGpus() => Math.Clamp(CudaContext.CountDevices(), 0, GpuMailbox.MaxRanks);

    private static DeviceChoice OpenOne(Device device, LlmSessionOptions options, KernelCache? cache, int latestArchitecture)
    {
        if (!GpuSupport.IsSupported) throw new CudaUnavailableException(GpuSupport.Absent); // a trimmer leaves out what follows
        GpuBackend backend = OpenBackend(device.Index, options, [], cache, latestArchitecture, out _);
        return new DeviceChoice(device, backend);
    }

    /// <summary>Opens GPUs that compute a model together, once nothing that can be known before speaks against it.</summary>
    /// <param name="indices">In ascending order.</param>
    /// <param name="options">See <see cref="Open"/>.</param>
    /// <param name="model">See <see cref="Open"/>.</param>
    /// <param name="cache">See <see cref="Open"/>.</param>
    /// <param name="latestArchitecture">See <see cref="Open"/>.</param>
    private static DeviceChoice OpenSeveral(int[] indices, LlmSessionOptions options, ModelNeed? model, KernelCache? cache, int latestArchitecture)
    {
        if (!GpuSupport.IsSupported) throw new CudaUnavailableException(GpuSupport.Absent); // a trimmer leaves out what follows
        if (options.Paging == PagingMode.Table) throw new NotSupportedException(ParallelMemory.NeedsHardwarePaging);
        if (model is { } need) Division.Require(need.Shape, indices.Length);
        CudaTeam.Require(indices);
        List<CudaDevice> gpus = [];
        List<GpuBackend> backends = [];
        GpuRankExchange? exchange = null;
        try
        {
            foreach (int index in indices)
            {
                backends.Add(OpenBackend(index, options, GpuRankExchange.All, cache, latestArchitecture, out CudaDevice gpu));
                gpus.Add(gpu);
            }
            foreach (CudaDevice gpu in gpus)
            {
                foreach (CudaDevice other in gpus.Where(other => other != gpu)) gpu.EnablePeer(other);
            }
            exchange = new GpuRankExchange(backends);
            return new DeviceChoice(Device.Cuda(indices.AsSpan()), new ParallelBackend(backends, exchange, [.. indices.Select(index => $"cuda:{index}")]));
        }
        catch
        {
            exchange?.Dispose();
            foreach (GpuBackend backend in backends) backend.Dispose();
            throw;
        }
    }

    private static GpuBackend OpenBackend(int index, LlmSessionOptions options, IEnumerable<GpuKernel> others, KernelCache? cache, int latestArchitecture, out CudaDevice gpu)
    {
        if (!GpuSupport.IsSupported) throw new CudaUnavailableException(GpuSupport.Absent);
        gpu = new(index, cache ?? KernelCache.Default) { LatestArchitecture = latestArchitecture };
        try
        {
            GpuSelfTest.Run(gpu);
            gpu.Prepare([.. GpuKernels.For(options.KvCacheType), .. others, .. options.EightBitActivations ? GpuMatMulLauncher.Codes : []]);
            return new GpuBackend(gpu, options.KvCacheType, options.EightBitActivations);
        }
        catch
        {
            gpu.Dispose();
            throw;
        }
    }
}
