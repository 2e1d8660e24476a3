namespace Decart.Inference.Tests;

/// <summary>What a piece of code allocates on the thread that runs it.</summary>
internal static class Allocations
{
    /// <summary>Bytes of the most frugal of four runs: what the runtime allocates once, where a path is first taken or a lock first contended, does not count.</summary>
    public static long InSteadyState(Action action)
    {
        long least = long.MaxValue;
        for (int run = 0; run < 4; run++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            action();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        return least;
    }
}
