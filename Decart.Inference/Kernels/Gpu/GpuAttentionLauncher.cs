using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Picks the attention's kernels. What a device can run and how long heads are decides on the family; whether rows are single tokens and contexts
/// divided depends on the batch, and the bits are the same.
/// </summary>
internal sealed class GpuAttentionLauncher(IGpuDevice device, GpuStep step) : IDisposable
{
    private readonly Dictionary<float[], GpuBuffer> _slopes = new(ReferenceEqualityComparer.Instance);
    private readonly GpuBuffer _queries = new(device.Memory);

    /// <summary>How often memory that launches use has moved.</summary>
    public int Moves => _queries.Moves;

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
        if (UsesWarpGroups(shape)) LaunchByWarpGroups(arguments, shape);
        else LaunchOne(arguments, shape);
    }

    public void Dispose()
    {
        _queries.Dispose();
        foreach (GpuBuffer slopes in _slopes.Values) slopes.Dispose();
    }

    /// <summary>Whether rows of a shape take the kernels of sm_90a.</summary>
    private bool UsesWarpGroups(AttentionShape shape) =>
        device.HasTensorCores && shape.HeadDim % 8 == 0 && shape.HeadDim <= 128
        && device.CanRun(GpuPromptAttention.Heads128) && device.CanRun(GpuDecodeAttention.Heads128);

    /// <summary>One kernel for heads, then one for single tokens and one for chunks, where there are any.</summary>
    private void LaunchByWarpGroups(AttentionArguments arguments, AttentionShape shape)
    {
        int group = shape.Heads / shape.KvHeads, prompts = PromptUnit.PerTile(shape.Heads, shape.KvHeads);
        GpuAttentionPlan singles = new(1, 0, shape.Window, AttentionUnit.PerItem(shape.Heads, shape.KvHeads), 1, SlotBytes(shape), GpuAttentionRows.Singles);
        GpuAttentionPlan chunks = new(PromptUnit.RowsPerTile(group), 0, shape.Window, prompts, 1, 0, GpuAttentionRows.Chunks);
        _queries.Reserve((long)step.MaxRows * shape.Heads * shape.HeadDim * sizeof(ushort));
        bool plain = AttentionScores.ArePlain(shape);
        arguments.Queries = _queries.Address;
        arguments.Plain = plain ? 1 : 0;
        arguments.Factor = plain ? shape.Scale * GpuMath.Log2E : 1;
        // Lists that are new move what they lie behind, so all are made before any is used.
        step.WorkOf(singles);
        if (!step.IsDecode) step.WorkOf(chunks);
        bool narrow = shape.HeadDim <= 64;
        GpuHeads.Launch(device, WithStep(arguments), step.Capacity);
        if (step.HasRows(singles))
        {
            arguments.Work = step.WorkOf(singles);
            device.Launch(narrow ? GpuDecodeAttention.Heads64 : GpuDecodeAttention.Heads128, new GpuGrid(step.GroupsOf(singles)), WithStep(arguments));
        }
        if (step.HasRows(chunks))
        {
            arguments.Work = step.WorkOf(chunks);
            GpuKernel<AttentionArguments> kernel = step.ChunksHaveMaps
                ? narrow ? GpuPromptAttention.Heads64 : GpuPromptAttention.Heads128
                : narrow ? GpuPromptAttention.Paged64 : GpuPromptAttention.Paged128;
            device.Launch(kernel, new GpuGrid(step.GroupsOf(chunks)), WithStep(arguments));
        }
    }

    /// <summary>One kernel for all rows, which rotates single tokens by the way.</summary>
    private void LaunchOne(AttentionArguments arguments, AttentionShape shape)
    {
        (GpuKernel<AttentionArguments> kernel, GpuAttentionPlan plan, int unitsPerGroup) = device.HasTensorCores && shape.HeadDim % 8 == 0
            ? ChooseTensor(shape)
            : ChoosePortable(shape);
        arguments.SplitTokens = plan.SplitTokens;
        arguments.Rotates = step.IsDecode ? 1 : 0;
        arguments.Work = step.WorkOf(plan);
        int groups = (int)Math.Max(1, (step.UnitsOf(plan) + unitsPerGroup - 1) / unitsPerGroup);
        if (!step.IsDecode) device.Launch(GpuRotary.Kernel, new GpuGrid(step.Capacity), WithStep(arguments));
        device.Launch(kernel, new GpuGrid(groups), WithStep(arguments));
    }

    /// <summary>Adds what belongs to the step, which moves when a new plan's work list is made.</summary>
    private AttentionArguments WithStep(AttentionArguments arguments)
    {
        arguments.Count = step.Count;
        arguments.Rows = step.Rows;
        arguments.Partials = step.Partials;
        arguments.Counters = step.Counters;
        return arguments;
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
