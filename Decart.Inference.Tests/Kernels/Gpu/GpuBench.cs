using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Memory;
using Decart.Inference.Tests.Kernels.Formats;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>The same values in the device's memory and in the reference's.</summary>
internal readonly record struct GpuActivationsPair(GpuActivations Gpu, ReferenceActivations Reference);

/// <summary>A sequence's keys and values in both.</summary>
internal readonly record struct GpuKvPair(GpuTestKv Gpu, TestKv Reference);

/// <summary>The GPU's kernels beside the reference, with random data for both, which are halves wherever the GPU rounds to halves.</summary>
internal sealed unsafe class GpuBench : IDisposable
{
    private readonly List<nint> _memory = [];
    private readonly Stack<IDisposable> _disposables = [];
    private readonly Dictionary<GpuActivations, int> _blockRows = [];
    private int _tokens;

    public GpuBench(IGpuDevice device, KvCacheType keysAndValues = KvCacheType.Default, bool eightBitActivations = false) =>
        (Device, Gpu) = (device, new GpuBackend(device, keysAndValues, eightBitActivations));

    public IGpuDevice Device { get; }

    public GpuBackend Gpu { get; }

    public ReferenceBackend Reference { get; } = new();

    public Random Random { get; } = new(1);

    public float NextValue() => (float)(Half)((Random.NextSingle() * 2) - 1);

    public StoredTensor Tensor(TensorType type, params ReadOnlySpan<long> shape)
    {
        long count = 1;
        foreach (long length in shape) count *= length;
        count /= type.BlockLength();
        byte* data = (byte*)NativeMemory.Alloc((nuint)(count * type.BlockBytes()));
        _memory.Add((nint)data);
        if (type.BlockLength() > 1) ReferenceWeights.Fill(type, new Span<byte>(data, checked((int)(count * type.BlockBytes()))), Random);
        else FillPlain(type, data, count);
        return new StoredTensor($"random {type}", type, [.. shape], (nint)data);
    }

    private void FillPlain(TensorType type, byte* data, long count)
    {
        for (long i = 0; i < count; i++)
        {
            if (type == TensorType.F32) ((float*)data)[i] = NextValue();
            else if (type == TensorType.F16) ((Half*)data)[i] = (Half)NextValue();
            else ((ushort*)data)[i] = (ushort)(BitConverter.SingleToUInt32Bits(NextValue()) >> 16);
        }
    }

    /// <summary>Random values in all rows, or not a number in all.</summary>
    public GpuActivationsPair Activations(int rows, int columns, bool operand = false, bool poisoned = false)
    {
        GpuActivations gpu = Keep((GpuActivations)Gpu.Tensors.CreateActivations(rows, columns, operand));
        GpuActivationsPair pair = new(gpu, (ReferenceActivations)Reference.Tensors.CreateActivations(rows, columns));
        for (int row = 0; row < rows; row++)
        {
            float[] values = new float[columns];
            foreach (ref float value in values.AsSpan()) value = poisoned ? float.NaN : NextValue();
            Write(pair, row, values);
        }
        return pair;
    }

    public void Write(GpuActivationsPair pair, int row, ReadOnlySpan<float> values)
    {
        for (int i = 0; i < values.Length; i++) pair.Reference.Row(row)[i] = values[i];
        if (!pair.Gpu.IsOperand)
        {
            Device.Upload(pair.Gpu.Address + (nint)(row * pair.Gpu.RowBytes), MemoryMarshal.AsBytes(values));
            return;
        }
        int blockRows = _blockRows[pair.Gpu] = CoreTiles.OperandBlockRows(_tokens == 0 ? pair.Gpu.Rows : _tokens);
        for (int i = 0; i < values.Length; i++)
        {
            Half half = (Half)values[i];
            Device.Upload(pair.Gpu.Address + (nint)CoreTiles.OperandOffset(row, i, pair.Gpu.Stride, blockRows), MemoryMarshal.AsBytes(new Span<Half>(ref half)));
        }
    }

    public float[] Row(GpuActivations activations, int row)
    {
        float[] values = new float[activations.Columns];
        if (!activations.IsOperand)
        {
            Gpu.Read(activations, row, values);
            return values;
        }
        byte[] bytes = new byte[GpuActivations.OperandBytes(activations.Rows, activations.Columns)];
        Device.Download(activations.Address, bytes);
        for (int i = 0; i < values.Length; i++)
            values[i] = (float)MemoryMarshal.Read<Half>(bytes.AsSpan((int)CoreTiles.OperandOffset(row, i, activations.Stride, _blockRows[activations])));
        return values;
    }

    /// <summary>A weight for both.</summary>
    public (Weight Gpu, Weight Reference) Weight(params StoredTensor[] parts) => Weight(gated: false, parts);

