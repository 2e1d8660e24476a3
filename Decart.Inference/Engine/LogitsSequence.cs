using System.Numerics.Tensors;
using Decart.Inference.Sampling;

namespace Decart.Inference.Engine;

/// <summary>A request for the logits that follow a prompt.</summary>
internal sealed class LogitsSequence(ReadOnlySpan<int> prompt) : ResultSequence<float[]>(prompt)
{
    private float[]? _accepted;

    public override bool Accept(Span<float> logits)
    {
        float largest = TensorPrimitives.Max<float>(logits);
        if (!float.IsFinite(largest)) throw NoToken.Error(changed: false, largest);
        _accepted = logits.ToArray();
        return true;
    }

    protected override float[] Complete() => _accepted!;
}
