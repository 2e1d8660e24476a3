using Decart.Inference.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace Decart.Inference;

/// <summary>Health checks of hosted models: <c>services.AddHealthChecks().Add(DecartInferenceHealthChecks.Readiness())</c>.</summary>
public static class DecartInferenceHealthChecks
{
    /// <summary>Whether the process is of use: fails when the model could not be loaded or its session has failed as a whole. Tagged <c>live</c>.</summary>
    /// <param name="key">The model's key; <see langword="null"/> for the model without one.</param>
    public static HealthCheckRegistration Liveness(string? key = null) => Create("live", key, model => new LivenessCheck(model));

    /// <summary>
    /// Whether requests should come here: the model is loaded and warmed, the host is not stopping, and no more requests wait than <see cref="DecartInferenceOptions.ReadinessQueueLimit"/>
    /// allows. Tagged <c>ready</c>; its data are the counts of <c>running</c> and <c>waiting</c> requests.
    /// </summary>
    /// <inheritdoc cref="Liveness" path="/param"/>
    public static HealthCheckRegistration Readiness(string? key = null) => Create("ready", key, model => new ReadinessCheck(model));

    private static HealthCheckRegistration Create(string tag, string? key, Func<HostedModel, IHealthCheck> create) => new(
        key is null ? $"decart.inference.{tag}" : $"decart.inference.{tag}.{key}",
        services => create(services.GetRequiredKeyedService<HostedModel>(key ?? Options.DefaultName)),
        failureStatus: HealthStatus.Unhealthy,
        tags: [tag]);
}
