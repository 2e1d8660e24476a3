using Decart.Inference.Checkpoints;
using Decart.Inference.Hub;

namespace Decart.Inference.Loading;

/// <summary>Finds the model that a caller names: a path, else a model of the Hub, which is downloaded.</summary>
internal static class ModelSource
{
    /// <summary>The path of the model. What is neither a path nor the name of a model is given back, for a message about a path.</summary>
    /// <exception cref="ModelHubException">It is not a path, and could not be downloaded.</exception>
    public static Task<string> FindAsync(string model, LlmSessionOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellationToken) =>
        HubSupport.IsSupported && IsOnHub(model, options) ? DownloadAsync(model, options, progress, cancellationToken) : Task.FromResult(model);

    /// <summary>Whether a model is asked of the Hub, because it has the name of one and is no path.</summary>
    public static bool IsOnHub(string model, LlmSessionOptions options) =>
        !options.RandomWeights && HubName.TryParse(model) is not null && !Directory.Exists(model) && !CheckpointFile.Exists(model);

    private static async Task<string> DownloadAsync(string model, LlmSessionOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        ModelHubOptions hub = options.Hub ?? new ModelHubOptions();
        try
        {
            return await ModelHub.DownloadAsync(
                model,
                hub with { LoggerFactory = hub.LoggerFactory ?? options.LoggerFactory },
                progress is null ? null : new LoadingProgress(progress),
                cancellationToken).ConfigureAwait(false);
        }
        catch (ModelHubException e) when (e.Error is ModelHubError.NotFound or ModelHubError.NotCached or ModelHubError.Unreachable)
        {
            throw new ModelHubException(e.Error, model, $"expected a path or a model of the Hub, found nothing at this path, and of the Hub: {e.Message.TrimEnd('.')}", e)
            {
                Status = e.Status,
            };
        }
    }

    /// <summary>The progress of a download as that of loading.</summary>
    private sealed class LoadingProgress(IProgress<LoadProgress> progress) : IProgress<DownloadProgress>
    {
        public void Report(DownloadProgress value) => progress.Report(new LoadProgress("Downloading", value.BytesLoaded, value.BytesTotal));
    }
}
