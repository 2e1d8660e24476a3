using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Kernels;

/// <summary>The same values in the CPU's memory and in the reference's.</summary>
internal readonly record struct ActivationsPair(CpuActivations Cpu, ReferenceActivations Reference);

/// <summary>A sequence's keys and values in both.</summary>
internal readonly record struct KvPair(TestKv Cpu, TestKv Reference);

/// <summary>The CPU's kernels beside the reference, with random data for both.</summary>
internal sealed unsafe class KernelBench(SimdWidth width, int threads = 2, int seed = 1, KvCacheType keysAndValues = KvCacheType.Default) : IDisposable
{
    private readonly List<nint> _memory = [];
    private readonly List<IDisposable> _disposables = [];

    public CpuBackend Cpu { get; } = new(threads, width, keysAndValues);

    public ReferenceBackend Reference { get; } = new();

    public Random Random { get; } = new(seed);

    public float NextValue() => (Random.NextSingle() * 2) - 1;

    public StoredTensor Tensor(TensorType type, params ReadOnlySpan<long> shape)
    {
        long count = 1;
        foreach (long length in shape) count *= length;
        byte* data = (byte*)NativeMemory.Alloc((nuint)(count * type.BlockBytes()));
        _memory.Add((nint)data);
        for (long i = 0; i < count; i++)
        {
            if (type == TensorType.F32) ((float*)data)[i] = NextValue();
            else if (type == TensorType.F16) ((Half*)data)[i] = (Half)NextValue();
            else ((ushort*)data)[i] = (ushort)(BitConverter.SingleToUInt32Bits(NextValue()) >> 16);
        }
        return new StoredTensor($"random {type}", type, [.. shape], (nint)data);
    }

    /// <summary>Random values in all rows, or not a number in all.</summary>
    public ActivationsPair Activations(int rows, int columns, bool poisoned = false)
    {
        CpuActivations cpu = (CpuActivations)Keep(Cpu.Tensors.CreateActivations(rows, columns));
        ActivationsPair pair = new(cpu, (ReferenceActivations)Reference.Tensors.CreateActivations(rows, columns));
        new Span<float>(pair.Cpu.Pointer, rows * pair.Cpu.Stride).Fill(float.NaN);
        pair.Reference.Values.AsSpan().Fill(double.NaN);
        if (poisoned) return pair;
        for (int row = 0; row < rows; row++)
        {
            for (int i = 0; i < columns; i++) pair.Reference.Row(row)[i] = Row(pair.Cpu, row)[i] = NextValue();
        }
        return pair;
    }

    public (Norm Cpu, Norm Reference) Norm(int length, bool removeMean, bool bias)
    {
        StoredTensor scale = Tensor(TensorType.F32, length), shift = Tensor(TensorType.BF16, length);
        return (Create(Cpu), Create(Reference));
        Norm Create(IBackend backend) =>
            new((WeightVector)Keep(backend.Tensors.CreateVector([scale])), bias ? (WeightVector)Keep(backend.Tensors.CreateVector([shift])) : null, 1e-5f, removeMean);
    }

    /// <summary>Room for keys and values, which are not numbers until they are written; behind page tables when <paramref name="tokensPerPage"/> is not 0.</summary>
    public KvPair Kv(int layers, AttentionShape shape, int tokens, int tokensPerPage = 0)
    {
        return new(Create(Cpu), Create(Reference));
        TestKv Create(IBackend backend) =>
            (TestKv)Keep(new TestKv(new KvLayout(layers, shape.KvHeads, shape.HeadDim, backend.KvElementBytes), tokens, tokensPerPage));
    }

    /// <summary>Writes random keys and values of the first tokens to both.</summary>
    public void FillKv(KvPair pair, int tokens)
    {
        for (int token = 0; token < tokens; token++)
        {
            Span<float> cpu = pair.Cpu.Token<float>(token);
            Span<double> reference = pair.Reference.Token<double>(token);
            for (int i = 0; i < cpu.Length; i++) reference[i] = cpu[i] = NextValue();
        }
    }

    /// <summary>Begins a step in both with chunks (first position, length), each of a sequence of its own.</summary>
    public void Begin(params ReadOnlySpan<(KvPair Kv, int First, int Length)> chunks)
    {
        Batch cpu = new(), reference = new();
        foreach ((KvPair kv, int first, int length) in chunks)
        {
            int[] tokens = [.. Enumerable.Range(0, length).Select(_ => Random.Next(10))];
            cpu.Add(kv.Cpu.View, tokens, first, wantsLogits: true);
            reference.Add(kv.Reference.View, tokens, first, wantsLogits: true);
        }
        Cpu.BeginStep(cpu);
        Reference.BeginStep(reference);
    }

    /// <summary>Begins a step of that many tokens whose sequences do not matter.</summary>
    public void Begin(int tokens) => Begin((Kv(1, new AttentionShape(1, 1, 1, 1), tokens), 0, tokens));

    public static Span<float> Row(CpuActivations activations, int row) => new(activations.Pointer + (row * activations.Stride), activations.Columns);

    /// <summary>The rows' bits.</summary>
    public static int[] Bits(CpuActivations activations, int first, int count)
    {
        List<int> bits = [];
        for (int row = first; row < first + count; row++) bits.AddRange(MemoryMarshal.Cast<float, int>(Row(activations, row)));
        return [.. bits];
    }

    public static void AssertClose(ActivationsPair pair, int rows, double tolerance)
    {
        for (int row = 0; row < rows; row++)
        {
            for (int i = 0; i < pair.Cpu.Columns; i++)
            {
                double expected = pair.Reference.Row(row)[i], found = Row(pair.Cpu, row)[i];
                if (!(Math.Abs(found - expected) <= tolerance * Math.Max(1, Math.Abs(expected))))
                    Assert.Fail($"row {row}, column {i}: expected {expected:r}, found {found:r}");
            }
        }
    }

    public void Dispose()
    {
        foreach (IDisposable disposable in _disposables) disposable.Dispose();
        Cpu.Dispose();
        foreach (nint memory in _memory) NativeMemory.Free((void*)memory);
    }

    public IDisposable Keep(IDisposable disposable)
    {
        _disposables.Add(disposable);
        return disposable;
    }
}
