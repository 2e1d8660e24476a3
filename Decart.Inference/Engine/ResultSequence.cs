namespace Decart.Inference.Engine;

/// <summary>A request for one result about a prompt, which nothing is generated for.</summary>
internal abstract class ResultSequence(ReadOnlySpan<int> prompt) : Sequence(prompt, prompt.Length)
{
    /// <summary>Completes when the request does.</summary>
    public abstract Task Completion { get; }
}

/// <inheritdoc/>
internal abstract class ResultSequence<T>(ReadOnlySpan<int> prompt) : ResultSequence(prompt)
{
    private readonly TaskCompletionSource<T> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The result, once the request is complete.</summary>
    public Task<T> Result => _result.Task;

    public override Task Completion => Result;

    public override void Publish() => _result.TrySetResult(Complete());

    public override void Fail(Exception error) => _result.TrySetException(error);

    public override void Abandon() => _result.TrySetException(new ObjectDisposedException(nameof(LlmSession)));

    /// <summary>The result of a request that is complete.</summary>
    protected abstract T Complete();
}
