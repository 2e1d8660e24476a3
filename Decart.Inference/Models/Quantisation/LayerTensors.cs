using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models.Quantisation;

/// <summary>The tensors that a scheme keeps for the weight of one linear layer, checked as they are asked for.</summary>
/// <param name="Source">The checkpoint.</param>
/// <param name="Stem">What their names begin with.</param>
/// <param name="Rows">Output features.</param>
/// <param name="Columns">Input features.</param>
internal readonly unsafe record struct LayerTensors(TensorSource Source, string Stem, int Rows, int Columns)
{
    private const string Numbers = "F32, F16 or BF16";

    public string NameOf(string suffix) => $"{Stem}.{suffix}";

    public bool Has(string suffix) => Source.TryGet(NameOf(suffix), out _);

    /// <summary>Whether the layer has this tensor, of this type.</summary>
    public bool Has(string suffix, TensorType type) => Source.TryGet(NameOf(suffix), out StoredTensor tensor) && tensor.Type == type;

    public StoredTensor Require(string suffix, TensorType type, params ReadOnlySpan<long> shape)
    {
        StoredTensor tensor = Source.Require(NameOf(suffix), shape);
        return tensor.Type == type ? tensor : throw Error(suffix, $"expected {type}, found {tensor.Type}");
    }

    /// <summary>A tensor of finite float numbers, in the order in which they lie.</summary>
    public float[] RequireNumbers(string suffix, params ReadOnlySpan<long> shape) => Widen(suffix, Source.Require(NameOf(suffix), shape));

    /// <summary>A vector of one of these counts of finite float numbers.</summary>
    public float[] RequireCount(string suffix, params ReadOnlySpan<int> counts)
    {
        StoredTensor tensor = Source.Require(NameOf(suffix));
        foreach (int count in counts)
        {
            if (IsVector(tensor, count)) return Widen(suffix, tensor);
        }
        throw Error(suffix, $"expected {string.Join(" or ", counts.ToArray())} numbers, found shape {TensorSource.Describe(tensor.Shape.AsSpan())}");
    }

    /// <summary>A vector, in the order in which its elements lie.</summary>
    public StoredTensor RequireVector(string suffix, TensorType type, long count)
    {
        StoredTensor tensor = Source.Require(NameOf(suffix));
        if (!IsVector(tensor, count)) throw Error(suffix, $"expected {count} numbers, found shape {TensorSource.Describe(tensor.Shape.AsSpan())}");
        return tensor.Type == type ? tensor : throw Error(suffix, $"expected {type}, found {tensor.Type}");
    }

    public ModelLoadException Error(string suffix, string problem) => new(Source.Path, NameOf(suffix), problem);

    /// <summary>Whether a tensor has so many elements along one dimension, the others being 1: what has two may be numbers of blocks.</summary>
    private static bool IsVector(StoredTensor tensor, long count) => tensor.Rows * tensor.Columns == count && tensor.Shape.All(length => length == 1 || length == count);

    private float[] Widen(string suffix, StoredTensor tensor)
    {
        float[] numbers = new float[checked((int)(tensor.Rows * tensor.Columns))];
        for (int i = 0; i < numbers.Length; i++)
        {
            byte* element = tensor.Pointer + ((long)i * tensor.Type.BlockBytes());
            numbers[i] = tensor.Type switch
            {
                TensorType.F32 => Unsafe.ReadUnaligned<float>(element),
                TensorType.F16 => (float)Unsafe.ReadUnaligned<Half>(element),
                TensorType.BF16 => BitConverter.Int32BitsToSingle(Unsafe.ReadUnaligned<ushort>(element) << 16),
                _ => throw Error(suffix, $"expected {Numbers}, found {tensor.Type}"),
            };
            if (!float.IsFinite(numbers[i])) throw Error(suffix, $"expected finite numbers, found {numbers[i]} as element {i}");
        }
        return numbers;
    }
}
