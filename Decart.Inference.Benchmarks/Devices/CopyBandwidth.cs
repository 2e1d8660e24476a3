using System.Diagnostics;
using Decart.Inference.Memory;

namespace Decart.Inference.Benchmarks;

/// <summary>What a device's memory can do, the measure of kernels that read weights or keys and values.</summary>
internal static class CopyBandwidth
{
    private const long Bytes = 2L << 30;

    private const int Repetitions = 8;

    /// <summary>Bytes a second of a large copy within the device, those read and those written; the best of some.</summary>
    public static double Measure(IDeviceMemory memory)
    {
        nint source = memory.Allocate(Bytes), destination = memory.Allocate(Bytes);
        double best = 0;
        for (int i = 0; i < Repetitions; i++)
        {
            long start = Stopwatch.GetTimestamp();
            memory.Copy(destination, source, Bytes);
            best = Math.Max(best, 2 * Bytes / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        memory.Free(source);
        memory.Free(destination);
        return best;
    }
}
