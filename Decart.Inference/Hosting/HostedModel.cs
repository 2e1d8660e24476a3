using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Decart.Inference.Hosting;

/// <summary>One model of an application: loads and warms it, lets its requests end when the host stops, and disposes its session after everything else has stopped.</summary>
internal sealed class HostedModel : IHostedLifecycleService, ILlmSessionProvider, IAsyncDisposable, IDisposable
{
    private readonly string _name;
    private readonly IOptionsMonitor<DecartInferenceOptions> _options;
    private readonly IHostApplicationLifetime? _lifetime;
    private readonly ILoggerFactory? _loggers;
    private readonly IMeterFactory? _meters;
    private readonly ILogger _logger;
    private readonly Lock _gate = new(); // guards _loading and _isDraining
    private readonly CancellationTokenSource _stopping = new(); // ends loading
    private readonly CancellationTokenSource _deadline = new(); // ends requests
    private readonly Lazy<Task> _drain, _disposal;
    private CancellationTokenRegistration _stopped, _timedOut;
    private volatile LoadProgressLog? _progress;
    private Task<LlmSession>? _loading;
    private Task? _watching;
    private bool _isDraining;

    /// <param name="name">The name of its options.</param>
    /// <param name="options">Has its options, which are not read before the host has checked them.</param>
    /// <param name="lifetime">Stops the host if the model cannot be loaded; null where nothing is hosted.</param>
    /// <param name="loggers">Where messages go; null for nowhere.</param>
    /// <param name="meters">Makes the session's meter; null for that of the process.</param>
    public HostedModel(
        string name, IOptionsMonitor<DecartInferenceOptions> options, IHostApplicationLifetime? lifetime, ILoggerFactory? loggers, IMeterFactory? meters)
    {
        _name = name;
        _options = options;
        _lifetime = lifetime;
        _loggers = loggers;
        _meters = meters;
        _logger = loggers?.CreateLogger("Decart.Inference.Hosting") ?? NullLogger.Instance;
        _drain = new Lazy<Task>(DrainAsync);
        _disposal = new Lazy<Task>(EndAsync);
    }

    public DecartInferenceOptions Options => _options.Get(_name);

    /// <summary>What the log calls it: with its key, since two models of an application may have the same path.</summary>
    private string Label => _name.Length == 0 ? Options.Model : $"{Options.Model} ({_name})";

    /// <summary>How far loading has come, worded for users.</summary>
    public string Progress => _progress?.Latest ?? "not begun";

    /// <summary>Whether no more requests are taken.</summary>
    public bool IsDraining
    {
        get
        {
            lock (_gate) return _isDraining;
        }
    }

    public LlmSession? Session => Loading is { IsCompletedSuccessfully: true } loading ? loading.Result : null;

    /// <summary>Why the model is of no more use: it could not be loaded, or its session has failed; null while neither is so.</summary>
    public Exception? Failure => Loading switch
    {
        { IsCompletedSuccessfully: true } loading => loading.Result.Failure,
        { IsFaulted: true } loading => loading.Exception.InnerException is SessionDrainingException ? null : loading.Exception.InnerException,
        _ => null,
    };

    private Task<LlmSession>? Loading
    {
        get
        {
            lock (_gate) return _loading;
        }
    }

    public Task<LlmSession> GetAsync(CancellationToken cancellationToken = default)
    {
        lock (_gate)
        {
            if (_loading is null && _isDraining) return Task.FromException<LlmSession>(new SessionDrainingException());
            _loading ??= Task.Run(LoadAsync, CancellationToken.None);
        }
        return _loading.WaitAsync(cancellationToken);
    }

    /// <summary>The session, for those who cannot wait for it.</summary>
    /// <exception cref="InvalidOperationException">The model is not loaded yet.</exception>
    /// <exception cref="ModelLoadException">The model cannot be loaded; nor can it after other exceptions of <see cref="GetAsync"/>.</exception>
    public LlmSession RequireSession() => Loading is { IsCompleted: true } loading
        ? loading.GetAwaiter().GetResult()
        : throw new InvalidOperationException(
            $"\"{Options.Model}\" is not loaded yet. Requests of ILlmSession and IChatClient wait for it, and so does ILlmSessionProvider.GetAsync, which gives the session.");

