using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Compilation;
using Decart.Inference.Kernels.TensorParallel;
using Decart.Inference.Loading;
using Decart.Inference.Native.Cuda;
using Decart.Inference.Tests.Kernels.Gpu;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Tests.Models;

/// <summary>Several devices as one: threads of the processor, emulated GPUs, and GPUs where there are enough.</summary>
internal static class ParallelDevices
{
    private const string OnCpu = "cpu", Emulated = "emulated", Cuda = "cuda";

    /// <summary>Fixture arguments: the kind of the devices, and how many.</summary>
    public static IEnumerable<TestFixtureData> Fixtures =>
    [
        new TestFixtureData(OnCpu, 2), new TestFixtureData(OnCpu, 4), new TestFixtureData(Emulated, 2),
        .. CudaAttribute.Choose(new TestFixtureData(Cuda, 2)), .. CudaAttribute.Choose(new TestFixtureData(Cuda, 4)), .. CudaAttribute.Choose(new TestFixtureData(Cuda, 8)),
    ];

    /// <summary>Fixture arguments: GPUs, emulated or not.</summary>
    public static IEnumerable<TestFixtureData> Gpus =>
        [new TestFixtureData(Emulated, 2), new TestFixtureData(Emulated, 3), new TestFixtureData(Emulated, 4), .. CudaAttribute.Choose(new TestFixtureData(Cuda, 2)), .. CudaAttribute.Choose(new TestFixtureData(Cuda, 4))];

    /// <summary>Fixture arguments: those that sample.</summary>
    public static IEnumerable<TestFixtureData> Sampling =>
        [new TestFixtureData(Emulated, 1), new TestFixtureData(Emulated, 2), .. CudaAttribute.Choose(new TestFixtureData(Cuda, 1)), .. CudaAttribute.Choose(new TestFixtureData(Cuda, 2))];

    /// <summary>Opens devices; ignores the test, with the reason, where this machine has fewer.</summary>
    public static IBackend Create(string kind, int count) => (kind, count) switch
    {
        (OnCpu, _) => Cpu(count),
        (_, 1) => new GpuBackend(GpuDevices.Create(kind)),
        (Emulated, _) => OfGpus([.. Enumerable.Range(0, count).Select(rank => new GpuBackend(new EmulatedDevice(rank: rank)))]),
        _ => OpenCuda(count),
    };

    /// <summary>One device of the kind, of which the test expects what it does of several.</summary>
    public static IBackend CreateOne(string kind) => kind == OnCpu ? new CpuBackend(threads: 1) : new GpuBackend(GpuDevices.Create(kind, tensorCores: kind == Cuda));

    /// <summary>Ranks that are threads of the processor.</summary>
    public static ParallelBackend Cpu(int count) => Cpu([.. Enumerable.Range(0, count).Select(_ => new CpuBackend(threads: 1))]);

    /// <inheritdoc cref="Cpu(int)"/>
    public static ParallelBackend Cpu(IBackend[] ranks) => new(ranks, new CpuRankExchange(ranks.Length), [.. ranks.Select((_, rank) => $"cpu {rank}")]);

    public static ParallelBackend OfGpus(GpuBackend[] ranks, int looks = 1 << 26) => new(ranks, new GpuRankExchange(ranks, looks), [.. ranks.Select((_, rank) => $"gpu {rank}")]);

    /// <summary>The first GPUs; ignores the test, with the reason, where there are fewer.</summary>
    public static ParallelBackend OfCuda(int count, bool packs)
    {
        SkipWithout(count);
        CudaDevice[] devices = [.. Enumerable.Range(0, count).Select(index => new CudaDevice(index, KernelCache.Default) { PacksWeights = packs })];
        foreach (CudaDevice device in devices)
        {
            foreach (CudaDevice other in devices.Where(other => other != device)) device.EnablePeer(other);
        }
        return OfGpus([.. devices.Select(device => new GpuBackend(device))]);
    }

    private static IBackend OpenCuda(int count)
    {
        SkipWithout(count);
        return DeviceChoice.Open(new() { Device = Device.Cuda([.. Enumerable.Range(0, count)]) }, NullLogger.Instance).Backend;
    }

    /// <summary>Ignores the test, with the reason, where there are fewer GPUs.</summary>
    public static void SkipWithout(int gpus)
    {
        try
        {
            int found = CudaContext.CountDevices();
            if (found < gpus) Assert.Ignore($"{gpus} GPUs are needed, the CUDA driver finds {found}.");
        }
        catch (CudaUnavailableException exception)
        {
            Assert.Ignore(exception.Message);
        }
    }
}
