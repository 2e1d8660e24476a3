namespace Decart.Inference.Hub;

/// <summary>
/// A model's place in the cache that all libraries of the Hub share:
/// <code>
/// models--ORG--NAME/blobs/HASH                  contents
/// models--ORG--NAME/blobs/HASH.incomplete       the beginning of one
/// models--ORG--NAME/snapshots/COMMIT/FILE       a link to the content that a file has at a commit (where there are no links, the content itself)
/// models--ORG--NAME/.no_exist/COMMIT/FILE       empty: the commit has no such file
/// models--ORG--NAME/refs/REVISION               the commit that a branch or tag was last
/// .locks/models--ORG--NAME/HASH.lock            locked by whoever downloads that content
/// </code>
/// </summary>
internal sealed class HubCache(HubName name, HubSettings settings)
{
    private const int CommitLength = 40, SharingViolation = unchecked((int)0x80070020), LockViolation = unchecked((int)0x80070021), WouldBlockLinux = 11, WouldBlockMacOS = 35;

    private static readonly TimeSpan LockPoll = TimeSpan.FromMilliseconds(100);

    private readonly string _folderName = $"models--{name.Id.Replace("/", "--", StringComparison.Ordinal)}";

    private string Folder => Path.Combine(settings.CacheFolder, _folderName);

    /// <summary>The folder of a commit's files.</summary>
    public string Snapshot(string commit) => Path.Combine(Folder, "snapshots", commit);

    /// <summary>Where a file of a commit is, or will be.</summary>
    public string FilePath(string commit, string file) => Path.Combine([Snapshot(commit), .. file.Split('/')]);

    /// <summary>Where a content that is not whole is kept.</summary>
    public string PartPath(BlobHash hash) => BlobPath(hash) + ".incomplete";

    private string BlobPath(BlobHash hash) => Path.Combine(Folder, "blobs", hash.Hex);

    private string AbsencePath(string commit, string file) => Path.Combine(Folder, ".no_exist", commit, file);

    private string ReferencePath(string revision) => Path.Combine([Folder, "refs", .. revision.Split('/')]);

    /// <summary>The commit that a revision was when it was last downloaded; null if it never was.</summary>
    public string? FindCommit(string revision)
    {
        if (HubListing.IsCommit(revision)) return revision;
        FileInfo reference = new(ReferencePath(revision));
        if (!reference.Exists || reference.Length > 2 * CommitLength) return null;
        string commit = File.ReadAllText(reference.FullName).Trim();
        return HubListing.IsCommit(commit) ? commit : null;
    }

    /// <summary>The files of a commit that are there, with slashes between folders. Links that lead nowhere are not there.</summary>
    public IReadOnlyCollection<string> FilesOf(string commit)
    {
        DirectoryInfo snapshot = new(Snapshot(commit));
        return snapshot.Exists
            ? [.. snapshot.EnumerateFiles("*", SearchOption.AllDirectories).Where(file => File.Exists(file.FullName)).Select(file => Path.GetRelativePath(snapshot.FullName, file.FullName).Replace('\\', '/'))]
            : [];
    }

    /// <summary>Whether a commit has a file, whole.</summary>
    public bool HasFile(string commit, HubFile file) => HasSize(FilePath(commit, file.Path), file.Size);

    /// <summary>Bytes of a file that need not be downloaded any more.</summary>
    public long BytesThere(string commit, HubFile file)
    {
        if (HasFile(commit, file) || HasBlob(file)) return file.Size;
        FileInfo part = new(PartPath(file.Hash));
        return part.Exists ? Math.Min(part.Length, file.Size) : 0;
    }

    /// <summary>Whether a content is there, whole.</summary>
    public bool HasBlob(HubFile file) => HasSize(BlobPath(file.Hash), file.Size);

    /// <summary>Makes the folders that a file needs.</summary>
    public void CreateFolders(string commit, HubFile file)
    {
        Directory.CreateDirectory(Path.Combine(Folder, "blobs"));
        Directory.CreateDirectory(Path.GetDirectoryName(FilePath(commit, file.Path))!);
        Directory.CreateDirectory(LockFolder);
    }

