using System.IO.Compression;
using System.Text;

namespace Decart.Inference.Tests.Hub;

/// <summary>What servers and proxies between here and the Hub do that is allowed, or that they do all the same.</summary>
internal sealed class ServerHabitTests : HubFixture
{
    private const string Shard = "model-00001-of-00002.safetensors";

    [Test]
    public async Task A_redirection_may_be_relative([Values(301, 302, 303, 307, 308)] int status)
    {
        Hub.Intercept = request => request.Path.StartsWith("/acme/tiny/resolve/", StringComparison.Ordinal) && request.Path.EndsWith("config.json", StringComparison.Ordinal)
            ? new HttpReply(status) { Headers = { ["Location"] = "../../../moved/config.json", ["X-Repo-Commit"] = Hub.Commit } }
            : request.Path == "/acme/moved/config.json" ? FakeHub.Content(request, Hub.ContentOf("config.json")) : null;
        await DownloadAsync();
        CheckFile("config.json");
        Assert.That(Hub.Site.Requests.Single(request => request.Path == "/acme/moved/config.json")["Authorization"], Is.EqualTo($"Bearer {FakeHub.Token}"), "the same host");
    }

    [Test]
    public async Task A_host_that_leads_back_to_the_Hub_is_shown_no_token_but_the_Hub_is()
    {
        Hub.InterceptStorage = _ => new HttpReply(302) { Headers = { ["Location"] = $"{Hub.Site.Address}/back" } };
        Hub.Intercept = request => request.Path == "/back" ? FakeHub.Content(request, Hub.ContentOf(Shard)) : null;
        Hub.AddLarge("model-00002-of-00002.safetensors", Hub.ContentOf(Shard));
        await DownloadAsync();
        CheckFile(Shard);
        Assert.That(Hub.Storage.Requests.Select(request => request["Authorization"]), Is.Not.Empty.And.All.Null);
        Assert.That(Hub.Site.Requests.Where(request => request.Path == "/back").Select(request => request["Authorization"]), Is.All.EqualTo($"Bearer {FakeHub.Token}"));
    }

    [TestCase("gzip")]
    [TestCase("br")]
    [TestCase("deflate")]
    public async Task A_list_may_be_compressed_although_that_was_not_asked_for(string encoding)
    {
        Hub.Intercept = request => request.Path.StartsWith("/api/", StringComparison.Ordinal)
            ? new HttpReply(200, Compress(encoding, Encoding.UTF8.GetBytes(Hub.List()))) { Headers = { ["Content-Encoding"] = encoding } }
            : null;
        await DownloadAsync();
        CheckFile(Shard);
    }

    [Test]
    public async Task A_content_that_cannot_be_decompressed_is_an_error_of_the_download()
    {
        foreach (string encoding in (string[])["gzip", "zstd"])
        {
            Hub.Intercept = _ => new HttpReply(200, "{ no compression }") { Headers = { ["Content-Encoding"] = encoding } };
            ModelHubException error = await CheckRefusedAsync(ModelHubError.Unreachable, Options with { MaxRetries = 1 });
            Assert.That(Hub.Site.Requests, Has.Count.EqualTo(2), error.Message);
            Hub.Site.Requests.Clear();
        }
    }

    [TestCase("gzip")]
    [TestCase("br")]
    public async Task A_file_may_be_compressed_although_that_was_not_asked_for(string encoding)
    {
        Hub.Intercept = request => request.Path.EndsWith("/config.json", StringComparison.Ordinal)
            ? new HttpReply(200, Compress(encoding, Hub.ContentOf("config.json"))) { Headers = { ["Content-Encoding"] = encoding } }
            : null;
        await DownloadAsync();
        CheckFile("config.json");
    }

    [Test]
    public async Task A_content_may_come_without_its_length()
    {
        Hub.InterceptStorage = request => FakeHub.Content(request, Hub.ContentOf(request.Path.EndsWith(Hub.HashOf(Shard), StringComparison.Ordinal) ? Shard : "model-00002-of-00002.safetensors")) with { HidesLength = true };
        await DownloadAsync();
        CheckFile(Shard);
    }

    [Test]
    public async Task A_connection_that_stalls_again_and_again_comes_to_an_end_as_long_as_something_comes()
    {
        int stalls = 0;
        Hub.AddLarge("model-00002-of-00002.safetensors", Hub.ContentOf(Shard));
        Hub.InterceptStorage = request =>
        {
            HttpReply whole = FakeHub.Content(request, Hub.ContentOf(Shard));
            if (whole.Body.Length <= 300_000) return whole;
            Interlocked.Increment(ref stalls);
            return whole with { StopsAfter = 300_000, FallsSilent = true };
        };
        await DownloadAsync(Options with { MaxConnections = 1, Timeout = TimeSpan.FromSeconds(0.3) });
        CheckFile(Shard);
        Assert.That(stalls, Is.EqualTo(3), "each went on where the one before had ended");
    }

