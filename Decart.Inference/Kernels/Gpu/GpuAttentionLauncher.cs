using System.Runtime.InteropServices;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Picks the attention's kernel. Whether a device has tensor cores and how long heads are decides on the family; whether contexts are divided among
/// groups depends on the batch, and the bits are the same.
/// </summary>
internal sealed class GpuAttentionLauncher(IGpuDevice device, GpuStep step) : IDisposable
{
    /// <summary>Warps for each multiprocessor from which contexts are not divided.</summary>
    private const int WarpsPerMultiprocessor = 8;

    /// <summary>Bytes of partial results beyond which contexts are not divided either.</summary>
    private const long MaxPartialBytes = 512L << 20;

    private readonly GpuBuffer _partials = new(device.Memory);
    private readonly Dictionary<float[], GpuBuffer> _slopes = new(ReferenceEqualityComparer.Instance);

    /// <summary>See <see cref="IKernels.Attend"/>.</summary>
    public void Launch(GpuActivations qkv, int layer, AttentionShape shape, GpuActivations y)
    {
        AttentionArguments arguments = new()
        {
            Rows = step.Rows,
            Qkv = qkv.Address,
            Y = y.Address,
            Slopes = shape.AlibiSlopes is { } slopes ? Slopes(slopes) : 0,
            QkvStride = qkv.Stride,
            YStride = y.Stride,
            Layer = layer,
            Heads = shape.Heads,
            KvHeads = shape.KvHeads,
            HeadDim = shape.HeadDim,
            Window = shape.Window,
            Scale = shape.Scale,
            SoftCap = shape.SoftCap,
        };
        bool divided = device.HasTensorCores && shape.HeadDim % 8 == 0 ? LaunchTensor(ref arguments) : LaunchPortable(ref arguments);
        if (divided) device.Launch(GpuAttention.MergeKernel, new GpuGrid(shape.Heads, step.Count), arguments);
    }

    public void Dispose()
    {
        foreach (GpuBuffer slopes in _slopes.Values) slopes.Dispose();
        _partials.Dispose();
    }

    private bool LaunchPortable(ref AttentionArguments arguments)
    {
        int warps = Math.Min(GpuAttention.Kernel.GroupSize, device.MaxGroupSize) / 32;
        bool divided = Divide(ref arguments, GpuAttention.SplitTokens, (long)step.Count * arguments.Heads * Math.Max(warps, 1));
        device.Launch(GpuAttention.Kernel, new GpuGrid(arguments.Heads, step.Count, divided ? arguments.Splits : 1), arguments);
        return divided;
    }

    private bool LaunchTensor(ref AttentionArguments arguments)
    {
        int group = arguments.Heads / arguments.KvHeads, heads = arguments.KvHeads * GpuTensorAttention.HeadTiles(group);
        (GpuKernel<AttentionArguments> kernel, int dimGroups) = arguments.HeadDim switch
        {
            <= 64 => (GpuTensorAttention.Heads64, 1),
            <= 128 => (GpuTensorAttention.Heads128, 2),
            _ => (GpuTensorAttention.Heads256, 4),
        };
        int warps = GpuTensorAttention.Warps(dimGroups);
        (arguments.Tiles, arguments.TileCount) = step.TilesOf(GpuTensorAttention.RowsPerTile(group));
        bool divided = Divide(ref arguments, GpuTensorAttention.SpanTokens, (long)arguments.TileCount * heads);
        GpuGrid grid = divided
            ? new GpuGrid(arguments.TileCount, heads, CeilingDivide(arguments.Splits, warps))
            : new GpuGrid(CeilingDivide(arguments.TileCount, warps), heads);
        device.Launch(kernel, grid, arguments);
        return divided;
    }

    /// <summary>Decides whether contexts are divided, and makes room for what the splits leave.</summary>
    /// <param name="arguments">The operation.</param>
    /// <param name="splitTokens">Keys of a split.</param>
    /// <param name="warps">Warps at work when contexts are not divided.</param>
    private bool Divide(ref AttentionArguments arguments, int splitTokens, long warps)
    {
        int all = (step.MaxPosition / splitTokens) + 1;
        // A window touches one split more than it fills, and a tile's queries are up to 16 tokens apart.
        arguments.Splits = arguments.Window == 0 ? all : Math.Min(all, ((arguments.Window - 1) / splitTokens) + 3);
        arguments.SplitTokens = splitTokens;
        long bytes = (long)step.Count * arguments.Heads * arguments.Splits * (arguments.HeadDim + GpuAttention.PartialTail) * sizeof(float);
        bool divided = arguments.Splits > 1 && warps < (long)WarpsPerMultiprocessor * device.Multiprocessors && bytes <= MaxPartialBytes;
        if (!divided) return false;
        _partials.Reserve(bytes);
        arguments.Partials = _partials.Address;
        return true;
    }

    private nint Slopes(float[] slopes)
    {
        if (_slopes.TryGetValue(slopes, out GpuBuffer? buffer)) return buffer.Address;
        buffer = new GpuBuffer(device.Memory, (long)slopes.Length * sizeof(float));
        device.Upload(buffer.Address, MemoryMarshal.AsBytes(slopes.AsSpan()));
        _slopes.Add(slopes, buffer);
        return buffer.Address;
    }

    private static int CeilingDivide(int a, int b) => (a + b - 1) / b;
}
