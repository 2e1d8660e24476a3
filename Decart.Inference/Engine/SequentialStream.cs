namespace Decart.Inference.Engine;

/// <summary>
/// A stream for callers who may break the rules of <see cref="IAsyncEnumerator{T}"/>: a call of <c>MoveNextAsync</c> or <c>DisposeAsync</c> while another has
/// not completed throws at its caller and changes nothing. An async iterator alone would continue twice, on threads where nobody catches what
/// follows.
/// </summary>
internal sealed class SequentialStream<T>(IAsyncEnumerable<T> stream) : IAsyncEnumerable<T>
{
    public IAsyncEnumerator<T> GetAsyncEnumerator(CancellationToken cancellationToken = default) =>
        new Enumerator(stream.GetAsyncEnumerator(cancellationToken));

    private sealed class Enumerator(IAsyncEnumerator<T> enumerator) : IAsyncEnumerator<T>
    {
        private int _busy;

        public T Current => enumerator.Current;

        public async ValueTask<bool> MoveNextAsync()
        {
            Enter();
            try
            {
                return await enumerator.MoveNextAsync().ConfigureAwait(false);
            }
            finally
            {
                Volatile.Write(ref _busy, 0);
            }
        }

        public async ValueTask DisposeAsync()
        {
            Enter();
            try
            {
                await enumerator.DisposeAsync().ConfigureAwait(false);
            }
            finally
            {
                Volatile.Write(ref _busy, 0);
            }
        }

        private void Enter()
        {
            if (Interlocked.Exchange(ref _busy, 1) == 1)
                throw new InvalidOperationException("MoveNextAsync was called before an earlier call had completed: await each call before the next one, and before DisposeAsync.");
        }
    }
}
