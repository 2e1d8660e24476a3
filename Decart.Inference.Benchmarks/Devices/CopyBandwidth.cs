using System.Diagnostics;
using Decart.Inference.Memory;

namespace Decart.Inference.Benchmarks.Devices;

/// <summary>What a device's memory can do, the measure of kernels that read weights or keys and values.</summary>
internal static class CopyBandwidth
{
    /// <summary>Far more than the caches of a GPU hold, and of a processor, whose memory is slower.</summary>
    private const long GpuBytes = 2L << 30, HostBytes = 128L << 20;

    private const int Repetitions = 8;

    /// <summary>
    /// Bytes a second of a large copy within the device, those read and those written; the best of some. On the processor one thread copies. Of several devices the sum.
    /// </summary>
    public static double Measure(IDeviceMemory memory)
    {
        if (memory is ParallelMemory several) return several.Devices.Sum(Measure);
        long bytes = memory is HostMemory ? HostBytes : GpuBytes;
        nint source = memory.Allocate(bytes), destination = memory.Allocate(bytes);
        double best = 0;
        for (int i = 0; i < Repetitions; i++)
        {
            long start = Stopwatch.GetTimestamp();
            memory.Copy(destination, source, bytes);
            best = Math.Max(best, 2 * bytes / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        memory.Free(source);
        memory.Free(destination);
        return best;
    }
}
