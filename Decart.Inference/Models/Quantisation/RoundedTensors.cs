using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models.Quantisation;

/// <summary>A checkpoint of 16 or 32 bits whose matrices are rounded to few bits when they are asked for: those that a format says, the others stay as they are.</summary>
/// <param name="checkpoint">The checkpoint; owned.</param>
/// <param name="types">What is rounded: of a format that <see cref="WeightRounding"/> has.</param>
internal sealed class RoundedTensors(TensorSource checkpoint, WeightTypes types) : RelaidTensors(checkpoint)
{
    /// <summary>What was rounded: experts are asked for one by one, but stored together.</summary>
    private readonly Dictionary<string, StoredTensor> _rounded = new(StringComparer.Ordinal);

    private readonly TensorSource _checkpoint = checkpoint;

    /// <summary>What is rounded to what.</summary>
    public WeightTypes Types { get; } = types;

    public override int MaxBlockLength => Types.MaxBlockLength;

    public override void Recycle()
    {
        _rounded.Clear();
        base.Recycle();
    }

    /// <exception cref="ModelLoadException">It is of few bits already, or holds what is no number.</exception>
    protected override StoredTensor? Relay(string name, ReadOnlySpan<long> shape)
    {
        if (shape.Length < 2 || Types.Of(name, shape[^1]) is null) return null;
        if (_rounded.TryGetValue(name, out StoredTensor rounded)) return rounded;
        StoredTensor tensor = _checkpoint.Require(name, shape);
        if (tensor.Type is not (TensorType.F32 or TensorType.F16 or TensorType.BF16))
            throw new ModelLoadException(Path, name, $"expected F32, F16 or BF16 to quantise, found {tensor.Type}");
        rounded = WeightPacker.Pack(Path, WeightRounding.Round(Path, tensor, Types.Format), Memory) with { Shape = tensor.Shape };
        _rounded.Add(name, rounded);
        return rounded;
    }
}
