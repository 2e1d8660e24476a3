namespace Decart.Inference;

/// <summary>Gives the session of a model that an application hosts (<c>AddDecartInference</c>). Safe for use by any number of threads.</summary>
public interface ILlmSessionProvider
{
    /// <summary>The session; <see langword="null"/> until the model is loaded and warmed, and if it cannot be.</summary>
    LlmSession? Session { get; }

    /// <summary>
    /// Waits for the session without blocking a thread. The first call loads the model if no host has begun to. The session belongs to the host, which disposes it.
    /// </summary>
    /// <param name="cancellationToken">Cancels the waiting, not the loading.</param>
    /// <exception cref="Microsoft.Extensions.Options.OptionsValidationException">The options are wrong; the message names the configuration key.</exception>
    /// <exception cref="ModelLoadException">The model is missing, damaged or not supported; <see cref="LlmSession.LoadAsync"/> lists what else can be wrong.</exception>
    /// <exception cref="SessionDrainingException">The host stopped before the model was loaded.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    Task<LlmSession> GetAsync(CancellationToken cancellationToken = default);
}
