using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Picks the attention's kernels. What a device can run and how long heads are decides on the family; whether rows are single tokens and contexts
/// divided depends on the batch, and the bits are the same.
/// </summary>
internal sealed class GpuAttentionLauncher(IGpuDevice device, GpuStep step, RowMaxima maxima, int kvElementBytes) : IDisposable
{
    private readonly Dictionary<float[], GpuBuffer> _slopes = new(ReferenceEqualityComparer.Instance);
    private readonly GpuBuffer _queries = new(device.Memory);
    private readonly bool _codes = kvElementBytes == KvCodes.Bytes;

    /// <summary>All kernels where keys and values are halves.</summary>
    public static IReadOnlyList<GpuKernel> ForHalves { get; } =
    [
        GpuRotary.Kernel, GpuAttention.Kernel, GpuTensorAttention.Heads64, GpuTensorAttention.Heads128, GpuTensorAttention.Heads256,
        GpuTensorAttention.Decode64, GpuTensorAttention.Decode128, GpuTensorAttention.Decode256, GpuHeads.Kernel, GpuHeads.GeneralKernel,
        GpuDecodeAttention.Heads64, GpuDecodeAttention.Heads128, GpuPromptAttention.Heads64, GpuPromptAttention.Heads128, GpuPromptAttention.Paged64, GpuPromptAttention.Paged128,
    ];

    /// <summary>All kernels where they are <see cref="KvCodes"/>.</summary>
    public static IReadOnlyList<GpuKernel> ForCodes { get; } =
    [
        GpuRotary.CodesKernel, GpuAttention.CodesKernel, GpuTensorAttention.Codes64, GpuTensorAttention.Codes128, GpuTensorAttention.Codes256,
        GpuTensorAttention.DecodeCodes64, GpuTensorAttention.DecodeCodes128, GpuTensorAttention.DecodeCodes256, GpuHeads.CodesKernel, GpuHeads.GeneralCodesKernel,
        GpuDecodeAttention.Codes64, GpuDecodeAttention.Codes128, GpuPromptAttention.Codes64, GpuPromptAttention.Codes128,
    ];

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
        KvLayout layout = new(arguments.Layer + 1, shape.KvHeads, shape.HeadDim, kvElementBytes);
        (arguments.HeadBytes, arguments.LayerOffset, arguments.ScaleOffset) = (layout.HeadBytes, layout.LayerOffset(arguments.Layer), layout.ScaleOffset(arguments.Layer));
        arguments.Window = shape.Window;
        arguments.Scale = shape.Scale;
        arguments.SoftCap = shape.SoftCap;
        maxima.Forget((nint)arguments.Y);
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

    private static GpuKernel<AttentionArguments> Decode(bool narrow, bool codes) =>
        codes ? narrow ? GpuDecodeAttention.Codes64 : GpuDecodeAttention.Codes128 : narrow ? GpuDecodeAttention.Heads64 : GpuDecodeAttention.Heads128;

    private static GpuKernel<AttentionArguments> Prompt(bool narrow, bool codes, bool tensors)
    {
        if (codes) return narrow ? GpuPromptAttention.Codes64 : GpuPromptAttention.Codes128;
        if (tensors) return narrow ? GpuPromptAttention.Heads64 : GpuPromptAttention.Heads128;
        return narrow ? GpuPromptAttention.Paged64 : GpuPromptAttention.Paged128;
    }

    /// <summary>One kernel for heads, then one for single tokens and one for chunks, where there are any.</summary>
    private void LaunchByWarpGroups(AttentionArguments arguments, AttentionShape shape)
    {
        int group = shape.Heads / shape.KvHeads, prompts = PromptUnit.PerTile(shape.Heads, shape.KvHeads);
        GpuAttentionPlan singles = new(1, 0, shape.Window, AttentionUnit.PerItem(shape.Heads, shape.KvHeads), 1, SlotBytes(shape), GpuAttentionRows.Singles);
        GpuAttentionPlan chunks = new(PromptUnit.RowsPerTile(group), 0, shape.Window, prompts, 1, 0, GpuAttentionRows.Chunks) { HeadDim = shape.HeadDim };
        _queries.Reserve((long)step.MaxRows * shape.Heads * shape.HeadDim * sizeof(ushort));
        bool plain = AttentionScores.ArePlain(shape);
        arguments.Queries = _queries.Address;
        arguments.Plain = plain ? 1 : 0;
        arguments.Factor = plain ? shape.Scale * GpuMath.Log2E : 1;
        // Lists that are new move what they lie behind, so all are made before any is used.
        step.WorkOf(singles);
        if (!step.IsDecode) step.WorkOf(chunks);
        bool narrow = shape.HeadDim <= 64;
        GpuHeads.Launch(device, WithStep(arguments), step.Capacity, _codes);
        if (step.HasRows(singles))
        {
            arguments.Work = step.WorkOf(singles);
            if (step.IsDecode) arguments.Maxima = maxima.Expect((nint)arguments.Y, step.Capacity);
            device.Launch(Decode(narrow, _codes), new GpuGrid(step.GroupsOf(singles)) { GroupSize = GpuDecodeAttention.GroupSize(device) }, WithStep(arguments));
        }
        if (step.HasRows(chunks))
        {
            arguments.Work = step.WorkOf(chunks);
            device.Launch(Prompt(narrow, _codes, step.ChunksHaveMaps), new GpuGrid(step.GroupsOf(chunks)), WithStep(arguments));
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
        if (!step.IsDecode) device.Launch(_codes ? GpuRotary.CodesKernel : GpuRotary.Kernel, new GpuGrid(step.Capacity), WithStep(arguments));
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
        GpuKernel<AttentionArguments> kernel = _codes ? GpuAttention.CodesKernel : GpuAttention.Kernel;
        int warps = Math.Max(Math.Min(kernel.GroupSize, device.MaxGroupSize) / 32, 1);
        return (kernel, new GpuAttentionPlan(1, GpuAttention.SplitTokens, shape.Window, shape.Heads, warps, SlotBytes(shape)), 1);
    }

    private (GpuKernel<AttentionArguments> Kernel, GpuAttentionPlan Plan, int UnitsPerGroup) ChooseTensor(AttentionShape shape)
    {
        (GpuKernel<AttentionArguments> decode, GpuKernel<AttentionArguments> kernel, int dimGroups) = (shape.HeadDim, _codes) switch
        {
            ( <= 64, false) => (GpuTensorAttention.Decode64, GpuTensorAttention.Heads64, 1),
            ( <= 128, false) => (GpuTensorAttention.Decode128, GpuTensorAttention.Heads128, 2),
            (_, false) => (GpuTensorAttention.Decode256, GpuTensorAttention.Heads256, 4),
            ( <= 64, true) => (GpuTensorAttention.DecodeCodes64, GpuTensorAttention.Codes64, 1),
            ( <= 128, true) => (GpuTensorAttention.DecodeCodes128, GpuTensorAttention.Codes128, 2),
            (_, true) => (GpuTensorAttention.DecodeCodes256, GpuTensorAttention.Codes256, 4),
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
