using ILGPU;
using ILGPU.IR.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Intrinsics;

/// <summary>Barriers of some warps of a group (PTX ISA, "barrier.sync"). Emulated groups that have them, but for one of all threads, run one at a time: those with <see cref="Shared"/> memory do.</summary>
internal static class NamedBarrier
{
    private static readonly EmulatedBarrier[] Emulated = [.. Enumerable.Range(0, 16).Select(_ => new EmulatedBarrier())];

    /// <summary>Waits until all threads of the barrier have come; what they wrote is seen by all. Whole warps take part.</summary>
    /// <param name="number">Which: 1 to 15, as the group's own is 0.</param>
    /// <param name="threads">How many threads it has.</param>
    [IntrinsicImplementation, Ptx("barrier.sync.aligned $0, $1;")]
    public static void Wait(int number, int threads)
    {
        if (threads == Group.DimX) Group.Barrier();
        else Emulated[number].Wait(threads);
    }

    /// <summary>For emulations: what a kernel that failed has left does not matter to the next.</summary>
    internal static void Reset()
    {
        foreach (EmulatedBarrier barrier in Emulated) barrier.Reset();
    }

    private sealed class EmulatedBarrier
    {
        private int _arrived, _phase;

        public void Reset()
        {
            lock (this) _arrived = 0;
        }

        public void Wait(int threads)
        {
            lock (this)
            {
                int phase = _phase;
                if (++_arrived == threads)
                {
                    _arrived = 0;
                    _phase++;
                    Monitor.PulseAll(this);
                }
                while (phase == _phase) Monitor.Wait(this);
            }
        }
    }
}
