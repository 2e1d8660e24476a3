using System.Diagnostics;
using System.Globalization;
using Decart.Inference.Engine;
using Decart.Inference.Sampling;
using static Decart.Inference.Diagnostics.TelemetryNames;

namespace Decart.Inference.Diagnostics;

/// <summary>Listens to one request from when a session is asked for it until it has ended. One thread at a time.</summary>
/// <param name="session">Whose request it is.</param>
/// <param name="operation">What it is for.</param>
/// <param name="start">When it began; 0 if nobody measured then.</param>
/// <param name="activity">Its activity; null if nobody listened then.</param>
internal sealed class RequestTelemetry(SessionTelemetry session, string operation, long start, Activity? activity) : IDisposable
{
    private Sequence? _sequence;
    private bool _hasEnded;

    /// <summary>What will be computed, whose state at the disposal tells how the request ended.</summary>
    public void Follow(Sequence sequence) => _sequence = sequence;

    /// <inheritdoc cref="Follow(Sequence)"/>
    /// <param name="sequence">The completion.</param>
    /// <param name="parameters">How its tokens are chosen.</param>
    /// <param name="options">What its caller asked for.</param>
    public void Follow(GenerationSequence sequence, SamplingParameters parameters, GenerationOptions options)
    {
        Follow(sequence);
        if (activity is not { IsAllDataRequested: true }) return;
        SamplingNumbers numbers = parameters.Numbers;
        activity.SetTag(Attributes.MaxTokens, parameters.MaxTokens);
        activity.SetTag(Attributes.Temperature, Decimal(numbers.Temperature));
        activity.SetTag(Attributes.TopP, Decimal(numbers.TopP));
        if (numbers.TopK > 0) activity.SetTag(Attributes.TopK, (double)numbers.TopK);
        if (numbers.FrequencyPenalty != 0) activity.SetTag(Attributes.FrequencyPenalty, Decimal(numbers.FrequencyPenalty));
        if (numbers.PresencePenalty != 0) activity.SetTag(Attributes.PresencePenalty, Decimal(numbers.PresencePenalty));
        if (options.Seed is { } seed) activity.SetTag(Attributes.Seed, seed);
        if (options.StopSequences.Count > 0) activity.SetTag(Attributes.StopSequences, options.StopSequences.ToArray());
    }

    /// <summary>The request has thrown at its caller.</summary>
    public void Fail(Exception error) => End(RequestEnd.Of(error));

    /// <summary>The request has ended, or its caller has left.</summary>
    public void Dispose() => End(_sequence is null ? new RequestEnd(Completed) : RequestEnd.Of(_sequence));

    /// <summary>A number as its caller wrote it: 0.8, not 0.800000011920929.</summary>
    private static double Decimal(float number) => double.Parse(number.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

    private void End(RequestEnd end)
    {
        if (_hasEnded) return;
        _hasEnded = true;
        if (start != 0) session.Record(end, operation, end.TimeToLastToken ?? Stopwatch.GetElapsedTime(start));
        if (activity is null) return;
        if (activity.IsAllDataRequested) Describe(activity, end);
        activity.Dispose();
    }

    private void Describe(Activity activity, RequestEnd end)
    {
        activity.SetTag(Attributes.ResponseModel, session.Model);
        if (end.Reason is not null) activity.SetTag(Attributes.FinishReasons, new[] { end.Reason });
        if (end.Usage is { } usage)
        {
            activity.SetTag(Attributes.UsageInput, usage.PromptTokens);
            activity.SetTag(Attributes.UsageCached, usage.CachedPromptTokens);
            if (_sequence is GenerationSequence)
            {
                activity.SetTag(Attributes.UsageOutput, usage.CompletionTokens);
                activity.SetTag(Attributes.TimeToFirstChunk, usage.TimeToFirstToken.TotalSeconds);
            }
        }
        if (end.ErrorType is null) return;
        activity.SetTag(Attributes.ErrorType, end.ErrorType);
        if (end.Error is not null) activity.SetStatus(ActivityStatusCode.Error, end.Error.Message);
    }
}