    /// <summary>Waits until nobody else downloads a content, and keeps others from it until the result is disposed.</summary>
    public async Task<IDisposable> LockAsync(HubFile file, CancellationToken cancellationToken)
    {
        string path = Path.Combine(LockFolder, $"{file.Hash.Hex}.lock");
        for (bool told = false; ; told = true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
            }
            catch (IOException e) when (e.HResult is SharingViolation or LockViolation or WouldBlockLinux or WouldBlockMacOS)
            {
                if (!told) settings.Logger.Waiting(file.Path);
                await Task.Delay(LockPoll, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Makes a part that is whole a content. If another process was faster, its content is as good.</summary>
    public void Complete(HubFile file)
    {
        try
        {
            File.Move(PartPath(file.Hash), BlobPath(file.Hash), overwrite: true);
        }
        catch (FileNotFoundException) when (HasBlob(file))
        {
        }
    }

    /// <summary>Gives a commit a file, whose content is there. Where there are no links the content is moved, or copied if other commits may have links to it.</summary>
    /// <param name="commit">The commit.</param>
    /// <param name="file">The file.</param>
    /// <param name="isNew">Whether the content came just now, so that nothing can have links to it.</param>
    public void Link(string commit, HubFile file, bool isNew)
    {
        string path = FilePath(commit, file.Path), blob = BlobPath(file.Hash);
        if (HasFile(commit, file)) return;
        File.Delete(path); // a link that leads nowhere, or a file of another size
        if (settings.UsesLinks && TryLink(path, Path.GetRelativePath(Path.GetDirectoryName(path)!, blob))) return;
        if (HasFile(commit, file)) return;
        string moved = isNew ? blob : $"{blob}.{Guid.NewGuid():N}.incomplete";
        if (!isNew) File.Copy(blob, moved);
        File.Move(moved, path, overwrite: true);
    }

    /// <summary>Whether a commit is known to have no file of this name.</summary>
    public bool IsAbsent(string commit, string file) => File.Exists(AbsencePath(commit, file));

    /// <summary>Notes which files a commit does not have. It saves questions and no more, so a cache that cannot be written goes without.</summary>
    public void NoteAbsent(string commit, IEnumerable<string> files)
    {
        try
        {
            foreach (string file in files.Where(file => !IsAbsent(commit, file)))
            {
                Directory.CreateDirectory(Path.GetDirectoryName(AbsencePath(commit, file))!);
                File.WriteAllBytes(AbsencePath(commit, file), []);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            settings.Logger.AbsenceNotNoted(name.ToString(), e.Message);
        }
    }

    /// <summary>Notes which commit a branch or tag is.</summary>
    public void WriteReference(string revision, string commit)
    {
        if (revision == commit || FindCommit(revision) == commit) return;
        string path = ReferencePath(revision), written = $"{path}.{Guid.NewGuid():N}.tmp";
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(written, commit);
        File.Move(written, path, overwrite: true);
    }

    /// <summary>Bytes that are free on the cache's disk; null if the system does not say.</summary>
    public long? MeasureFree()
    {
        try
        {
            string? existing = Path.GetFullPath(Folder);
            while (existing is not null && !Directory.Exists(existing)) existing = Path.GetDirectoryName(existing);
            return existing is null ? null : new DriveInfo(existing).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }

    private string LockFolder => Path.Combine(settings.CacheFolder, ".locks", _folderName);

    private static bool HasSize(string path, long size)
    {
        FileSystemInfo? target = File.Exists(path) ? File.ResolveLinkTarget(path, returnFinalTarget: true) ?? new FileInfo(path) : null;
        return target is FileInfo file && file.Length == size;
    }

    private static bool TryLink(string path, string target)
    {
        try
        {
            File.CreateSymbolicLink(path, target);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or PlatformNotSupportedException)
        {
            return false; // not allowed here, or another process was faster
        }
    }
}
