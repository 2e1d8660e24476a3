using System.Runtime.InteropServices;
using Decart.Inference.Memory;
using Decart.Inference.Models;

namespace Decart.Inference.Engine;

/// <summary>Learns of the ranges that live.</summary>
internal interface IPlainKvObserver
{
    void Created(int tokens);

    void Freed();
}

/// <summary>Keys and values of one sequence in one allocation that doubles when it is too small, keeping its content.</summary>
internal sealed unsafe class PlainKv : IDisposable
{
    private readonly KvLayout _layout;
    private readonly IPlainKvObserver? _observer;
    private int _capacity;
    private void* _memory;

    public PlainKv(IDecoder decoder, int tokens)
    {
        (_layout, _observer) = (decoder.KvLayout, decoder as IPlainKvObserver);
        _observer?.Created(tokens);
        Resize(tokens);
    }

    public KvView Prepare(int tokens)
    {
        if (tokens > _capacity) Resize((int)Math.Max(tokens, Math.Min(2L * _capacity, int.MaxValue)));
        return new KvView((nint)_memory, _layout.TokenStride);
    }

    public void Dispose()
    {
        if (_memory == null) return;
        NativeMemory.AlignedFree(_memory);
        _memory = null;
        _observer?.Freed();
    }

    private void Resize(int tokens)
    {
        _memory = NativeMemory.AlignedRealloc(_memory, (nuint)checked(tokens * _layout.TokenBytes), 64);
        _capacity = tokens;
    }
}
