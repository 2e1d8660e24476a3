using Decart.Inference.Hub;

namespace Decart.Inference;

/// <summary>
/// Downloads models from the Hugging Face Hub into its own cache, the one that Python's libraries use: what either has downloaded, the other finds.
/// </summary>
public static class ModelHub
{
    /// <summary>
    /// Makes sure that a model's files are on disk, and downloads those that are not: the configuration, the tokenizer, the chat template and the weights, nothing else.
    /// </summary>
    /// <remarks>
    /// <para>
    /// Safe to call from any thread and from several processes at once: a file is downloaded by one of them. A download that was stopped goes on where it ended. Every file is
    /// checked against the size and the hash that the Hub names before it counts as downloaded.
    /// </para>
    /// <para>
    /// Unless <see cref="ModelHubOptions.Revision"/> is a commit that is in the cache, whole, the Hub is asked which commit the revision is. If it cannot be reached, the one in the cache is used.
    /// </para>
    /// </remarks>
    /// <param name="model">The model's name, <c>org/name</c>; of a repository with GGUF files also <c>org/name:Q4_K_M</c> (see <see cref="ModelHubOptions.File"/>).</param>
    /// <param name="options">What to download and how; <see langword="null"/> for the defaults.</param>
    /// <param name="progress">Receives progress reports, on any thread but one after the other.</param>
    /// <param name="cancellationToken">Stops the download; what has been received stays for the next time.</param>
    /// <returns>The folder, or the GGUF file (of a split model its first part), for <see cref="LlmSession.LoadAsync"/>.</returns>
    /// <exception cref="ArgumentException"><paramref name="model"/> is no name of a model, or an option is wrong.</exception>
    /// <exception cref="ModelHubException">The model could not be downloaded; the message says why and what to do.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public static Task<string> DownloadAsync(
        string model, ModelHubOptions? options = null, IProgress<DownloadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        options ??= new ModelHubOptions();
        options.Validate();
        HubName name = HubName.TryParse(model) ?? throw new ArgumentException(
            $"\"{Checkpoints.Quoted.Value(model)}\" is no name of a model: expected \"org/name\", or \"org/name:file\" for one file of a GGUF repository.", nameof(model));
        if (name.File is not null && options.File is not null) throw new ArgumentException("The file is named twice, in the model's name and in the options.", nameof(model));
        HubSettings settings = HubSettings.From(options, Environment.GetEnvironmentVariable);
        return new SnapshotDownload(name with { File = name.File ?? options.File }, settings, progress).RunAsync(cancellationToken);
    }
}
