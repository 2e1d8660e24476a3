using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Models.Quantisation;

namespace Decart.Inference.Models;

/// <summary>
/// A checkpoint of random tensors in any shape that is asked for, the same for the same seed, name and shape: bfloat16, or matrices of few bits.
/// Vectors lie around 1 as norm scales do; matrices are scaled so that activations neither vanish nor explode. Speed does not
/// depend on the values, so that a <c>config.json</c> alone is enough for a benchmark.
/// </summary>
/// <param name="path">Stands for the checkpoint in error messages.</param>
/// <param name="seed">Chooses the values.</param>
internal sealed unsafe class RandomTensors(string path, int seed) : TensorSource
{
    /// <summary>Random numbers are drawn for about this many elements and repeated: drawing those of a large model would take minutes.</summary>
    private const int PatternLength = (1 << 16) + 1;

    private readonly Dictionary<string, StoredTensor> _tensors = new(StringComparer.Ordinal);
    private readonly TensorMemory _memory = new();

    /// <summary>The types of matrices; null for bfloat16.</summary>
    public WeightTypes? Types { get; set; }

    public override string Path => path;

    public override IReadOnlyCollection<string> Names => _tensors.Keys;

    /// <remarks>Tensors have their types once they are required: the longest that there are.</remarks>
    public override int MaxBlockLength => Types?.MaxBlockLength ?? 1;

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
        TensorType type = shape.Length > 1 ? Types?.Of(name, shape[^1]) ?? TensorType.BF16 : TensorType.BF16;
        long blocks = elements / type.BlockLength(), bytes = checked(blocks * type.BlockBytes());
        byte* data = _memory.Allocate(bytes);
        Repeat(Pattern(name, type, shape, (int)Math.Min(blocks, PatternLength / type.BlockLength())), data, bytes);
        return new StoredTensor(name, type, [.. shape], (nint)data);
    }

    /// <remarks>By several threads: most of the time goes into memory that is used for the first time.</remarks>
    private static void Repeat(byte[] pattern, byte* data, long bytes)
    {
        const long LeastBytes = 1 << 21;
        long piece = ((LeastBytes / pattern.Length) + 1) * pattern.Length;
        Parallel.For(0, (bytes + piece - 1) / piece, index =>
        {
            long end = Math.Min(bytes, (index + 1) * piece);
            for (long start = index * piece; start < end; start += pattern.Length)
            {
                int count = (int)Math.Min(pattern.Length, end - start);
                pattern.AsSpan(0, count).CopyTo(new Span<byte>(data + start, count));
            }
        });
    }

    private byte[] Pattern(string name, TensorType type, ReadOnlySpan<long> shape, int blocks)
    {
        bool vector = shape.Length == 1;
        float centre = vector ? 1 : 0, reach = vector ? 0.1f : MathF.Sqrt(3f / shape[^1]);
        Random random = new(unchecked(seed * 31 + StableHash(name)));
        byte[] pattern = new byte[blocks * type.BlockBytes()];
        if (type == TensorType.BF16)
        {
            foreach (ref ushort element in MemoryMarshal.Cast<byte, ushort>(pattern.AsSpan()))
            {
                float value = centre + reach * (2 * random.NextSingle() - 1);
                element = (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16);
            }
        }
        else
        {
            RandomBlocks.Fill(type, reach, random, pattern);
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
