using System.Globalization;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Memory;

namespace Decart.Inference.Benchmarks;

/// <summary>A case of <see cref="AttentionBenchmarks"/>.</summary>
/// <param name="Heads">Query heads.</param>
/// <param name="KvHeads">Key/value heads.</param>
/// <param name="HeadDim">Elements of a head.</param>
/// <param name="Context">Tokens already there.</param>
/// <param name="Tokens">Tokens of the chunk: 1 for decode.</param>
public sealed record AttentionCase(int Heads, int KvHeads, int HeadDim, int Context, int Tokens)
{
    /// <summary>Multiplications and additions of queries with keys and of probabilities with values, hidden pairs not counted.</summary>
    public double Operations => 4.0 * Heads * HeadDim * (((double)Tokens * Context) + (Tokens * (Tokens + 1.0) / 2));

    /// <summary>Bytes of the keys and values.</summary>
    public double Bytes => 2.0 * sizeof(float) * KvHeads * HeadDim * (Context + Tokens);

    /// <inheritdoc/>
    public override string ToString() => $"{Heads}/{KvHeads}x{HeadDim} {Context}+{Tokens}";
}

/// <summary>
/// Attention of one layer with the caches of 16 layers in memory, as a decoder finds them; beside it the same with plain loops over
/// one query and head at a time.
/// </summary>
[Config(typeof(RateColumns))]
public unsafe class AttentionBenchmarks : IDisposable
{
    private const int Layers = 16;

    private CpuBackend _backend = null!;
    private AttentionShape _shape = null!;
    private KvLayout _layout;
    private CpuBuffer<float> _kv = null!;
    private CpuActivations _queries = null!, _outputs = null!;
    private float[] _scores = null!;
    private int _layer;

    /// <summary>Prompt and decode of a 1B and a 7B shape.</summary>
    public static IEnumerable<AttentionCase> Cases =>
        [new(32, 8, 64, 0, 512), new(32, 8, 64, 1536, 512), new(32, 8, 64, 2047, 1), new(32, 32, 128, 0, 512), new(32, 32, 128, 2047, 1)];

    [ParamsSource(nameof(Cases))]
    public AttentionCase Case { get; set; } = null!;

    [GlobalSetup]
    public void Setup()
    {
        _backend = new CpuBackend(ThreadTeam.DefaultThreads);
        _shape = new AttentionShape(Case.Heads, Case.KvHeads, Case.HeadDim, 1 / MathF.Sqrt(Case.HeadDim));
        _layout = new KvLayout(Layers, Case.KvHeads, Case.HeadDim, _backend.KvElementBytes);
        _kv = new CpuBuffer<float>((Case.Context + Case.Tokens) * _layout.TokenBytes / sizeof(float));
        _queries = (CpuActivations)_backend.Tensors.CreateActivations(Case.Tokens, (Case.Heads + (2 * Case.KvHeads)) * Case.HeadDim);
        _outputs = (CpuActivations)_backend.Tensors.CreateActivations(Case.Tokens, Case.Heads * Case.HeadDim);
        _scores = new float[Case.Context + Case.Tokens];
        Random random = new(1);
        for (long i = 0; i < _kv.Length; i++) _kv.Pointer[i] = random.NextSingle() - 0.5f;
        for (long i = 0; i < (long)Case.Tokens * _queries.Stride; i++) _queries.Pointer[i] = random.NextSingle() - 0.5f;
        Batch batch = new();
        batch.Add(new KvView((nint)_kv.Pointer, _layout.TokenBytes), new int[Case.Tokens], Case.Context, wantsLogits: false);
        _backend.BeginStep(batch);
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _outputs.Dispose();
        _queries.Dispose();
        _kv.Dispose();
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }

    [Benchmark]
    public void Attend() => _backend.Kernels.Attend(_queries, _layer++ % Layers, _shape, null, null, null, _outputs);

    [Benchmark(Baseline = true)]
    public void PlainLoops()
    {
        int layer = _layer++ % Layers;
        for (int token = 0; token < Case.Tokens; token++)
        {
            for (int head = 0; head < Case.Heads; head++) AttendPlainly(layer, token, head);
        }
    }

    private void AttendPlainly(int layer, int token, int head)
    {
        float* query = _queries.Pointer + ((long)token * _queries.Stride) + (head * Case.HeadDim);
        float* output = _outputs.Pointer + ((long)token * _outputs.Stride) + (head * Case.HeadDim);
        float* keys = _kv.Pointer + (layer * _layout.LayerBytes / sizeof(float)) + (head / (Case.Heads / Case.KvHeads) * Case.HeadDim);
        int count = Case.Context + token + 1;
        long tokenElements = _layout.TokenBytes / sizeof(float), valueOffset = _layout.ValueOffset / sizeof(float);
        float max = float.NegativeInfinity, sum = 0;
        for (int j = 0; j < count; j++)
        {
            float* key = keys + (j * tokenElements);
            float score = 0;
            for (int i = 0; i < Case.HeadDim; i++) score += query[i] * key[i];
            _scores[j] = score * _shape.Scale;
            max = MathF.Max(max, _scores[j]);
        }
        for (int j = 0; j < count; j++) sum += _scores[j] = MathF.Exp(_scores[j] - max);
        new Span<float>(output, Case.HeadDim).Clear();
        for (int j = 0; j < count; j++)
        {
            float* value = keys + (j * tokenElements) + valueOffset;
            float probability = _scores[j] / sum;
            for (int i = 0; i < Case.HeadDim; i++) output[i] += probability * value[i];
        }
    }

    private sealed class RateColumns : ManualConfig
    {
        public RateColumns() => AddColumn(new RateColumn("GFLOP/s", c => c.Operations), new RateColumn("GB/s", c => c.Bytes));
    }

    /// <summary>What a case does, in billions for each second.</summary>
    private sealed class RateColumn(string name, Func<AttentionCase, double> amount) : IColumn
    {
        public string Id => name;

        public string ColumnName => name;

        public bool AlwaysShow => true;

        public ColumnCategory Category => ColumnCategory.Custom;

        public int PriorityInCategory => 0;

        public bool IsNumeric => true;

        public UnitType UnitType => UnitType.Dimensionless;

        public string Legend => $"{name}, from the mean time";

        public string GetValue(Summary summary, BenchmarkCase benchmarkCase) => GetValue(summary, benchmarkCase, summary.Style);

        public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style)
        {
            double? mean = summary[benchmarkCase]?.ResultStatistics?.Mean;
            if (mean is null) return "?";
            return (amount((AttentionCase)benchmarkCase.Parameters[nameof(Case)]) / mean.Value).ToString("F1", CultureInfo.InvariantCulture);
        }

        public bool IsAvailable(Summary summary) => true;

        public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;
    }
}