    public Task StartingAsync(CancellationToken cancellationToken) => Options.LoadBeforeStart ? GetAsync(cancellationToken) : Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _stopped = _lifetime?.ApplicationStopping.UnsafeRegister(static model => ((HostedModel)model!).Drain(), this) ?? default;
        _ = GetAsync(CancellationToken.None);
        return Task.CompletedTask;
    }

    /// <summary>A model that cannot be loaded stops the host only now: while a web server starts, its own error would hide the model's.</summary>
    public Task StartedAsync(CancellationToken cancellationToken)
    {
        _watching = WatchAsync(GetAsync(CancellationToken.None));
        return Task.CompletedTask;
    }

    /// <summary>Everything that the host stops may still read its streams while they run out.</summary>
    public Task StoppingAsync(CancellationToken cancellationToken)
    {
        _timedOut = cancellationToken.UnsafeRegister(static deadline => ((CancellationTokenSource)deadline!).Cancel(), _deadline);
        Drain();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Drain();

    /// <summary>Nothing of the application uses the session any longer.</summary>
    /// <exception cref="ModelLoadException">The model could not be loaded, which is why the host stops; other exceptions of <see cref="GetAsync"/> likewise.</exception>
    public async Task StoppedAsync(CancellationToken cancellationToken)
    {
        await DisposeAsync().ConfigureAwait(false);
        if (_watching is not null) await _watching.ConfigureAwait(false);
    }

    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    public ValueTask DisposeAsync() => new(_disposal.Value);

    private async Task<LlmSession> LoadAsync()
    {
        DecartInferenceOptions own = Options;
        long start = Stopwatch.GetTimestamp();
        _progress = new LoadProgressLog(_logger, Label);
        try
        {
            LlmSessionOptions sessionOptions = own.ForSession() with { LoggerFactory = _loggers, MeterFactory = _meters };
            LlmSession session = await LlmSession.LoadAsync(own.Model, sessionOptions, _progress, _stopping.Token).ConfigureAwait(false);
            if (own.WarmUp) await WarmUpAsync(session).ConfigureAwait(false);
            _logger.Ready(Label, Stopwatch.GetElapsedTime(start));
            return session;
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            throw new SessionDrainingException();
        }
    }

    private async Task WarmUpAsync(LlmSession session)
    {
        try
        {
            _progress!.Report(new LoadProgress("Warming up", 0, 0));
            await session.WarmUpAsync(_stopping.Token).ConfigureAwait(false);
        }
        catch
        {
            await session.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Stops the host if the model cannot be loaded.</summary>
    private async Task WatchAsync(Task<LlmSession> loading)
    {
        try
        {
            await loading.ConfigureAwait(false);
        }
        catch (SessionDrainingException)
        {
            // The host stops already.
        }
        catch (Exception error)
        {
            _logger.LoadFailed(error, Label);
            _lifetime?.StopApplication();
            throw;
        }
    }

    /// <summary>Takes no more requests. Any thread, any number of times.</summary>
    /// <returns>Completes, without an exception, when all requests have ended.</returns>
    private Task Drain()
    {
        lock (_gate) _isDraining = true;
        return _drain.Value;
    }

    private async Task DrainAsync()
    {
        if (Loading is not { } loading) return;
        if (!loading.IsCompleted) await _stopping.CancelAsync().ConfigureAwait(false);
        await ((Task)loading).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (Session is not { } session) return;
        DecartInferenceOptions own = Options;
        Task drained = session.DrainAsync(_deadline.Token);
        SessionStatistics statistics = session.GetStatistics();
        _logger.Draining(Label, statistics.RunningSequences, statistics.WaitingSequences, own.DrainTimeout);
        CancellationTokenRegistration timedOut = _deadline.Token.Register(() => LogUnfinished(session)); // before the session hears of it: the last to register is the first to be called
        await using (timedOut.ConfigureAwait(false))
        {
            _deadline.CancelAfter(own.DrainTimeout);
            await drained.ConfigureAwait(false);
        }
    }

    private void LogUnfinished(LlmSession session)
    {
        SessionStatistics statistics = session.GetStatistics();
        if (statistics.RunningSequences + statistics.WaitingSequences > 0) _logger.DrainTimedOut(Label, statistics.RunningSequences, statistics.WaitingSequences);
    }

    private async Task EndAsync()
    {
        await _deadline.CancelAsync().ConfigureAwait(false); // nobody is left whose requests could go on
        await Drain().ConfigureAwait(false);
        await _timedOut.DisposeAsync().ConfigureAwait(false);
        await _stopped.DisposeAsync().ConfigureAwait(false);
        _stopping.Dispose();
        _deadline.Dispose();
        if (Session is { } session) await session.DisposeAsync().ConfigureAwait(false);
    }
}
