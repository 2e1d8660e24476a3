using System.Runtime.InteropServices;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>A request's parameters as the kernel reads them, and its tables.</summary>
internal sealed class GpuSequenceSampler(GpuSampler sampler, GpuSamplingRow row, GpuBuffer? counts, GpuBuffer? bias) : SequenceSampler
{
    private bool _disposed;

    /// <summary>All but the row of the logits and the index.</summary>
    public GpuSamplingRow Row => !_disposed ? row : throw new ObjectDisposedException(nameof(GpuSequenceSampler));

    /// <summary>Whether its tokens may have masks.</summary>
    public bool IsMasked { get; init; }

    /// <summary>Whether the logits must stay though the kernel changes them.</summary>
    public bool KeepsLogits { get; init; }

    public override void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        sampler.Return(counts);
        sampler.Return(bias);
    }
}

/// <summary>The tokens of one step on their way to the host.</summary>
internal sealed class GpuSampledTokens : SampledTokens, IDisposable
{
    private GpuReadback? _readback;

    /// <summary>Starts copying the tokens of the first <paramref name="rows"/> rows, of at most <paramref name="maxRows"/>.</summary>
    public void Start(IGpuDevice device, nint tokens, int rows, int maxRows)
    {
        if (_readback is null || _readback.Bytes < maxRows * sizeof(int))
        {
            _readback?.Dispose();
            _readback = device.CreateReadback(maxRows * sizeof(int));
        }
        _readback.Start(tokens, rows * sizeof(int));
    }

    public override ReadOnlySpan<int> Wait() => MemoryMarshal.Cast<byte, int>(_readback!.Wait());

    public void Dispose() => _readback?.Dispose();
}
