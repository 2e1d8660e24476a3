using Decart.Inference.Checkpoints;

namespace Decart.Inference.Hub;

/// <summary>What the cache has of a model. Python's libraries fill it file by file, so that what they were stopped at, or did not want, may be missing.</summary>
/// <param name="Path">The folder or the GGUF file; null if the model cannot be loaded from what is there.</param>
/// <param name="Lack">What is known to be missing, as a clause; null where nothing is.</param>
/// <param name="IsWhole">Whether nothing can be missing: each file that a folder may have is there, or the repository is known to have none.</param>
internal sealed record CachedModel(string? Path, string? Lack, bool IsWhole)
{
    /// <summary>Finds a model in the cache.</summary>
    public static CachedModel Find(HubName name, HubCache cache, string revision)
    {
        try
        {
            return cache.FindCommit(revision) is { } commit ? Find(name, cache, commit, cache.FilesOf(commit)) : Without("nothing of it");
        }
        catch (Exception e) when (e is ModelHubException or IOException or UnauthorizedAccessException)
        {
            return Without($"it incomplete ({e.Message.TrimEnd('.')})");
        }
    }

    private static CachedModel Find(HubName name, HubCache cache, string commit, IReadOnlyCollection<string> there)
    {
        ModelFiles files = ModelFiles.Choose(name, there);
        if (files.Model is not null) return new CachedModel(cache.FilePath(commit, files.Model), null, IsWhole: true);
        string[] shards = files.Index is null ? [] : [.. ModelFiles.Shards(name, cache.FilePath(commit, files.Index)).Except(there)];
        if (shards.Length > 0) return Without($"it without {Quoted.Names(shards)}");

        string folder = cache.Snapshot(commit);
        string[] unknown = [.. ModelFiles.OptionalNames.Where(file => !there.Contains(file) && !cache.IsAbsent(commit, file))];
        string? tokenizer = Tokenizer.FileNames.FirstOrDefault(there.Contains);
        bool lacksTokenizer = tokenizer is null && there.Contains(ModelFiles.TokenizerConfig) && Tokenizer.FileNames.Any(unknown.Contains) && Tokenizer.UnreadFiles(folder) is null;
        if (lacksTokenizer) return Without($"it without a tokenizer ({string.Join(" or ", Tokenizer.FileNames)}), although it has {ModelFiles.TokenizerConfig}");
        IEnumerable<string> needless = Tokenizer.FileNames.SkipWhile(file => file != tokenizer); // one is enough
        return new CachedModel(folder, null, IsWhole: !unknown.Except(needless).Any());
    }

    private static CachedModel Without(string lack) => new(null, lack, IsWhole: false);
}
