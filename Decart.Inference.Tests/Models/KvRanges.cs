using Decart.Inference.Kernels;
using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Models;

/// <summary>Room for the keys and values of several sequences in the memory of any device.</summary>
internal sealed class KvRanges : IDisposable
{
    private readonly IDeviceMemory _memory;
    private readonly KvLayout _layout;
    private readonly nint[] _addresses;

    public KvRanges(IBackend backend, KvLayout layout, int sequences, int tokens)
    {
        (_memory, _layout) = (backend.Memory, layout);
        _addresses = [.. Enumerable.Range(0, sequences).Select(_ => backend.Memory.Allocate(tokens * layout.TokenBytes))];
    }

    public KvView this[int sequence] => new(_addresses[sequence], _layout.TokenBytes);

    public void Dispose()
    {
        foreach (nint address in _addresses) _memory.Free(address);
    }
}
