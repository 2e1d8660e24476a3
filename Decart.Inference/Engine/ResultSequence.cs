namespace Decart.Inference.Engine;

/// <summary>A request for one result about a prompt, which nothing is generated for.</summary>
internal abstract class ResultSequence<T>(ReadOnlySpan<int> prompt) : Sequence(prompt, prompt.Length)
{
    private readonly TaskCompletionSource<T> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The result, once the request is complete.</summary>
    public Task<T> Result => _result.Task;

    public override void Publish() => _result.TrySetResult(Complete());

    public override void Fail(Exception error) => _result.TrySetException(error);

    public override void Abandon() => _result.TrySetException(new ObjectDisposedException(nameof(LlmSession)));

    /// <summary>The result of a request that is complete.</summary>
    protected abstract T Complete();
}
