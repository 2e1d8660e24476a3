using System.Diagnostics;
using System.Diagnostics.Metrics;
using static Decart.Inference.Diagnostics.TelemetryNames;

namespace Decart.Inference.Diagnostics;

/// <summary>
/// Tells listeners what becomes of a session's requests. While nobody listens, this costs a few reads of flags for each request: nothing is allocated and no time is taken. Any thread.
/// </summary>
internal sealed class SessionTelemetry : IDisposable
{
    private static readonly ActivitySource Activities = new(Source, Version);

    private readonly SessionInstruments _instruments;
    private readonly Func<SessionStatistics> _statistics;

    /// <param name="model">The model's name.</param>
    /// <param name="statistics">Gives the session's counters.</param>
    /// <param name="meters">Makes the meter; null for the one of the process.</param>
    public SessionTelemetry(string model, Func<SessionStatistics> statistics, IMeterFactory? meters)
    {
        Model = model;
        _statistics = statistics;
        _instruments = SessionInstruments.Of(meters);
        _instruments.Add(this);
    }

    /// <summary>The library's version.</summary>
    public static string Version { get; } = typeof(SessionTelemetry).Assembly.GetName().Version?.ToString(3) ?? "";

    public string Model { get; }

    public SessionStatistics GetStatistics() => _statistics();

    /// <summary>The session is asked for a request; the caller disposes what this returns when it has ended or its caller leaves.</summary>
    /// <param name="operation">What it is for; null if listeners are not told of it.</param>
    /// <param name="start">When it began, as <see cref="Now"/> gave it.</param>
    /// <returns>Null if nobody listens.</returns>
    public RequestTelemetry? Begin(string? operation, long start)
    {
        if (operation is null || (start == 0 && !Activities.HasListeners())) return null;
        TagList tags = [];
        AddIdentity(ref tags, operation);
        if (start != 0) _instruments.RequestsSubmitted.Add(1, tags);
        Activity? activity = Activities.StartActivity($"{operation} {Model}", ActivityKind.Internal, parentContext: default, tags);
        return new RequestTelemetry(this, operation, start, activity);
    }

    /// <inheritdoc cref="Begin(string?, long)"/>
    public RequestTelemetry? Begin(string? operation) => Begin(operation, Now());

    /// <summary>The time, if anybody measures requests; else 0.</summary>
    public long Now() => _instruments.MeasureRequests ? Stopwatch.GetTimestamp() : 0;

    /// <summary>Measures a request that has ended, or whose caller has left.</summary>
    /// <param name="end">How it ended.</param>
    /// <param name="operation">What it was for.</param>
    /// <param name="duration">How long it took.</param>
    public void Record(RequestEnd end, string operation, TimeSpan duration)
    {
        TagList tags = [];
        AddIdentity(ref tags, operation);
        tags.Add(Attributes.ResponseModel, Model);
        if (end.Usage is { } usage)
        {
            RecordTokens(tags, Input, usage.PromptTokens);
            if (usage.CompletionTokens > 0) RecordTokens(tags, Output, usage.CompletionTokens);
            if (end.IsCompleted && usage.CompletionTokens > 0) _instruments.TimeToFirstToken.Record(usage.TimeToFirstToken.TotalSeconds, tags);
            if (end.IsCompleted && usage.CompletionTokens > 1) _instruments.TimePerOutputToken.Record(usage.TimePerOutputToken.TotalSeconds, tags);
        }
        if (end.ErrorType is not null) tags.Add(Attributes.ErrorType, end.ErrorType);
        _instruments.RequestDuration.Record(duration.TotalSeconds, tags);
        tags.Add(Attributes.Outcome, end.Outcome);
        _instruments.RequestsEnded.Add(1, tags);
    }

    public void Dispose() => _instruments.Remove(this);

    private void RecordTokens(TagList tags, string type, int count)
    {
        tags.Add(Attributes.TokenType, type);
        _instruments.TokenUsage.Record(count, tags);
    }

    private void AddIdentity(ref TagList tags, string operation)
    {
        tags.Add(Attributes.Operation, operation);
        tags.Add(Attributes.Provider, Provider);
        tags.Add(Attributes.RequestModel, Model);
    }
}
