using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models;

/// <summary>
/// A checkpoint of random tensors: bfloat16 in any shape that is asked for, the same for the same seed, name and shape.
/// Vectors lie around 1 as norm scales do; matrices are scaled so that activations neither vanish nor explode. Speed does not
/// depend on the values, so that a <c>config.json</c> alone is enough for a benchmark.
/// </summary>
/// <param name="path">Stands for the checkpoint in error messages.</param>
/// <param name="seed">Chooses the values.</param>
internal sealed unsafe class RandomTensors(string path, int seed) : TensorSource
{
    /// <summary>Random numbers are drawn for this many elements and repeated: drawing those of a large model would take minutes.</summary>
    private const int PatternLength = (1 << 16) + 1;

    private readonly Dictionary<string, StoredTensor> _tensors = new(StringComparer.Ordinal);
    private readonly TensorMemory _memory = new();

    public override string Path => path;

    public override IReadOnlyCollection<string> Names => _tensors.Keys;

    protected override IReadOnlyList<MappedFile> Files => [];

    /// <summary>A tensor that was required before.</summary>
    public override bool TryGet(string name, out StoredTensor tensor) => _tensors.TryGetValue(name, out tensor);

    public override StoredTensor Require(string name, params ReadOnlySpan<long> shape)
    {
        if (!_tensors.TryGetValue(name, out StoredTensor tensor))
        {
            tensor = Create(name, shape);
            _tensors.Add(name, tensor);
        }
        return tensor;
    }

    public override void Recycle()
    {
        _tensors.Clear();
        _memory.Recycle();
    }

    public override void Dispose()
    {
        _tensors.Clear();
        _memory.Dispose();
        base.Dispose();
    }

    private StoredTensor Create(string name, ReadOnlySpan<long> shape)
    {
        long elements = 1;
        foreach (long dimension in shape) elements = checked(elements * dimension);
        ushort* data = (ushort*)_memory.Allocate(checked(elements * sizeof(ushort)));
        ushort[] pattern = Pattern(name, shape, (int)Math.Min(elements, PatternLength));
        for (long start = 0; start < elements; start += pattern.Length)
        {
            int count = (int)Math.Min(pattern.Length, elements - start);
            pattern.AsSpan(0, count).CopyTo(new Span<ushort>(data + start, count));
        }
        return new StoredTensor(name, TensorType.BF16, [.. shape], (nint)data);
    }

    private ushort[] Pattern(string name, ReadOnlySpan<long> shape, int length)
    {
        bool vector = shape.Length == 1;
        float centre = vector ? 1 : 0, reach = vector ? 0.1f : MathF.Sqrt(3f / shape[^1]);
        Random random = new(unchecked(seed * 31 + StableHash(name)));
        ushort[] pattern = new ushort[length];
        foreach (ref ushort element in pattern.AsSpan())
        {
            float value = centre + reach * (2 * random.NextSingle() - 1);
            element = (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16);
        }
        return pattern;
    }

    /// <summary>FNV-1a: string.GetHashCode differs from process to process.</summary>
    private static int StableHash(string text)
    {
        uint hash = 2166136261;
        foreach (char c in text) hash = (hash ^ c) * 16777619;
        return (int)hash;
    }
}
