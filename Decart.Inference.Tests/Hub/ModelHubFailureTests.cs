using System.Diagnostics;
using System.Globalization;
using System.Net;
using Decart.Inference.Hub;
using Decart.Inference.Tests.Checkpoints;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Tests.Hub;

/// <summary>What happens when the Hub refuses, and when connections or files are broken.</summary>
internal sealed class ModelHubFailureTests : HubFixture
{
    private const string Shard = "model-00001-of-00002.safetensors";

    private string Part => Path.Combine(Folder, "blobs", $"{Hub.HashOf(Shard)}.incomplete");

    [TestCase(401, null, "Invalid username or password.", ModelHubError.NotFound, "may not see it")]
    [TestCase(401, null, "Invalid credentials in Authorization header", ModelHubError.Unauthorized, "wrong or has expired")]
    [TestCase(401, "GatedRepo", "Access to model acme/tiny is restricted.", ModelHubError.Gated, "accept them at")]
    [TestCase(403, "GatedRepo", "Access to model acme/tiny is restricted.", ModelHubError.Gated, "accept them at")]
    [TestCase(403, null, "Forbidden", ModelHubError.Unauthorized, "may not read")]
    [TestCase(404, "RepoNotFound", "Repository not found", ModelHubError.NotFound, "no model \"acme/tiny\"")]
    [TestCase(404, "RevisionNotFound", "Invalid rev id", ModelHubError.NotFound, "no branch, tag or commit \"main\"")]
    [TestCase(418, null, "", ModelHubError.InvalidAnswer, "HF_ENDPOINT")]
    public async Task A_refusal_says_what_to_do(int status, string? code, string words, ModelHubError error, string advice)
    {
        Hub.Intercept = _ => Refusal(status, code, words);
        ModelHubException refused = await CheckRefusedAsync(error);
        Assert.That(refused.Status, Is.EqualTo((HttpStatusCode)status));
        Assert.That(refused.Message, Does.Contain(advice).And.Contain(words));
        Assert.That(Hub.Site.Requests, Has.Count.EqualTo(1), "nothing that would pass");
    }

    [Test]
    public async Task A_gated_model_is_listed_and_its_files_are_refused()
    {
        Hub.Intercept = request => request.Path.Contains("/resolve/", StringComparison.Ordinal) ? Refusal(403, "GatedRepo", "Restricted") : null;
        Assert.That((await CheckRefusedAsync(ModelHubError.Gated)).Message, Does.Contain($"{Hub.Site.Address}/acme/tiny"));
    }

