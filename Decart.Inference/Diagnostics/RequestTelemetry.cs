using System.Diagnostics;
using Decart.Inference.Engine;
using static Decart.Inference.Diagnostics.TelemetryNames;

namespace Decart.Inference.Diagnostics;

/// <summary>Listens to one request from its submission to its disposal, which tells how it ended. The default value tells nothing.</summary>
/// <param name="session">Whose request it is.</param>
/// <param name="sequence">The request.</param>
/// <param name="operation">What it is for.</param>
/// <param name="start">When it was submitted; 0 if nobody measured then.</param>
/// <param name="activity">Its activity; null if nobody listened then.</param>
internal readonly struct RequestTelemetry(SessionTelemetry session, Sequence sequence, string operation, long start, Activity? activity) : IDisposable
{
    public void Dispose()
    {
        if (start == 0 && activity is null) return;
        RequestEnd end = RequestEnd.Of(sequence);
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
            if (operation != Operations.Embeddings)
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
