using System.Diagnostics;
using Decart.Inference.Engine;
using static Decart.Inference.Diagnostics.TelemetryNames;

namespace Decart.Inference.Diagnostics;

/// <summary>Listens to one request from its submission to its disposal, which tells how it ended. The default value tells nothing.</summary>
internal readonly struct RequestTelemetry(SessionTelemetry session, GenerationSequence sequence, string operation, Activity? activity) : IDisposable
{
    public void Dispose()
    {
        if (sequence is null) return;
        session.Record(sequence, operation);
        if (activity is null) return;
        if (activity.IsAllDataRequested) Describe(activity);
        activity.Dispose();
    }

    private void Describe(Activity activity)
    {
        RequestEnd end = RequestEnd.Of(sequence);
        activity.SetTag(Attributes.ResponseModel, session.Model);
        if (end.Reason is not null) activity.SetTag(Attributes.FinishReasons, new[] { end.Reason });
        if (end.Usage is { } usage)
        {
            activity.SetTag(Attributes.UsageInput, usage.PromptTokens);
            activity.SetTag(Attributes.UsageCached, usage.CachedPromptTokens);
            activity.SetTag(Attributes.UsageOutput, usage.CompletionTokens);
            activity.SetTag(Attributes.TimeToFirstChunk, usage.TimeToFirstToken.TotalSeconds);
        }
        if (end.ErrorType is null) return;
        activity.SetTag(Attributes.ErrorType, end.ErrorType);
        if (end.Error is not null) activity.SetStatus(ActivityStatusCode.Error, end.Error.Message);
    }
}