    /// <summary>A weight for both, of gates and ups when <paramref name="gated"/>.</summary>
    public (Weight Gpu, Weight Reference) Weight(bool gated, params StoredTensor[] parts)
    {
        WeightParts both = new("test", parts) { Gated = gated };
        return (Keep(Gpu.Tensors.CreateWeight(both)), Reference.Tensors.CreateWeight(both));
    }

    public (WeightVector Gpu, WeightVector Reference) Vector(params StoredTensor[] parts) => (Keep(Gpu.Tensors.CreateVector(parts)), Reference.Tensors.CreateVector(parts));

    public (Norm Gpu, Norm Reference) Norm(int length, bool removeMean, bool bias)
    {
        var scale = Vector(Tensor(TensorType.F32, length));
        var shift = Vector(Tensor(TensorType.BF16, length));
        return (new(scale.Gpu, bias ? shift.Gpu : null, 1e-5f, removeMean), new(scale.Reference, bias ? shift.Reference : null, 1e-5f, removeMean));
    }

    /// <summary>
    /// Room for keys and values, which are not numbers until they are written; behind page tables when <paramref name="tokensPerPage"/> is not 0.
    /// </summary>
    public GpuKvPair Kv(int layers, AttentionShape shape, int tokens, int tokensPerPage = 0) => new(
        Keep(new GpuTestKv(Device, new KvLayout(layers, shape.KvHeads, shape.HeadDim, Gpu.KvElementBytes), tokens, tokensPerPage)),
        Keep(new TestKv(new KvLayout(layers, shape.KvHeads, shape.HeadDim, sizeof(double)), tokens)));

    /// <summary>Writes random keys and values of the first tokens to both, the same ones for the same seed.</summary>
    public void FillKv(GpuKvPair pair, int tokens, int? seed = null)
    {
        Random random = seed is { } value ? new Random(value) : Random;
        Half[] halves = new Half[pair.Gpu.Layout.TokenBytes / sizeof(short)];
        for (int token = 0; token < tokens; token++)
        {
            Span<double> reference = pair.Reference.Token<double>(token);
            for (int i = 0; i < halves.Length; i++) reference[i] = (double)(halves[i] = (Half)((random.NextSingle() * 2) - 1));
            pair.Gpu.Write(token, halves);
        }
    }

    /// <summary>The length that the keys of the next steps' sequences are rotated for.</summary>
    public int RotaryLength { get; set; }

    /// <summary>Begins a step in both with chunks (first position, length), each of a sequence of its own.</summary>
    public void Begin(params ReadOnlySpan<(GpuKvPair Kv, int First, int Length)> chunks)
    {
        Batch gpu = new(), reference = new();
        _tokens = 0;
        foreach ((GpuKvPair kv, int first, int length) in chunks)
        {
            int[] tokens = [.. Enumerable.Range(0, length).Select(_ => Random.Next(10))];
            _tokens += length;
            gpu.Add(kv.Gpu.View with { RotaryLength = RotaryLength }, tokens, first, wantsLogits: true);
            reference.Add(kv.Reference.View with { RotaryLength = RotaryLength }, tokens, first, wantsLogits: true);
        }
        Gpu.BeginStep(gpu);
        Reference.BeginStep(reference);
    }

    /// <summary>Begins a step of that many tokens whose sequences do not matter.</summary>
    public void Begin(int tokens) => Begin((Kv(1, new AttentionShape(1, 1, 1, 1), tokens), 0, tokens));

    public void AssertClose(GpuActivationsPair pair, int rows, double tolerance, int firstRow = 0, int? columns = null)
    {
        for (int row = firstRow; row < rows; row++)
        {
            float[] found = Row(pair.Gpu, row);
            for (int i = 0; i < (columns ?? found.Length); i++)
            {
                double expected = pair.Reference.Row(row)[i];
                if (!(Math.Abs(found[i] - expected) <= tolerance * Math.Max(1, Math.Abs(expected))))
                    Assert.Fail($"row {row}, column {i}: expected {expected:r}, found {found[i]:r}");
            }
        }
    }

    /// <summary>Rows from <paramref name="first"/> on still are not numbers.</summary>
    public void AssertUntouched(GpuActivations activations, int first)
    {
        for (int row = first; row < activations.Rows; row++) Assert.That(Row(activations, row), Is.All.NaN, $"row {row}");
    }

    public T Keep<T>(T disposable)
        where T : IDisposable
    {
        _disposables.Push(disposable);
        return disposable;
    }

    public void Dispose()
    {
        while (_disposables.TryPop(out IDisposable? disposable)) disposable.Dispose();
        Gpu.Dispose();
        foreach (nint memory in _memory) NativeMemory.Free((void*)memory);
    }
}
