using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Float32 keys and values of one sequence in one allocation that doubles when it is too small, keeping its content.</summary>
internal sealed unsafe class CpuKvRange(KvLayout layout, int tokens) : IKvRange
{
    private CpuBuffer<float> _buffer = Allocate(layout, tokens);

    public nint Address => (nint)_buffer.Pointer;

    public KvLayout Layout => layout;

    /// <summary>Number of tokens there is room for.</summary>
    public int Capacity { get; private set; } = tokens;

    public void EnsureCapacity(int tokens)
    {
        if (tokens <= Capacity) return;
        int capacity = (int)Math.Max(tokens, Math.Min(2L * Capacity, int.MaxValue));
        CpuBuffer<float> larger = Allocate(layout, capacity);
        long bytes = _buffer.Length * sizeof(float);
        Buffer.MemoryCopy(_buffer.Pointer, larger.Pointer, bytes, bytes);
        _buffer.Dispose();
        _buffer = larger;
        Capacity = capacity;
    }

    public void Dispose() => _buffer.Dispose();

    private static CpuBuffer<float> Allocate(KvLayout layout, int tokens)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        return new CpuBuffer<float>(checked(tokens * layout.TokenStride));
    }
}
