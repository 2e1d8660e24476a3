using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Benchmarks;

/// <summary>The shape of a weight matrix.</summary>
public readonly record struct MatrixShape(int Outputs, int Inputs)
{
    public override string ToString() => $"{Outputs}x{Inputs}";
}

/// <summary>
/// Multiplies activations with the bf16 weights of a model of about 1B parameters. Consecutive multiplications take different copies of
/// the weight, more than the caches hold, as the layers of a model do.
/// </summary>
public abstract unsafe class MatMulBenchmarks : IDisposable
{
    /// <summary>Bytes of all copies of a weight, many times the size of a last-level cache.</summary>
    private const long WeightBytes = 512L << 20;

    private readonly ThreadTeam _team = new(ThreadTeam.DefaultThreads);
    private readonly MachineCeilings _ceilings;
    private readonly CpuMatMul _matMul;
    private CpuWeight[] _weights = [];
    private ushort* _weightData;
    private float* _x;
    private float* _y;
    private int _next;

    protected MatMulBenchmarks()
    {
        _ceilings = new MachineCeilings(_team);
        _matMul = new CpuMatMul(_team);
    }

    /// <summary>Outputs and inputs: attention's projections, feed-forward up and down, and in decoding the vocabulary.</summary>
    public abstract MatrixShape Shape { get; set; }

    /// <summary>Tokens.</summary>
    public abstract int Rows { get; set; }

    [GlobalSetup]
    public void CreateMatrices()
    {
        var random = new Random(1);
        long elements = (long)Shape.Outputs * Shape.Inputs;
        _weightData = (ushort*)NativeMemory.AlignedAlloc((nuint)WeightBytes, 64);
        for (long i = 0; i < WeightBytes / sizeof(ushort); i++) _weightData[i] = (ushort)(0x3C00 + random.Next(0x200));
        _weights = new CpuWeight[WeightBytes / sizeof(ushort) / elements];
        for (int i = 0; i < _weights.Length; i++)
            _weights[i] = new CpuWeight(new WeightParts("memory", new StoredTensor("weight", TensorType.BF16, [Shape.Outputs, Shape.Inputs], (nint)(_weightData + (i * elements)))));

        _x = (float*)NativeMemory.AlignedAlloc((nuint)Rows * (nuint)Shape.Inputs * sizeof(float), 64);
        _y = (float*)NativeMemory.AlignedAlloc((nuint)Rows * (nuint)Shape.Outputs * sizeof(float), 64);
        for (int i = 0; i < Rows * Shape.Inputs; i++) _x[i] = random.NextSingle() - 0.5f;
    }

    /// <summary>What else uses the machine changes from moment to moment: the ceilings are measured before each iteration.</summary>
    [IterationSetup]
    public void MeasureCeilings() => MatMulColumn.Record(Shape, Rows, _ceilings.MeasureRead(), _ceilings.MeasureMultiplyAdd());

    [Benchmark]
    public void Multiply()
    {
        _matMul.Multiply(_x, Shape.Inputs, Rows, _weights[_next], default, null, _y, Shape.Outputs);
        _next = (_next + 1) % _weights.Length;
    }

    [GlobalCleanup]
    public void FreeMatrices()
    {
        NativeMemory.AlignedFree(_weightData);
        NativeMemory.AlignedFree(_x);
        NativeMemory.AlignedFree(_y);
        Dispose();
    }

    public void Dispose()
    {
        _ceilings.Dispose();
        _matMul.Dispose();
        _team.Dispose();
        GC.SuppressFinalize(this);
    }
}

/// <summary>One token, and a few sequences' next tokens at once: the memory's bandwidth is the limit.</summary>
[MatMulConfig(invocations: 4)]
public class MatMulDecodeBenchmarks : MatMulBenchmarks
{
    [ParamsSource(nameof(Shapes))]
    public override MatrixShape Shape { get; set; }

    [Params(1, 4)]
    public override int Rows { get; set; }

    public static IEnumerable<MatrixShape> Shapes => [new(2048, 2048), new(5632, 2048), new(2048, 5632), new(32000, 2048)];
}

/// <summary>A prompt of 512 tokens: arithmetic is the limit.</summary>
[MatMulConfig(invocations: 1)]
public class MatMulPrefillBenchmarks : MatMulBenchmarks
{
    [ParamsSource(nameof(Shapes))]
    public override MatrixShape Shape { get; set; }

    [Params(512)]
    public override int Rows { get; set; }

    public static IEnumerable<MatrixShape> Shapes => [new(2048, 2048), new(5632, 2048), new(2048, 5632)];
}
