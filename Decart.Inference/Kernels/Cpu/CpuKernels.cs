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
    private readonly CpuBuffer<float> _normed = new(0);
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

    public void Prepare(int maxTokens, int contextLength, Action operations) { }

    public void BeginStep(Batch batch) => _step.Begin(batch);

    public void Run(Action operations) => operations();

    public void Embed(Weight table, float scale, Activations x) => CpuEmbed.Embed((CpuWeight)table, _step.Batch.TokenIds, scale, (CpuActivations)x);

    public void MatMul(Activations x, Norm? norm, Weight weight, in Epilogue epilogue, Activations y)
    {
        int rows = _step.Batch.TokenCount;
        CpuRows source = norm is null ? new CpuRows((CpuActivations)x) : Normalise(norm, (CpuActivations)x, rows, order: null);
        Multiply(source, rows, weight, epilogue, y);
    }

    public void NormaliseAdd(Norm norm, Activations delta, Activations residual) =>
        Normalise(norm, (CpuActivations)delta, _step.Batch.TokenCount, order: null, new CpuRows((CpuActivations)residual), add: true);

    public void Attend(Activations qkv, int layer, AttentionShape shape, RotaryTable? rotary, Norm? queryNorm, Norm? keyNorm, Activations y)
    {
        CpuRotaryTable? table = (CpuRotaryTable?)rotary;
        table?.Prepare(_step);
        int parts = Parts(_step.Batch.TokenCount, qkv.Columns);
        _team.Run(new RotaryStoreJob((CpuActivations)qkv, layer, shape, table, queryNorm, keyNorm, _step, parts, _width), parts);
        _attention.Attend(_step, (CpuActivations)qkv, layer, shape, (CpuActivations)y);
    }

    public void MixExperts(Activations x, Norm? norm, Activations routerLogits, Experts experts, Activations y)
    {
        int rows = _step.Batch.TokenCount;
        CpuRows source = norm is null ? new CpuRows((CpuActivations)x) : Normalise(norm, (CpuActivations)x, rows, order: null);
        _experts.Mix(rows, source, (CpuActivations)routerLogits, experts, (CpuActivations)y);
    }

    public void Logits(Activations x, Norm norm, Weight weight, in Epilogue epilogue, Activations y)
    {
        int rows = _step.Batch.LogitRows.Length;
        Multiply(Normalise(norm, (CpuActivations)x, rows, _step.LogitRows), rows, weight, epilogue, y);
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
        _normed.Dispose();
    }

    private static Span<float> Row(Activations x, int row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)x.Rows, nameof(row));
        CpuActivations activations = (CpuActivations)x;
        return new Span<float>(activations.Pointer + ((long)row * activations.Stride), activations.Columns);
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
