using System.Runtime.InteropServices;

namespace Decart.Inference.Checkpoints;

/// <summary>Memory for tensors that are made while a model is loaded. What was recycled is given out again: layers have tensors of the same sizes.</summary>
internal sealed unsafe class TensorMemory : IDisposable
{
    private const nuint Alignment = 64;

    private readonly List<(long Bytes, nint Block)> _used = [];
    private readonly Dictionary<long, Stack<nint>> _unused = [];

    /// <summary>Bytes of undefined content.</summary>
    public byte* Allocate(long bytes)
    {
        nint block = _unused.TryGetValue(bytes, out Stack<nint>? blocks) && blocks.TryPop(out nint unused)
            ? unused
            : (nint)NativeMemory.AlignedAlloc(checked((nuint)bytes), Alignment);
        _used.Add((bytes, block));
        return (byte*)block;
    }

    /// <summary>Says that nothing allocated so far is read any more.</summary>
    public void Recycle()
    {
        foreach ((long bytes, nint block) in _used)
        {
            if (!_unused.TryGetValue(bytes, out Stack<nint>? blocks)) _unused.Add(bytes, blocks = []);
            blocks.Push(block);
        }
        _used.Clear();
    }

    public void Dispose()
    {
        Recycle();
        foreach (nint block in _unused.Values.SelectMany(blocks => blocks)) NativeMemory.AlignedFree((void*)block);
        _unused.Clear();
    }
}
