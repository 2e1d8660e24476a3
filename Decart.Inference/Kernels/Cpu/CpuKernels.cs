using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>The operations of a decoder on the processor.</summary>
internal sealed unsafe class CpuKernels : IKernels, IDisposable
{
    /// <summary>Elements below which the caller works alone on a batch's rows: waking the others would take about as long.</summary>
    private const long MinElementsPerPart = 16 * 1024;

    private readonly ThreadTeam _team;
    private readonly CpuStep _step;
    private readonly SimdWidth _width;
    private readonly int _kvElementBytes;
    private readonly CpuMatMul _matMul;
    private readonly CpuAttention _attention;
    private readonly CpuExperts _experts;
    private readonly CpuBuffer<float> _normed = new(0);

    public CpuKernels(ThreadTeam team, CpuStep step, SimdWidth width, int kvElementBytes)
    {
        (_team, _step, _width, _kvElementBytes) = (team, step, width, kvElementBytes);
        _matMul = new CpuMatMul(team, width);
        _attention = new CpuAttention(team, width);
        _experts = new CpuExperts(_matMul);
    }

    public void Embed(Weight table, float scale, Activations x) => CpuEmbed.Embed((CpuWeight)table, _step.Batch.TokenIds, scale, (CpuActivations)x);

    public void MatMul(Activations x, Norm? norm, Weight weight, in Epilogue epilogue, Activations y)
    {
        int rows = _step.Batch.TokenCount;
        CpuRows source = norm is null ? new CpuRows((CpuActivations)x) : Normalise(norm, (CpuActivations)x, rows, order: null);
        Multiply(source, rows, weight, epilogue, y);
    }

    public void Normalise(Norm norm, Activations x, Activations y) =>
        Normalise(norm, (CpuActivations)x, _step.Batch.TokenCount, order: null, new CpuRows((CpuActivations)y), add: false);

    public void NormaliseAdd(Norm norm, Activations delta, Activations residual) =>
        Normalise(norm, (CpuActivations)delta, _step.Batch.TokenCount, order: null, new CpuRows((CpuActivations)residual), add: true);

    public void Attend(Activations qkv, int layer, AttentionShape shape, RotaryTable? rotary, Norm? queryNorm, Norm? keyNorm, Activations y)
    {
        CpuRotaryTable? table = (CpuRotaryTable?)rotary;
        table?.Prepare(_step);
        int parts = Parts(_step.Batch.TokenCount, qkv.Columns);
        KvLayout layout = new(layer + 1, shape.KvHeads, shape.HeadDim, _kvElementBytes);
        _team.Run(new RotaryStoreJob((CpuActivations)qkv, layer, shape, layout, table, queryNorm, keyNorm, _step, parts, _width), parts);
        _attention.Attend(_step, (CpuActivations)qkv, layer, shape, layout, (CpuActivations)y);
    }

    public void MixExperts(Activations x, Activations routerLogits, Experts experts, Activations y) =>
        _experts.Mix(_step.Batch.TokenCount, new CpuRows((CpuActivations)x), (CpuActivations)routerLogits, experts, (CpuActivations)y);

    public void Logits(Activations x, Norm norm, Weight weight, in Epilogue epilogue, Activations y)
    {
        int rows = _step.Batch.LogitRows.Length;
        Multiply(Normalise(norm, (CpuActivations)x, rows, _step.LogitRows), rows, weight, epilogue, y);
    }

    public void Dispose()
    {
        _matMul.Dispose();
        _attention.Dispose();
        _experts.Dispose();
        _normed.Dispose();
    }

    private void Multiply(CpuRows x, int rows, Weight weight, in Epilogue epilogue, Activations y)
    {
        CpuActivations destination = (CpuActivations)y;
        float* bias = epilogue.Bias is CpuWeightVector vector ? vector.Pointer : null;
        _matMul.Multiply(x.Pointer, x.Stride, rows, (CpuWeight)weight, epilogue, bias, destination.Pointer, destination.Stride);
    }

    /// <summary>Normalises rows of x, those that <paramref name="order"/> lists when it is given; the result is valid until the next call.</summary>
    private CpuRows Normalise(Norm norm, CpuActivations x, int rows, int* order)
    {
        _normed.Reserve((long)rows * x.Stride);
        CpuRows normed = new((nint)_normed.Pointer, x.Stride);
        Normalise(norm, x, rows, order, normed, add: false);
        return normed;
    }

    private void Normalise(Norm norm, CpuActivations x, int rows, int* order, CpuRows y, bool add)
    {
        int parts = Parts(rows, x.Columns);
        _team.Run(new NormaliseJob(new CpuNorm(norm), x, order, y, add, rows, parts, _width), parts);
    }

    /// <summary>How many parts to make of rows.</summary>
    private int Parts(int rows, int columns) =>
        (int)Math.Clamp((long)rows * columns / MinElementsPerPart, 1, Math.Min(_team.Threads, Math.Max(rows, 1)));
}
