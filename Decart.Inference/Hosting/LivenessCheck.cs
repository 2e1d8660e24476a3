using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Decart.Inference.Hosting;

/// <summary>Fails for good when a model could not be loaded or its session has failed as a whole.</summary>
internal sealed class LivenessCheck(HostedModel model) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(model.Failure is { } error ? new HealthCheckResult(context.Registration.FailureStatus, error.Message, error) : HealthCheckResult.Healthy());
}
