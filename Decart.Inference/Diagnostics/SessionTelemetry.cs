using System.Diagnostics;
using System.Diagnostics.Metrics;
using Decart.Inference.Engine;
using Decart.Inference.Sampling;
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

    /// <summary>A request has been submitted; the caller disposes what this returns when it has ended or its caller leaves.</summary>
    /// <param name="sequence">The request.</param>
    /// <param name="parameters">How its tokens are chosen.</param>
    /// <param name="options">What its caller asked for.</param>
    public RequestTelemetry Begin(GenerationSequence sequence, SamplingParameters parameters, GenerationOptions options) =>
        options.Operation is { } operation ? new RequestTelemetry(this, sequence, operation, StartActivity(sequence, parameters, options, operation)) : default;

    /// <summary>A request has ended, or its caller has left.</summary>
    /// <param name="sequence">The request.</param>
    /// <param name="operation">What it was for.</param>
    public void Record(GenerationSequence sequence, string operation)
    {
        bool measures = _instruments.RequestsEnded.Enabled || _instruments.RequestDuration.Enabled || _instruments.TimeToFirstToken.Enabled
            || _instruments.TimePerOutputToken.Enabled || _instruments.TokenUsage.Enabled;
        if (!measures) return;

        RequestEnd end = RequestEnd.Of(sequence);
        TagList tags = [];
        AddIdentity(ref tags, operation);
        tags.Add(Attributes.ResponseModel, Model);
        if (end.Usage is { } usage)
        {
            RecordTokens(tags, Input, usage.PromptTokens);
            RecordTokens(tags, Output, usage.CompletionTokens);
            if (end.IsCompleted) _instruments.TimeToFirstToken.Record(usage.TimeToFirstToken.TotalSeconds, tags);
            if (end.IsCompleted && usage.CompletionTokens > 1) _instruments.TimePerOutputToken.Record(usage.TimePerOutputToken.TotalSeconds, tags);
        }
        if (end.ErrorType is not null) tags.Add(Attributes.ErrorType, end.ErrorType);
        if (_instruments.RequestDuration.Enabled) _instruments.RequestDuration.Record(end.Duration(sequence).TotalSeconds, tags);
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

    private Activity? StartActivity(GenerationSequence sequence, SamplingParameters parameters, GenerationOptions options, string operation)
    {
        if (!Activities.HasListeners()) return null;
        TagList tags = [];
        AddIdentity(ref tags, operation);
        Activity? activity = Activities.StartActivity($"{operation} {Model}", ActivityKind.Internal, parentContext: default, tags);
        if (activity is not { IsAllDataRequested: true }) return activity;
        SamplingNumbers numbers = parameters.Numbers;
        activity.SetTag(Attributes.MaxTokens, parameters.MaxTokens);
        activity.SetTag(Attributes.Temperature, (double)numbers.Temperature);
        activity.SetTag(Attributes.TopP, (double)numbers.TopP);
        if (numbers.TopK > 0) activity.SetTag(Attributes.TopK, (double)numbers.TopK);
        if (numbers.FrequencyPenalty != 0) activity.SetTag(Attributes.FrequencyPenalty, (double)numbers.FrequencyPenalty);
        if (numbers.PresencePenalty != 0) activity.SetTag(Attributes.PresencePenalty, (double)numbers.PresencePenalty);
        if (options.Seed is { } seed) activity.SetTag(Attributes.Seed, seed);
        if (options.StopSequences.Count > 0) activity.SetTag(Attributes.StopSequences, options.StopSequences.ToArray());
        return activity;
    }
}
