using Decart.Inference.Hub;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Session;

namespace Decart.Inference.Tests.Hub;

/// <summary>A server that answers as the Hub does, and an empty cache.</summary>
[CancelAfter(120_000)]
internal abstract class HubFixture
{
    protected FakeHub Hub { get; private set; } = null!;

    protected TemporaryFolder Cache { get; private set; } = null!;

    protected RecordingLog Log { get; private set; } = null!;

    [SetUp]
    public void Create()
    {
        (Hub, Cache, Log) = (new FakeHub().WithShards(), new TemporaryFolder(), new RecordingLog());
    }

    [TearDown]
    public void Delete()
    {
        Hub.Dispose();
        Cache.Dispose();
        Log.Dispose();
    }

    protected ModelHubOptions Options => new()
    {
        Endpoint = new Uri(Hub.Site.Address),
        CacheFolder = Cache.Path,
        Token = FakeHub.Token,
        Offline = false,
        RetryDelay = TimeSpan.FromMilliseconds(1),
        LoggerFactory = Log,
    };

    protected string Folder => Path.Combine(Cache.Path, "models--acme--tiny");

    protected string Snapshot => Path.Combine(Folder, "snapshots", Hub.Commit);

    protected Task<string> DownloadAsync(ModelHubOptions? options = null, IProgress<DownloadProgress>? progress = null, CancellationToken cancellationToken = default) =>
        ModelHub.DownloadAsync(FakeHub.Model, options ?? Options, progress, cancellationToken);

    /// <summary>Downloads with variables of the environment that the test sets.</summary>
    protected Task<string> DownloadAsync(Func<string, string?> variable) =>
        new SnapshotDownload(HubName.TryParse(FakeHub.Model)!.Value, HubSettings.From(Options, variable), null).RunAsync(CancellationToken.None);

    protected async Task<ModelHubException> CheckRefusedAsync(ModelHubError error, ModelHubOptions? options = null)
    {
        ModelHubException refused = (await Assert.ThrowsAsync<ModelHubException>(() => DownloadAsync(options)))!;
        Assert.That(refused.Error, Is.EqualTo(error), refused.Message);
        Assert.That(refused.Message, Does.Not.Contain(FakeHub.Token));
        return refused;
    }

    /// <summary>Checks that a file of the model is in the cache as it is on the Hub.</summary>
    protected void CheckFile(string path) => Assert.That(File.ReadAllBytes(Path.Combine(Snapshot, path)), Is.EqualTo(Hub.ContentOf(path)), path);
}
