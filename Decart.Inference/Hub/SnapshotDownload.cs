namespace Decart.Inference.Hub;

/// <summary>Brings a model into the cache, or finds it there.</summary>
internal sealed class SnapshotDownload(HubName name, HubSettings settings, IProgress<DownloadProgress>? progress)
{
    private readonly HubClient _client = new(name, settings);
    private readonly HubCache _cache = new(name, settings);
    private readonly DownloadTally _tally = new(progress);

    /// <returns>The folder or the GGUF file.</returns>
    /// <exception cref="ModelHubException">The model could not be downloaded.</exception>
    public async Task<string> RunAsync(CancellationToken cancellationToken)
    {
        string revision = settings.Options.Revision;
        CachedModel cached = CachedModel.Find(name, _cache, revision);
        if (settings.Offline) return cached.Path ?? throw NotCached(cached.Lack!);
        if (cached is { Path: { } whole, IsWhole: true } && HubListing.IsCommit(revision)) return whole;
        HubListing listing;
        try
        {
            listing = await _client.ListAsync(cached.Path is null ? settings.Options.MaxRetries : 0, cancellationToken).ConfigureAwait(false);
        }
        catch (ModelHubException e) when (cached.Path is not null && e.Error is ModelHubError.Unreachable or ModelHubError.ServerFailed or ModelHubError.RateLimited)
        {
            settings.Logger.CacheUsed(name.ToString(), e.Message);
            return cached.Path!;
        }
        string path = await DownloadAsync(listing, cancellationToken).ConfigureAwait(false);
        Write(() => _cache.WriteReference(revision, listing.Commit)); // last: until then the revision stands for what is whole
        return path;
    }

    private async Task<string> DownloadAsync(HubListing listing, CancellationToken cancellationToken)
    {
        ModelFiles files = ModelFiles.Choose(name, [.. listing.Files.Keys]);
        FileDownload download = new(settings, _client, _cache, listing.Commit, _tally);
        IReadOnlyList<string> weights = files.Weights;
        HubFile[] index = await DescribeAsync(listing, files.Index is null ? [] : [files.Index], cancellationToken).ConfigureAwait(false);
        foreach (HubFile file in index)
        {
            await download.RunAsync(file, cancellationToken).ConfigureAwait(false);
            weights = ModelFiles.Shards(name, _cache.FilePath(listing.Commit, file.Path));
        }
        HubFile[] described = await DescribeAsync(listing, [.. files.Settings, .. weights], cancellationToken).ConfigureAwait(false);
        HubFile[] all = [.. index, .. described];
        RequireRoom(listing.Commit, all);
        _tally.Plan(all);
        // The weights last: where all of them are, the small files are as well.
        await ForEachAsync(described.Take(files.Settings.Count), download.RunAsync, cancellationToken).ConfigureAwait(false);
        await ForEachAsync(described.Skip(files.Settings.Count), download.RunAsync, cancellationToken).ConfigureAwait(false);
        if (files.Model is not null) return _cache.FilePath(listing.Commit, files.Model);
        _cache.NoteAbsent(listing.Commit, ModelFiles.OptionalNames.Where(file => !listing.Files.ContainsKey(file)));
        return _cache.Snapshot(listing.Commit);
    }

    private async Task<HubFile[]> DescribeAsync(HubListing listing, IReadOnlyList<string> paths, CancellationToken cancellationToken)
    {
        HubFile[] described = new HubFile[paths.Count];
        await ForEachAsync(
            Enumerable.Range(0, paths.Count),
            async (file, token) =>
            {
                HubListing.RequireSafe(name, paths[file]);
                if (!listing.Files.TryGetValue(paths[file], out HubFile? listed))
                    throw new ModelHubException(ModelHubError.NoSuitableFile, name.Id, $"expected the file {Checkpoints.Quoted.Name(paths[file])}, which the index of the weights lists, found none in the repository");
                described[file] = listed ?? await _client.DescribeAsync(listing.Commit, paths[file], token).ConfigureAwait(false);
            },
            cancellationToken).ConfigureAwait(false);
        return described;
    }

    private Task ForEachAsync<T>(IEnumerable<T> items, Func<T, CancellationToken, Task> action, CancellationToken cancellationToken) => Parallel.ForEachAsync(
        items,
        new ParallelOptions { MaxDegreeOfParallelism = settings.Options.MaxConnections, CancellationToken = cancellationToken },
        async (item, token) => await action(item, token).ConfigureAwait(false));

    /// <summary>Says at once what would fail after hours.</summary>
    private void RequireRoom(string commit, HubFile[] files)
    {
        long total = files.Sum(file => file.Size), there = files.Sum(file => _cache.BytesThere(commit, file));
        if (there == total) return;
        settings.Logger.Downloading(name.ToString(), commit, files.Length, total, there);
        if (_cache.MeasureFree() is { } free && free < total - there)
        {
            throw new ModelHubException(
                ModelHubError.DiskFull,
                name.Id,
                $"expected room for {total - there} more bytes in {settings.CacheFolder}, found {free}: make room, or set another folder (CacheFolder, HF_HUB_CACHE)");
        }
    }

    private void Write(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelHubException(ModelHubError.CacheUnusable, name.Id, $"expected a cache that can be written (CacheFolder, HF_HUB_CACHE): {e.Message.TrimEnd('.')}", e);
        }
    }

    private ModelHubException NotCached(string found) => new(
        ModelHubError.NotCached,
        name.ToString(),
        $"expected the whole model at \"{Checkpoints.Quoted.Value(settings.Options.Revision)}\" in {settings.CacheFolder}, because downloads are switched off (Offline, HF_HUB_OFFLINE), found {found}");
}
