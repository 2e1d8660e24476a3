using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Tests.Session;

/// <summary>Keeps what is logged.</summary>
internal sealed class RecordingLog : ILoggerFactory, ILoggerProvider, ILogger
{
    public Action<LogLevel>? OnLog { get; init; }

    /// <summary>Called with each message, after it is kept.</summary>
    public Action<string>? OnMessage { get; init; }

    public ConcurrentQueue<(LogLevel Level, string Message, Exception? Error)> Entries { get; } = [];

    public IEnumerable<string> Messages(LogLevel level) => Entries.Where(entry => entry.Level == level).Select(entry => entry.Message);

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        OnLog?.Invoke(logLevel);
        string message = formatter(state, exception);
        Entries.Enqueue((logLevel, message, exception));
        OnMessage?.Invoke(message);
    }

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public void Dispose()
    {
    }
}
