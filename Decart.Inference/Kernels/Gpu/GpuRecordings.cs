using System.Numerics;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Steps that are launched once and repeated from then on, one for each capacity: what they launch depends on nothing else as long as the memory that it
/// uses stays where it is.
/// </summary>
internal sealed class GpuRecordings(IGpuDevice device) : IDisposable
{
    private readonly Dictionary<(Action Operations, int Capacity), IGpuRecording> _recordings = [];
    private int _moves;

    public int Count => _recordings.Count;

    /// <summary>
    /// Rows that a recorded step of so many tokens has: few numbers, as each is recorded for itself, and such as matmuls take no block of rows for nothing. Those pad few rows to powers of two
    /// anyway, then to three quarters of their largest block, which is of 256, to halves, to whole ones and in the end to pairs.
    /// </summary>
    public static int CapacityFor(int tokens) => tokens switch
    {
        <= 128 => (int)BitOperations.RoundUpToPowerOf2((uint)tokens),
        <= GpuRingPlan.ThreeQuarterRows => GpuRingPlan.ThreeQuarterRows,
        <= 512 => (tokens + 127) & ~127,
        <= 1024 => (tokens + 255) & ~255,
        _ => (tokens + 511) & ~511,
    };

    /// <summary>Starts operations as they are recorded, or, the first time, as they are, which makes room for all that they need, and records them.</summary>
    /// <param name="operations">What launches kernels.</param>
    /// <param name="capacity">What the launches depend on.</param>
    /// <param name="countMoves">How often memory that the launches use has moved so far.</param>
    public void Run(Action operations, int capacity, Func<int> countMoves)
    {
        if (_moves != countMoves()) Forget();
        if (_recordings.TryGetValue((operations, capacity), out IGpuRecording? recording))
        {
            recording.Replay();
            return;
        }
        operations();
        if (_moves != countMoves()) Forget();
        _moves = countMoves();
        device.Synchronize(); // kernels that wait for those of another device must not be waited for while launches are recorded
        _recordings.Add((operations, capacity), device.Record(operations));
    }

    public void Dispose() => Forget();

    private void Forget()
    {
        if (_recordings.Count == 0) return;
        device.Synchronize();
        foreach (IGpuRecording recording in _recordings.Values) recording.Dispose();
        _recordings.Clear();
    }
}