    [TestCase("Retry-After", "1")]
    [TestCase("RateLimit", "\"resolvers\";r=0;t=1")]
    public async Task Too_many_requests_wait_as_long_as_is_asked(string header, string value)
    {
        int refused = 0;
        Hub.Intercept = _ => Interlocked.Increment(ref refused) == 1 ? new HttpReply(429) { Headers = { [header] = value } } : null;
        long start = Stopwatch.GetTimestamp();
        await DownloadAsync();
        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThan(TimeSpan.FromSeconds(0.9)));
    }

    [Test]
    public async Task A_wait_that_is_too_long_is_an_error_that_says_how_long()
    {
        Hub.Intercept = _ => new HttpReply(429) { Headers = { ["Retry-After"] = "86400" } };
        Assert.That((await CheckRefusedAsync(ModelHubError.RateLimited)).RetryAfter, Is.EqualTo(TimeSpan.FromDays(1)));
    }

    [TestCase(500)]
    [TestCase(503)]
    public async Task A_failure_of_the_server_passes_or_is_reported(int status)
    {
        int failures = 2;
        Hub.Intercept = Hub.InterceptStorage = _ => Interlocked.Decrement(ref failures) >= 0 ? new HttpReply(status) : null;
        await DownloadAsync();
        CheckFile(Shard);
        Assert.That(Log.Messages(LogLevel.Warning), Has.Exactly(2).Contains("failed, the next one"));

        Hub.Intercept = _ => new HttpReply(status);
        int requests = Hub.Site.Requests.Count;
        ModelHubException error = (await Assert.ThrowsAsync<ModelHubException>(() => ModelHub.DownloadAsync("acme/other", Options with { MaxRetries = 3 })))!;
        Assert.That((error.Error, error.Status), Is.EqualTo((ModelHubError.ServerFailed, (HttpStatusCode)status)));
        Assert.That(Hub.Site.Requests, Has.Count.EqualTo(requests + 4));
    }

    [Test]
    public async Task A_Hub_that_is_not_there_is_unreachable()
    {
        ModelHubOptions options = Options with { MaxRetries = 1 };
        Hub.Site.Dispose();
        Assert.That((await CheckRefusedAsync(ModelHubError.Unreachable, options)).InnerException, Is.InstanceOf<HttpRequestException>());
    }

    [Test]
    public async Task A_connection_that_breaks_goes_on_where_it_broke([Values] bool announcesLess)
    {
        Hub.InterceptStorage = request =>
        {
            HttpReply reply = FakeHub.Content(request, Hub.ContentOf(request.Path.EndsWith(Hub.HashOf(Shard), StringComparison.Ordinal) ? Shard : "model-00002-of-00002.safetensors"));
            int sent = Math.Min(400_000, reply.Body.Length);
            return reply with { StopsAfter = sent, AnnouncedLength = announcesLess ? sent : reply.Body.Length };
        };
        await DownloadAsync(Options with { MaxConnections = 1 });
        CheckFile(Shard);
        HttpRequest[] requests = [.. Hub.Storage.Requests.Where(request => request.Path.EndsWith(Hub.HashOf(Shard), StringComparison.Ordinal))];
        Assert.That(requests.Select(request => request.Offset), Is.Ordered.And.All.LessThan(Hub.ContentOf(Shard).Length));
        Assert.That(requests[0].Offset, Is.Zero);
        Assert.That(requests[^1].Offset, Is.GreaterThan(0));
    }

    [Test]
    public async Task A_connection_that_gives_nothing_more_is_given_up()
    {
        Hub.InterceptStorage = request => FakeHub.Content(request, Hub.ContentOf(Shard)) with { StopsAfter = 0, FallsSilent = true };
        ModelHubException error = await CheckRefusedAsync(ModelHubError.Unreachable, Options with { MaxRetries = 1, Timeout = TimeSpan.FromSeconds(0.3) });
        Assert.That(error.Message, Does.Contain("Nothing was received for 0.3 seconds"));
    }

    [Test]
    public async Task A_download_that_was_stopped_goes_on_where_it_ended()
    {
        using CancellationTokenSource stop = new();
        Hub.InterceptStorage = request => FakeHub.Content(request, Hub.ContentOf(Shard)) with { StopsAfter = 300_000, FallsSilent = true };
        Task<string> stopped = DownloadAsync(Options with { MaxConnections = 1 }, cancellationToken: stop.Token);
        while (!File.Exists(Part) || new FileInfo(Part).Length < 300_000) await Task.Delay(10);
        await stop.CancelAsync();
        await Assert.ThatAsync(() => stopped, Throws.InstanceOf<OperationCanceledException>());
        Assert.That(File.Exists(Path.Combine(Folder, "refs", "main")), Is.False, "the model is not whole");

        Hub.InterceptStorage = null;
        await DownloadAsync();
        CheckFile(Shard);
        Assert.That(Hub.Storage.Requests.Where(request => request.Path.EndsWith(Hub.HashOf(Shard), StringComparison.Ordinal)).Select(request => request.Offset), Is.EqualTo(new[] { 0, 300_000 }));
    }

    [Test]
    public async Task A_server_that_knows_no_ranges_sends_the_whole_file()
    {
        WritePart(Hub.ContentOf(Shard)[..1000]);
        Hub.InterceptStorage = request => request["Range"] is null ? null : new HttpReply(200, Hub.ContentOf(Shard));
        await DownloadAsync();
        CheckFile(Shard);
    }

    [TestCase(416)]
    [TestCase(206)]
    public async Task A_range_that_is_refused_or_another_one_begins_the_file_again(int status)
    {
        WritePart(Hub.ContentOf(Shard)[..1000]);
        Hub.InterceptStorage = request => request["Range"] is null ? null : new HttpReply(status, Hub.ContentOf(Shard)[..10]) { Headers = { ["Content-Range"] = "bytes 0-9/1048576" } };
        await DownloadAsync();
        CheckFile(Shard);
    }

    [TestCase(1000)]
    [TestCase(1 << 20)]
    [TestCase(2 << 20)]
    public async Task A_damaged_part_is_downloaded_again(int length)
    {
        WritePart(FakeHub.Bytes(length, seed: 77));
        await DownloadAsync();
        CheckFile(Shard);
        Assert.That(File.Exists(Part), Is.False);
    }

    [Test]
    public async Task A_part_that_is_whole_needs_no_request()
    {
        WritePart(Hub.ContentOf(Shard));
        await DownloadAsync();
        CheckFile(Shard);
        Assert.That(Hub.Storage.Requests, Has.Count.EqualTo(1), "the other shard");
    }

    [Test]
    public async Task A_content_with_another_hash_is_refused([Values("config.json", Shard)] string file)
    {
        byte[] wrong = [.. Hub.ContentOf(file)];
        wrong[^1] ^= 1;
        Hub.Intercept = request => request.Path.EndsWith(file, StringComparison.Ordinal) ? FakeHub.Content(request, wrong) : null;
        ModelHubException error = await CheckRefusedAsync(ModelHubError.Damaged);
        Assert.That((error.Expected, error.Found), Is.EqualTo((Hub.HashOf(file), file == Shard ? FakeHub.Sha256(wrong) : FakeHub.GitHash(wrong))));
        Assert.That(Directory.GetFiles(Path.Combine(Folder, "blobs"), $"{Hub.HashOf(file)}*"), Is.Empty);
        Assert.That(File.Exists(Path.Combine(Snapshot, file)), Is.False);
    }

    [Test]
    public async Task A_content_that_is_too_long_is_refused()
    {
        Hub.InterceptStorage = request => FakeHub.Content(request, [.. Hub.ContentOf(Shard), 1]);
        ModelHubException error = await CheckRefusedAsync(ModelHubError.Damaged);
        Assert.That(error.Expected, Is.EqualTo(Hub.ContentOf(Shard).Length.ToString(CultureInfo.InvariantCulture)));
    }

    [TestCase("""{"sha":"main","siblings":[]}""")]
    [TestCase("""{"sha":"../../../../tmp/x","siblings":[]}""")]
    [TestCase("""{"siblings":[]}""")]
    [TestCase("""[]""")]
    [TestCase("""<html>a page of a hotel's network</html>""")]
    public async Task A_list_that_is_none_is_refused(string list)
    {
        Hub.Intercept = _ => new HttpReply(200, list);
        await CheckRefusedAsync(ModelHubError.InvalidAnswer);
        Assert.That(Directory.GetFileSystemEntries(Cache.Path), Is.Empty);
    }

    [TestCase("../x.gguf")]
    [TestCase("a/../../x.gguf")]
    [TestCase("/etc/x.gguf")]
    [TestCase("C:x.gguf")]
    [TestCase(@"a\..\x.gguf")]
    [TestCase("a//x.gguf")]
    [TestCase("a. /x.gguf")]
    [TestCase("x\u0007.gguf")]
    public async Task A_name_that_leads_elsewhere_is_refused_only_where_it_is_needed(string unsafeName)
    {
        Hub.AddLarge(unsafeName, FakeHub.Bytes(100));
        await DownloadAsync();
        CheckFile(Shard);

        using FakeHub other = new();
        other.AddLarge(unsafeName, FakeHub.Bytes(100));
        using TemporaryFolder empty = new();
        ModelHubOptions options = Options with { Endpoint = new Uri(other.Site.Address), CacheFolder = empty.Path };
        ModelHubException error = await CheckRefusedAsync(ModelHubError.InvalidAnswer, options);
        Assert.That(error.Message, Does.Contain("below the model's folder"));
        Assert.That(Directory.GetFileSystemEntries(empty.Path), Is.Empty);
    }

    [Test]
    public async Task Shards_elsewhere_are_refused()
    {
        Hub.Add("model.safetensors.index.json", """{"weight_map":{"a":"../../x.safetensors"}}""");
        ModelHubException error = (await Assert.ThrowsAsync<ModelHubException>(() => DownloadAsync()))!;
        Assert.That(error.Error, Is.EqualTo(ModelHubError.InvalidAnswer));
        Hub.Add("model.safetensors.index.json", """{"weight_map":{"a":"absent.safetensors"}}""");
        Assert.That((await CheckRefusedAsync(ModelHubError.NoSuitableFile)).Message, Does.Contain("absent.safetensors"));
    }

    [Test]
    public async Task Redirections_end()
    {
        Hub.Intercept = request => new HttpReply(302) { Headers = { ["Location"] = request.Path } };
        Assert.That((await CheckRefusedAsync(ModelHubError.InvalidAnswer)).Message, Does.Contain("redirections"));
        Hub.Intercept = _ => new HttpReply(302) { Headers = { ["Location"] = "file:///etc/passwd" } };
        await CheckRefusedAsync(ModelHubError.InvalidAnswer);
    }

    [Test]
    public async Task Two_downloads_at_once_load_each_file_once()
    {
        await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Task.Run(() => DownloadAsync())));
        CheckFile(Shard);
        Assert.That(Hub.Storage.Requests, Has.Count.EqualTo(2));
        Assert.That(Hub.Site.Requests.Where(request => request.Path.EndsWith("config.json", StringComparison.Ordinal)).ToArray(), Has.Length.EqualTo(1));
    }

    [Test]
    public async Task Two_processes_that_know_no_locks_do_no_harm()
    {
        byte[] content = Hub.ContentOf(Shard);
        HubFile file = new(Shard, content.Length, BlobHash.TryParse(Hub.HashOf(Shard))!.Value);
        string path = Cache.Write("x.incomplete", content.AsSpan(0, 1000));
        using PartialFile first = PartialFile.Open(path, file, default);
        first.Append(content.AsSpan(1000, 5000));
        File.Copy(path, path + "2");
        using PartialFile second = PartialFile.Open(path + "2", file, default);
        second.Append(content.AsSpan(6000));
        first.Append(content.AsSpan(6000));
        Assert.That((first.ReadHash(), second.ReadHash()), Is.EqualTo((file.Hash, file.Hash)));
        await Assert.ThatAsync(() => File.ReadAllBytesAsync(path), Is.EqualTo(content));
    }

    [Test]
    public void Git_hashes_are_git_s()
    {
        using var hash = new BlobHash(new string('0', 40)).Begin(6);
        hash.AppendData("hello\n"u8);
        Assert.That(Convert.ToHexStringLower(hash.GetCurrentHash()), Is.EqualTo("ce013625030ba8dba906f756967f9e9ca394464a"), "git hash-object");
    }

    [Test]
    public async Task A_full_disk_is_an_error_of_its_own()
    {
        if (!OperatingSystem.IsLinux()) Assert.Ignore("Only Linux has a file that is always full.");
        Directory.CreateDirectory(Path.Combine(Folder, "blobs"));
        File.CreateSymbolicLink(Part, "/dev/full");
        ModelHubException error = await CheckRefusedAsync(ModelHubError.DiskFull);
        Assert.That(error.Message, Does.Contain("make room").And.Contain("HF_HUB_CACHE"));
    }

    [Test]
    public void Room_is_measured_before_there_is_a_cache()
    {
        ModelHubOptions options = new() { CacheFolder = Path.Combine(Cache.Path, "not", "yet", "there") };
        HubCache cache = new(HubName.TryParse(FakeHub.Model)!.Value, HubSettings.From(options, _ => null));
        Assert.That(cache.MeasureFree(), Is.GreaterThan(0));
        Assert.That(Directory.Exists(options.CacheFolder), Is.False);
    }

    [Test]
    public async Task A_cache_that_cannot_be_written_is_an_error_of_its_own()
    {
        string file = Cache.Write("file", "x");
        await CheckRefusedAsync(ModelHubError.CacheUnusable, Options with { CacheFolder = Path.Combine(file, "cache") });
    }

    private void WritePart(byte[] content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Part)!);
        File.WriteAllBytes(Part, content);
    }

    private static HttpReply Refusal(int status, string? code, string words)
    {
        HttpReply reply = new(status);
        if (code is not null) reply.Headers["X-Error-Code"] = code;
        if (words.Length > 0) reply.Headers["X-Error-Message"] = words;
        return reply;
    }
}
