using System.Runtime.InteropServices;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Picks the attention's kernel. Whether a device has tensor cores and how long heads are decides on the family; whether tokens are rotated on the way and
/// contexts divided depends on the batch, and the bits are the same.
/// </summary>
internal sealed class GpuAttentionLauncher(IGpuDevice device, GpuStep step) : IDisposable
{
    private readonly Dictionary<float[], GpuBuffer> _slopes = new(ReferenceEqualityComparer.Instance);

    public static void ThrowIfHeadsAreTooLong(int headDim)
    {
        if (headDim > GpuAttention.MaxHeadDim) throw new NotSupportedException($"Heads have at most {GpuAttention.MaxHeadDim} elements, not {headDim}.");
    }

    /// <summary>Rotates, stores and attends.</summary>
    /// <param name="arguments">The operation without what belongs to the step and to the shape.</param>
    /// <param name="shape">The shape.</param>
    public void Launch(AttentionArguments arguments, AttentionShape shape)
    {
        arguments.Slopes = shape.AlibiSlopes is { } slopes ? Slopes(slopes) : 0;
        arguments.Heads = shape.Heads;
        arguments.KvHeads = shape.KvHeads;
        arguments.HeadDim = shape.HeadDim;
        arguments.Window = shape.Window;
        arguments.Scale = shape.Scale;
        arguments.SoftCap = shape.SoftCap;
        (GpuKernel<AttentionArguments> kernel, GpuAttentionPlan plan, int unitsPerGroup) = device.HasTensorCores && shape.HeadDim % 8 == 0
            ? ChooseTensor(shape)
            : ChoosePortable(shape);
        arguments.SplitTokens = plan.SplitTokens;
        arguments.Rotates = step.IsDecode ? 1 : 0;
        arguments.Work = step.WorkOf(plan);
        int groups = (int)Math.Max(1, (step.UnitsOf(plan) + unitsPerGroup - 1) / unitsPerGroup);
        arguments.Count = step.Count;
        arguments.Rows = step.Rows;
        arguments.Partials = step.Partials;
        arguments.Counters = step.Counters;
        if (!step.IsDecode) device.Launch(GpuRotary.Kernel, new GpuGrid(step.Capacity), arguments);
        device.Launch(kernel, new GpuGrid(groups), arguments);
    }

    public void Dispose()
    {
        foreach (GpuBuffer slopes in _slopes.Values) slopes.Dispose();
    }

    private (GpuKernel<AttentionArguments> Kernel, GpuAttentionPlan Plan, int UnitsPerGroup) ChoosePortable(AttentionShape shape)
    {
        int warps = Math.Max(Math.Min(GpuAttention.Kernel.GroupSize, device.MaxGroupSize) / 32, 1);
        return (GpuAttention.Kernel, new GpuAttentionPlan(1, GpuAttention.SplitTokens, shape.Window, shape.Heads, warps, SlotBytes(shape)), 1);
    }

    private (GpuKernel<AttentionArguments> Kernel, GpuAttentionPlan Plan, int UnitsPerGroup) ChooseTensor(AttentionShape shape)
    {
        (GpuKernel<AttentionArguments> decode, GpuKernel<AttentionArguments> kernel, int dimGroups) = shape.HeadDim switch
        {
            <= 64 => (GpuTensorAttention.Decode64, GpuTensorAttention.Heads64, 1),
            <= 128 => (GpuTensorAttention.Decode128, GpuTensorAttention.Heads128, 2),
            _ => (GpuTensorAttention.Decode256, GpuTensorAttention.Heads256, 4),
        };
        int group = shape.Heads / shape.KvHeads, heads = shape.KvHeads * GpuTensorAttention.HeadTiles(group);
        GpuAttentionPlan plan = new(GpuTensorAttention.RowsPerTile(group), GpuTensorAttention.SpanTokens, shape.Window, heads, 1, SlotBytes(shape));
        return (step.IsDecode ? decode : kernel, plan, GpuTensorAttention.Warps(dimGroups));
    }

    /// <summary>What all heads of a row leave for a split.</summary>
    private static long SlotBytes(AttentionShape shape) => (long)shape.Heads * (shape.HeadDim + GpuAttention.PartialTail) * sizeof(float);

    private nint Slopes(float[] slopes)
    {
        if (_slopes.TryGetValue(slopes, out GpuBuffer? buffer)) return buffer.Address;
        buffer = new GpuBuffer(device.Memory, (long)slopes.Length * sizeof(float));
        device.Upload(buffer.Address, MemoryMarshal.AsBytes(slopes.AsSpan()));
        _slopes.Add(slopes, buffer);
        return buffer.Address;
    }
}