    [Test]
    public async Task The_answer_to_what_is_whole_already_may_be_416()
    {
        byte[] content = Hub.ContentOf(Shard);
        Hub.AddLarge("model-00002-of-00002.safetensors", content);
        int requests = 0;
        Hub.InterceptStorage = request => Interlocked.Increment(ref requests) switch
        {
            1 => FakeHub.Content(request, content) with { StopsAfter = content.Length - 1 },
            2 => new HttpReply(416) { Headers = { ["Content-Range"] = $"bytes */{content.Length}" } },
            _ => FakeHub.Content(request, content),
        };
        await DownloadAsync(Options with { MaxConnections = 1 });
        CheckFile(Shard);
    }

    [Test]
    public async Task A_gateway_may_fail_between_the_parts_of_a_file()
    {
        byte[] content = Hub.ContentOf(Shard);
        Hub.AddLarge("model-00002-of-00002.safetensors", content);
        int requests = 0;
        Hub.InterceptStorage = request => Interlocked.Increment(ref requests) switch
        {
            1 => FakeHub.Content(request, content) with { StopsAfter = 500_000 },
            2 => new HttpReply(502, "<html>Bad Gateway</html>") { Headers = { ["Content-Type"] = "text/html" } },
            _ => FakeHub.Content(request, content),
        };
        await DownloadAsync(Options with { MaxConnections = 1 });
        CheckFile(Shard);
        Assert.That(Hub.Storage.Requests.Select(request => request.Offset), Is.EqualTo(new[] { 0, 500_000, 500_000 }));
    }

    [Test]
    public async Task A_file_that_changes_between_its_parts_is_told_by_its_hash()
    {
        byte[] content = Hub.ContentOf(Shard), other = FakeHub.Bytes(content.Length, seed: 99);
        int requests = 0;
        Hub.AddLarge("model-00002-of-00002.safetensors", content);
        Hub.InterceptStorage = request => Interlocked.Increment(ref requests) == 1
            ? FakeHub.Content(request, other) with { StopsAfter = 500_000 }
            : FakeHub.Content(request, content);
        await DownloadAsync(Options with { MaxConnections = 1 });
        CheckFile(Shard);
    }

    [TestCase(100)]
    [TestCase(2 << 20)]
    public async Task A_length_that_is_announced_wrongly_does_no_harm(long announced)
    {
        byte[] content = Hub.ContentOf(Shard);
        Hub.AddLarge("model-00002-of-00002.safetensors", content);
        Hub.InterceptStorage = request => FakeHub.Content(request, content) with { AnnouncedLength = announced };
        if (announced < content.Length) await CheckRefusedAsync(ModelHubError.Unreachable, Options with { MaxRetries = 1, Timeout = TimeSpan.FromSeconds(1), MaxConnections = 1 });
        else await CheckRefusedAsync(ModelHubError.Damaged);
        Assert.That(File.Exists(Path.Combine(Snapshot, Shard)), Is.False);
        Hub.InterceptStorage = null;
        await DownloadAsync();
        CheckFile(Shard);
    }

    [TestCase("W/\"{0}\"")]
    [TestCase("\"{0}\"")]
    [TestCase("{0}")]
    public async Task A_mirror_s_tag_may_be_weak_or_bare(string form)
    {
        using FakeHub mirror = new FakeHub { DescribesFiles = false }.WithShards();
        mirror.Intercept = request => request.Path.EndsWith("/config.json", StringComparison.Ordinal)
            ? FakeHub.Content(request, mirror.ContentOf("config.json")) with { Headers = new() { ["ETag"] = form.Replace("{0}", mirror.HashOf("config.json"), StringComparison.Ordinal) } }
            : null;
        await ModelHub.DownloadAsync(FakeHub.Model, Options with { Endpoint = new Uri(mirror.Site.Address) });
        CheckFile("config.json");
    }

    [Test]
    public async Task A_mirror_may_know_no_HEAD([Values(405, 501)] int status)
    {
        using FakeHub mirror = new FakeHub { DescribesFiles = false }.WithShards();
        mirror.Intercept = request => request.Method == "HEAD" ? new HttpReply(status) : null;
        await ModelHub.DownloadAsync(FakeHub.Model, Options with { Endpoint = new Uri(mirror.Site.Address) });
        CheckFile("config.json");
        CheckFile(Shard);
    }

    [TestCase("UD 1/tiny model-Q4_0.gguf")]
    [TestCase("grüße-日本-Q4_0.gguf")]
    [TestCase("50%25 + #1 & more-Q4_0.gguf")]
    [TestCase("a[b]{c}'d'~-Q4_0.gguf")]
    public async Task A_file_s_name_may_have_any_harmless_character(string file)
    {
        using FakeHub hub = new();
        byte[] content = FakeHub.Bytes(1000);
        hub.AddLarge(file, content);
        string path = await ModelHub.DownloadAsync($"{FakeHub.Model}:Q4_0", Options with { Endpoint = new Uri(hub.Site.Address) });
        Assert.That(path, Is.EqualTo(Path.Combine([Snapshot, .. file.Split('/')])));
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(content));
    }

    private static byte[] Compress(string encoding, byte[] content)
    {
        using MemoryStream compressed = new();
        using (Stream stream = encoding switch
        {
            "gzip" => new GZipStream(compressed, CompressionMode.Compress),
            "br" => new BrotliStream(compressed, CompressionMode.Compress),
            _ => new ZLibStream(compressed, CompressionMode.Compress),
        })
        {
            stream.Write(content);
        }
        return compressed.ToArray();
    }
}
