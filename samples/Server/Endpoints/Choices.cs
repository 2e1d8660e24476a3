using System.Threading.Channels;

namespace Server.Endpoints;

/// <summary>The answers of one request, generated at once. Disposing them ends those that are still being generated and waits until they have ended.</summary>
/// <typeparam name="T">What is generated, piece by piece.</typeparam>
internal sealed class Choices<T> : IAsyncDisposable
{
    private const int MostWaiting = 16;

    private readonly Channel<(int Choice, T Update)> _updates = Channel.CreateBounded<(int, T)>(new BoundedChannelOptions(MostWaiting) { SingleReader = true });
    private readonly CancellationTokenSource _cancellation;
    private readonly List<Task> _generations = [];
    private int _running;

    /// <param name="count">How many.</param>
    /// <param name="generate">Generates one of them.</param>
    /// <param name="cancellationToken">Ends all.</param>
    public Choices(int count, Func<int, CancellationToken, IAsyncEnumerable<T>> generate, CancellationToken cancellationToken)
    {
        _running = count;
        _cancellation = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        for (int choice = 0; choice < count && _generations is not [.., { IsFaulted: true }]; choice++) _generations.Add(RunAsync(choice, generate)); // what is refused once is not tried again
    }

    /// <summary>Throws what made a request fail before it was queued, as long as the response can still say so.</summary>
    public async Task RequireBegunAsync()
    {
        foreach (Task generation in _generations)
        {
            if (generation.IsFaulted) await generation;
        }
    }

    /// <summary>The pieces of all answers as they come; ends with the last of them, or throws what the first to fail has thrown.</summary>
    public IAsyncEnumerable<(int Choice, T Update)> ReadAllAsync() => _updates.Reader.ReadAllAsync(_cancellation.Token);

    public async ValueTask DisposeAsync()
    {
        await _cancellation.CancelAsync();
        await Task.WhenAll(_generations).ContinueWith(static _ => { }, TaskScheduler.Default);
        _cancellation.Dispose();
    }

    private async Task RunAsync(int choice, Func<int, CancellationToken, IAsyncEnumerable<T>> generate)
    {
        try
        {
            await foreach (T update in generate(choice, _cancellation.Token)) await _updates.Writer.WriteAsync((choice, update), _cancellation.Token);
            if (Interlocked.Decrement(ref _running) == 0) _updates.Writer.TryComplete();
        }
        catch (Exception error)
        {
            _updates.Writer.TryComplete(error);
            throw;
        }
    }
}
