using System.Numerics.Tensors;
using Decart.Inference.Sampling;

namespace Decart.Inference.Engine;

/// <summary>A request for the logits that follow a prompt.</summary>
internal sealed class LogitsSequence(ReadOnlySpan<int> prompt) : Sequence(prompt, prompt.Length)
{
    private readonly TaskCompletionSource<float[]> _logits = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private float[]? _accepted;

    public Task<float[]> Logits => _logits.Task;

    public override bool Accept(Span<float> logits)
    {
        float largest = TensorPrimitives.Max<float>(logits);
        if (!float.IsFinite(largest)) throw NoToken.Error(changed: false, largest);
        _accepted = logits.ToArray();
        return true;
    }

    public override void Publish() => _logits.TrySetResult(_accepted!);

    public override void Fail(Exception error) => _logits.TrySetException(error);

    public override void Abandon() => _logits.TrySetException(new ObjectDisposedException(nameof(LlmSession)));
}
