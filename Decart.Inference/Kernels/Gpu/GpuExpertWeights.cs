using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu.Packed;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>One weight of every expert, all of one form, by a table of their addresses on the device.</summary>
internal sealed class GpuExpertWeights : IDisposable
{
    private readonly GpuBuffer _table;
    private readonly int _paddedRows;
    private readonly PackedScaling _scaling;

    public GpuExpertWeights(IGpuDevice device, Weight[] weights)
    {
        long[] addresses;
        GpuPackedSegment[] segments = [.. weights.OfType<GpuPackedWeight>().SelectMany(weight => weight.Segments)];
        Format = segments.FirstOrDefault()?.Format;
        bool areAlike = Array.TrueForAll(segments, segment => segment.Format == Format) && (segments.Length == weights.Length || Array.TrueForAll(weights, weight => weight is GpuWeight));
        if (!areAlike) throw new ArgumentException("Experts are stored alike.", nameof(weights));
        if (segments.Length > 0)
        {
            _paddedRows = segments[0].PaddedRows;
            _scaling = segments.Min(segment => segment.Scaling);
            addresses = [.. segments.Select(segment => (long)segment.Address)];
        }
        else
        {
            _paddedRows = ((GpuWeight)weights[0]).PaddedRows;
            addresses = [.. weights.Select(weight => (long)((GpuWeight)weight).Address)];
        }
        _table = new GpuBuffer(device.Memory, (long)addresses.Length * sizeof(long));
        device.Upload(_table.Address, MemoryMarshal.AsBytes(addresses.AsSpan()));
    }

    /// <summary>How they are packed; null for halves.</summary>
    public PackedFormat? Format { get; }

    /// <summary>A product with them.</summary>
    public MatMulArguments Of(MatMulArguments product) =>
        product with { Weight = _table.Address, WeightRows = _paddedRows, Scaling = _scaling };

    public void Dispose() => _table.Dispose();
}
