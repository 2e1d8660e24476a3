using Decart.Inference.Checkpoints;
using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// The operations of a decoder on the processor: float32 activations, keys and values; weights as they are stored. Called by one
/// thread at a time, which works along with its team. Allocates nothing once it has seen the largest batch.
/// </summary>
internal sealed unsafe class CpuKernels : IKernels
{
    /// <summary>Elements below which the caller works alone on a batch's rows: waking the others would take about as long.</summary>
    private const long MinElementsPerPart = 16 * 1024;

    private readonly SimdWidth _width;
    private readonly ThreadTeam _team;
    private readonly CpuMatMul _matMul;
    private readonly CpuAttention _attention;
    private readonly CpuExperts _experts;
    private readonly CpuStep _step = new();
    private bool _disposed;

    /// <summary>Starts the threads.</summary>
    /// <param name="threads">Number of threads including the caller's, at least 1.</param>
    /// <param name="width">The width of the vectors to compute with; the machine's own when null.</param>
    public CpuKernels(int threads, SimdWidth? width = null)
    {
        _width = width ?? SimdWidths.Machine;
        _team = new ThreadTeam(threads);
        _matMul = new CpuMatMul(_team, _width);
        _attention = new CpuAttention(_team, _width);
        _experts = new CpuExperts(_matMul);
    }

    public IDeviceMemory Memory { get; } = new HostMemory();

    public bool ReadsWeightsInPlace => true;

    public int KvElementBytes => sizeof(float);

    public Weight CreateWeight(ReadOnlySpan<StoredTensor> parts) => new CpuWeight(parts);

    public WeightVector CreateVector(ReadOnlySpan<StoredTensor> parts, float offset = 0) => CpuWeightVector.Create(parts, offset);

    public RotaryTable CreateRotary(RotaryParameters parameters) => new CpuRotaryTable(parameters);

    public Activations CreateActivations(int rows, int columns, bool operand = false) => new CpuActivations(rows, columns);

    public void BeginStep(Batch batch) => _step.Begin(batch);

    public void Embed(Weight table, float scale, Activations x) => CpuEmbed.Embed((CpuWeight)table, _step.Batch.TokenIds, scale, (CpuActivations)x);

    public void Normalise(Norm norm, Activations x, Activations y) => Normalise(norm, x, delta: null, y, add: false);

    public void AddNormalise(Activations residual, Activations delta, Norm norm, Activations y) => Normalise(norm, residual, delta, y, add: false);

    public void NormaliseAdd(Norm norm, Activations delta, Activations residual) => Normalise(norm, delta, delta: null, residual, add: true);

    public void MatMul(Activations x, Weight weight, int rows, in Epilogue epilogue, Activations y)
    {
        CpuActivations source = (CpuActivations)x, destination = (CpuActivations)y;
        float* bias = epilogue.Bias is CpuWeightVector vector ? vector.Pointer : null;
        _matMul.Multiply(source.Pointer, source.Stride, rows, (CpuWeight)weight, epilogue, bias, destination.Pointer, destination.Stride);
    }

    public void RotaryStore(Activations qkv, int layer, AttentionShape shape, RotaryTable? rotary, Norm? queryNorm, Norm? keyNorm)
    {
        CpuRotaryTable? table = (CpuRotaryTable?)rotary;
        table?.Prepare(_step);
        int parts = Parts(qkv.Columns);
        _team.Run(new RotaryStoreJob((CpuActivations)qkv, layer, shape, table, queryNorm, keyNorm, _step, parts, _width), parts);
    }

    public void Attend(Activations qkv, int layer, AttentionShape shape, Activations y) =>
        _attention.Attend(_step, (CpuActivations)qkv, layer, shape, (CpuActivations)y);

    public void MixExperts(Activations x, Activations routerLogits, Experts experts, Activations y) =>
        _experts.Mix(_step.Batch.TokenCount, (CpuActivations)x, (CpuActivations)routerLogits, experts, (CpuActivations)y);

    public void GatherRows(Activations x, ReadOnlySpan<int> rows, Activations y)
    {
        for (int i = 0; i < rows.Length; i++) Row(x, rows[i]).CopyTo(Row(y, i));
    }

    public void Read(Activations x, int row, Span<float> destination) => Row(x, row).CopyTo(destination);

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _team.Dispose();
        _matMul.Dispose();
        _attention.Dispose();
        _experts.Dispose();
        _step.Dispose();
    }

    private static Span<float> Row(Activations x, int row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)x.Rows, nameof(row));
        CpuActivations activations = (CpuActivations)x;
        return new Span<float>(activations.Pointer + ((long)row * activations.Stride), activations.Columns);
    }

    private void Normalise(Norm norm, Activations x, Activations? delta, Activations y, bool add)
    {
        int parts = Parts(x.Columns);
        NormaliseJob job = new(
            new CpuNorm(norm), (CpuActivations)x, (CpuActivations?)delta, (CpuActivations)y, add, _step.Batch.TokenCount, parts, _width);
        _team.Run(job, parts);
    }

    /// <summary>How many parts to make of the batch's rows.</summary>
    private int Parts(int columns)
    {
        int rows = _step.Batch.TokenCount;
        return (int)Math.Clamp((long)rows * columns / MinElementsPerPart, 1, Math.Min(_team.Threads, Math.Max(rows, 1)));
    }
}
