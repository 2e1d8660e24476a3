namespace Decart.Inference.Hub;

/// <summary>Counts what several downloads receive and reports it, one report after the other and not more often than anybody reads.</summary>
internal sealed class DownloadTally(IProgress<DownloadProgress>? progress)
{
    private const long LeastPause = 50;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, long> _loaded = new(StringComparer.Ordinal);
    private long _bytesLoaded, _bytesTotal, _lastReport;

    /// <summary>Says what there is to download.</summary>
    public void Plan(IEnumerable<HubFile> files)
    {
        lock (_lock) _bytesTotal = files.Sum(file => file.Size);
    }

    /// <summary>Says how many bytes of a file are there. Nothing is reported before the plan is known.</summary>
    public void Report(HubFile file, long loaded)
    {
        lock (_lock)
        {
            _bytesLoaded += loaded - _loaded.GetValueOrDefault(file.Path);
            _loaded[file.Path] = loaded;
            if (progress is null || _bytesTotal == 0 || (loaded != file.Size && Environment.TickCount64 - _lastReport < LeastPause)) return;
            progress.Report(new DownloadProgress(file.Path, loaded, file.Size, _bytesLoaded, _bytesTotal));
            _lastReport = Environment.TickCount64;
        }
    }
}
