namespace Generate;

/// <summary>Ctrl+C: cancels what is running. While nothing is, it ends the program as usual.</summary>
internal sealed class Interrupt : IDisposable
{
    private readonly Lock _lock = new();
    private CancellationTokenSource? _running;

    public Interrupt() => Console.CancelKeyPress += OnPressed;

    /// <summary>Runs something that can be cancelled.</summary>
    public async Task RunAsync(Func<CancellationToken, Task> action)
    {
        using CancellationTokenSource source = new();
        lock (_lock) _running = source;
        try
        {
            await action(source.Token);
        }
        finally
        {
            lock (_lock) _running = null;
        }
    }

    public void Dispose() => Console.CancelKeyPress -= OnPressed;

    private void OnPressed(object? sender, ConsoleCancelEventArgs pressed)
    {
        lock (_lock)
        {
            if (_running is null) return;
            pressed.Cancel = true;
            _running.Cancel();
        }
    }
}
