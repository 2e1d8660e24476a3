using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Decart.Inference.Hosting;

/// <summary>Fails while a model's requests would have to wait for more than other requests, or would be refused.</summary>
internal sealed class ReadinessCheck(HostedModel model) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        Exception? failure = model.Failure;
        SessionStatistics? statistics = failure is null ? model.Session?.GetStatistics() : null;
        string? problem =
            failure is not null ? failure.Message
            : model.IsDraining ? "The host is stopping."
            : statistics is null ? $"The model is being loaded: {model.Progress}."
            : statistics.WaitingSequences > model.Options.ReadinessQueueLimit
                ? $"{statistics.WaitingSequences} requests wait, more than ReadinessQueueLimit = {model.Options.ReadinessQueueLimit} allows."
            : null;
        Dictionary<string, object>? data = statistics is null
            ? null
            : new() { ["running"] = statistics.RunningSequences, ["waiting"] = statistics.WaitingSequences };
        HealthStatus status = problem is null ? HealthStatus.Healthy : context.Registration.FailureStatus;
        return Task.FromResult(new HealthCheckResult(status, problem, failure, data));
    }
}
