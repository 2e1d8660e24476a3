using System.Collections.Concurrent;
using Decart.Inference.Hub;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Models;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Tests.Hub;

/// <summary>What is downloaded, and how it lies in the cache.</summary>
internal sealed class ModelHubTests : HubFixture
{
    private const string Shard = "model-00001-of-00002.safetensors";

    private static readonly string[] Needed =
        ["additional_chat_templates/tools.jinja", "config.json", Shard, "model-00002-of-00002.safetensors", "model.safetensors.index.json", "tokenizer.json"];

    private IEnumerable<string> FilesAsked => Hub.Site.Requests.Select(request => request.Path).Where(path => path.Contains("/resolve/", StringComparison.Ordinal));

    [Test]
    public async Task A_model_lies_in_the_cache_as_the_Hub_s_libraries_lay_it()
    {
        Assert.That(await DownloadAsync(), Is.EqualTo(Snapshot));
        Assert.Multiple(() =>
        {
            Assert.That(Directory.EnumerateFiles(Snapshot, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(Snapshot, file).Replace('\\', '/')), Is.EquivalentTo(Needed));
            foreach (string file in Needed) CheckFile(file);
            Assert.That(Directory.GetFiles(Path.Combine(Folder, "blobs")).Select(Path.GetFileName), Is.EquivalentTo(Needed.Select(Hub.HashOf)));
            Assert.That(File.ReadAllText(Path.Combine(Folder, "refs", "main")), Is.EqualTo(Hub.Commit));
        });
        if (OperatingSystem.IsWindows()) return; // links need a privilege there
        Assert.That(new FileInfo(Path.Combine(Snapshot, Shard)).LinkTarget, Is.EqualTo($"../../blobs/{Hub.HashOf(Shard)}"));
        Assert.That(new FileInfo(Path.Combine(Snapshot, Needed[0])).LinkTarget, Is.EqualTo($"../../../blobs/{Hub.HashOf(Needed[0])}"));
    }

    [Test]
    public async Task What_is_there_is_not_asked_for_again()
    {
        await DownloadAsync();
        int requests = Hub.Site.Requests.Count;
        await DownloadAsync();
        Assert.That(Hub.Site.Requests, Has.Count.EqualTo(requests + 1), "the commit of the branch");
        Assert.That(await DownloadAsync(Options with { Revision = Hub.Commit }), Is.EqualTo(Snapshot));
        Assert.That(await DownloadAsync(Options with { Offline = true }), Is.EqualTo(Snapshot));
        Assert.That(Hub.Site.Requests, Has.Count.EqualTo(requests + 1));
    }

    [Test]
    public async Task Without_links_a_content_is_there_once()
    {
        await DownloadAsync(WithoutLinks);
        foreach (string file in Needed) CheckFile(file);
        Assert.That(Directory.EnumerateFiles(Snapshot, "*", SearchOption.AllDirectories).Where(file => new FileInfo(file).LinkTarget is not null), Is.Empty);
        Assert.That(Directory.GetFiles(Path.Combine(Folder, "blobs")), Is.Empty, "moved, as Python's libraries do");
        int asked = FilesAsked.Count();
        await DownloadAsync();
        Assert.That(FilesAsked.Count(), Is.EqualTo(asked));
    }

    [Test]
    public async Task Without_links_a_content_that_other_commits_have_links_to_is_copied()
    {
        string first = await DownloadAsync();
        using FakeHub later = new FakeHub { Commit = new('b', 40) }.WithShards();
        ModelHubOptions options = Options with { Endpoint = new Uri(later.Site.Address) };
        string second = await new SnapshotDownload(HubName.TryParse(FakeHub.Model)!.Value, HubSettings.From(options, WithoutLinks), null).RunAsync(CancellationToken.None);
        Assert.That(second, Is.Not.EqualTo(first));
        foreach (string file in Needed)
        {
            Assert.That(File.ReadAllBytes(Path.Combine(second, file)), Is.EqualTo(File.ReadAllBytes(Path.Combine(first, file))));
            Assert.That(new FileInfo(Path.Combine(second, file)).LinkTarget, Is.Null);
        }
        Assert.That(later.Storage.Requests, Is.Empty, "the contents were there");
    }

    [Test]
    public async Task A_file_of_the_wrong_size_in_the_cache_is_downloaded_again()
    {
        await DownloadAsync();
        File.WriteAllText(Path.Combine(Folder, "blobs", Hub.HashOf(Shard)), "short");
        await DownloadAsync();
        CheckFile(Shard);
    }

    [Test]
    public async Task The_token_is_shown_to_the_Hub_only()
    {
        await DownloadAsync();
        Assert.That(Hub.Site.Requests.Select(request => request["Authorization"]), Is.All.EqualTo($"Bearer {FakeHub.Token}"));
        Assert.That(Hub.Storage.Requests, Is.Not.Empty);
        Assert.That(Hub.Storage.Requests.Select(request => request["Authorization"]), Is.All.Null);
        Assert.That(Options.ToString(), Does.Not.Contain(FakeHub.Token));
    }

    [Test]
    public async Task A_model_that_was_renamed_is_found_under_its_new_name()
    {
        Hub.Intercept = request => request.Path.StartsWith("/api/models/acme/old/", StringComparison.Ordinal)
            ? new HttpReply(307) { Headers = { ["Location"] = request.Path.Replace("/old/", "/tiny/", StringComparison.Ordinal) } }
            : request.Path.StartsWith("/acme/old/", StringComparison.Ordinal) ? new HttpReply(307) { Headers = { ["Location"] = request.Path.Replace("/old/", "/tiny/", StringComparison.Ordinal) } } : null;
        string path = await ModelHub.DownloadAsync("acme/old", Options);
        Assert.That(File.ReadAllBytes(Path.Combine(path, Shard)), Is.EqualTo(Hub.ContentOf(Shard)));
        Assert.That(Hub.Site.Requests.Select(request => request["Authorization"]), Is.All.EqualTo($"Bearer {FakeHub.Token}"), "a redirection within the Hub");
    }

    [Test]
    public async Task Other_revisions_have_references_of_their_own()
    {
        await DownloadAsync(Options with { Revision = "refs/pr/1" });
        Assert.That(File.ReadAllText(Path.Combine(Folder, "refs", "refs", "pr", "1")), Is.EqualTo(Hub.Commit));
        Assert.That(() => DownloadAsync(Options with { Revision = "a/../../b" }), Throws.InstanceOf<ArgumentException>());
    }

    [Test]
    public async Task Progress_counts_up_to_all_bytes()
    {
        ConcurrentQueue<DownloadProgress> reports = [];
        await DownloadAsync(progress: new Recorder<DownloadProgress>(reports));
        long total = Needed.Sum(file => (long)Hub.ContentOf(file).Length);
        Assert.Multiple(() =>
        {
            Assert.That(reports.Select(report => report.BytesTotal), Is.All.EqualTo(total));
            Assert.That(reports.Select(report => report.BytesLoaded), Is.Ordered);
            Assert.That(reports.Last().BytesLoaded, Is.EqualTo(total));
            Assert.That(reports.Last().Fraction, Is.EqualTo(1));
            Assert.That(reports.Where(report => report.File == Shard).Last().FileBytesLoaded, Is.EqualTo(Hub.ContentOf(Shard).Length));
        });
    }

    [Test]
    public async Task Offline_nothing_is_asked_for()
    {
        ModelHubException error = await CheckRefusedAsync(ModelHubError.NotCached, Options with { Offline = true });
        Assert.That(error.Message, Does.Contain("HF_HUB_OFFLINE"));
        await Assert.ThrowsAsync<ModelHubException>(() => new SnapshotDownload(
            HubName.TryParse(FakeHub.Model)!.Value, HubSettings.From(Options with { Offline = null }, name => name == "HF_HUB_OFFLINE" ? "1" : null), null).RunAsync(default));
        Assert.That(Hub.Site.Requests, Is.Empty);
    }

    [Test]
    public async Task A_cache_that_Python_filled_is_used_when_it_is_whole()
    {
        Directory.CreateDirectory(Path.Combine(Folder, "blobs"));
        Directory.CreateDirectory(Path.Combine(Folder, "refs"));
        Directory.CreateDirectory(Snapshot);
        File.WriteAllText(Path.Combine(Folder, "refs", "main"), Hub.Commit);
        foreach (string file in Needed[1..])
        {
            await CheckRefusedAsync(ModelHubError.NotCached, Options with { Offline = true });
            File.WriteAllBytes(Path.Combine(Folder, "blobs", Hub.HashOf(file)), Hub.ContentOf(file));
            File.CreateSymbolicLink(Path.Combine(Snapshot, file), $"../../blobs/{Hub.HashOf(file)}");
            if (file == "model.safetensors.index.json") break;
        }
        Assert.That(await DownloadAsync(Options with { Offline = true }), Is.EqualTo(Snapshot));
        await DownloadAsync();
        CheckFile("tokenizer.json");
        Assert.That(Hub.Storage.Requests, Is.Empty, "the weights were there");
    }

    [Test]
    public async Task A_commit_that_Python_was_stopped_at_is_completed()
    {
        ModelHubOptions pinned = Options with { Revision = Hub.Commit };
        FillAsPython("config.json", "tokenizer_config.json", "model.safetensors.index.json", Shard, "model-00002-of-00002.safetensors");
        ModelHubException error = await CheckRefusedAsync(ModelHubError.NotCached, pinned with { Offline = true });
        Assert.That(error.Message, Does.Contain("without a tokenizer (tokenizer.json or tokenizer.model"));
        Assert.That(await DownloadAsync(pinned), Is.EqualTo(Snapshot));
        CheckFile("tokenizer.json");
        CheckFile(Needed[0]);
        Assert.That(Hub.Storage.Requests, Is.Empty, "the weights were there");
        int requests = Hub.Site.Requests.Count;
        Assert.That(await DownloadAsync(pinned), Is.EqualTo(Snapshot));
        Assert.That(Hub.Site.Requests, Has.Count.EqualTo(requests), "now it is known what the commit has");
        Assert.That(File.Exists(Path.Combine(Folder, ".no_exist", Hub.Commit, "generation_config.json")), "as Python's libraries note it");
    }

    [Test]
    public async Task Offline_it_is_said_what_is_missing()
    {
        FillAsPython("config.json", "model.safetensors.index.json", Shard);
        ModelHubException error = await CheckRefusedAsync(ModelHubError.NotCached, Options with { Revision = Hub.Commit, Offline = true });
        Assert.That(error.Message, Does.Contain("without model-00002-of-00002.safetensors"));
        error = await CheckRefusedAsync(ModelHubError.NotCached, Options with { Revision = new('c', 40), Offline = true });
        Assert.That(error.Message, Does.Contain("found no config.json"));
    }

    [Test]
    public async Task A_repository_that_is_known_to_have_no_tokenizer_is_whole_without()
    {
        FillAsPython("config.json", "tokenizer_config.json", "model.safetensors.index.json", Shard, "model-00002-of-00002.safetensors");
        Directory.CreateDirectory(Path.Combine(Folder, ".no_exist", Hub.Commit));
        foreach (string file in Tokenizer.FileNames) File.WriteAllText(Path.Combine(Folder, ".no_exist", Hub.Commit, file), "");
        Assert.That(await DownloadAsync(Options with { Revision = Hub.Commit, Offline = true }), Is.EqualTo(Snapshot));
    }

    [Test]
    public async Task If_the_Hub_cannot_be_asked_a_commit_that_Python_filled_is_used()
    {
        FillAsPython("config.json", "model.safetensors.index.json", Shard, "model-00002-of-00002.safetensors");
        ModelHubOptions pinned = Options with { Revision = Hub.Commit };
        Hub.Site.Dispose();
        Assert.That(await DownloadAsync(pinned), Is.EqualTo(Snapshot));
        Assert.That(Log.Messages(LogLevel.Warning), Has.One.Contains("what is in the cache is used"));
    }

    [TestCase(500)]
    [TestCase(429)]
    [TestCase(0)]
    public async Task If_the_Hub_cannot_be_asked_the_cache_is_used(int status)
    {
        await DownloadAsync();
        ModelHubOptions options = Options;
        if (status == 0) Hub.Site.Dispose();
        else Hub.Intercept = _ => new HttpReply(status);
        Assert.That(await DownloadAsync(options), Is.EqualTo(Snapshot));
        Assert.That(Log.Messages(LogLevel.Warning), Has.One.Contains("what is in the cache is used"));
    }

    [Test]
    public async Task A_mirror_that_lists_names_only_is_asked_for_the_rest()
    {
        using FakeHub mirror = new FakeHub { DescribesFiles = false }.WithShards();
        await ModelHub.DownloadAsync(FakeHub.Model, Options with { Endpoint = new Uri(mirror.Site.Address) });
        foreach (string file in Needed) CheckFile(file);
        Assert.That(mirror.Site.Requests.Count(request => request.Method == "HEAD"), Is.EqualTo(Needed.Length));
        Assert.That(mirror.Storage.Requests.Select(request => request["Authorization"]), Is.All.Null);
    }

    [TestCase("Q4_K_M", "tiny-Q4_K_M.gguf", 1)]
    [TestCase("q8_0", "Q8_0/tiny-Q8_0-00001-of-00002.gguf", 2)]
    [TestCase("tiny-Q4_K_M.gguf", "tiny-Q4_K_M.gguf", 1)]
    public async Task Of_a_GGUF_repository_one_model_is_downloaded(string file, string expected, int files)
    {
        AddGguf();
        string path = await ModelHub.DownloadAsync($"{FakeHub.Model}:{file}", Options);
        Assert.That(path, Is.EqualTo(Path.Combine([Snapshot, .. expected.Split('/')])));
        Assert.That(await DownloadAsync(Options with { File = file }), Is.EqualTo(path));
        Assert.That(Hub.Storage.Requests, Has.Count.EqualTo(files));
        Assert.That(await DownloadAsync(Options with { File = file, Offline = true }), Is.EqualTo(path));
    }

    [Test]
    public void A_file_is_named_once() =>
        Assert.That(() => ModelHub.DownloadAsync($"{FakeHub.Model}:Q4_0", Options with { File = "Q8_0" }), Throws.ArgumentException);

    [TestCase("tiny")]
    [TestCase("a/b/c")]
    [TestCase("../b")]
    [TestCase("a/..")]
    [TestCase("a/b--c")]
    [TestCase("a/b\n")]
    [TestCase("https://huggingface.co/a/b")]
    [TestCase("models/x.gguf")]
    [TestCase("a/b:")]
    public void What_is_no_name_is_refused(string name) =>
        Assert.That(() => ModelHub.DownloadAsync(name, Options), Throws.ArgumentException.With.Message.Contains("org/name"));

    [Test]
    public void Options_out_of_range_are_refused()
    {
        using HttpClient client = new();
        client.DefaultRequestHeaders.Authorization = new("Bearer", "other");
        ModelHubOptions[] wrong =
        [
            Options with { MaxConnections = 0 }, Options with { MaxRetries = -1 }, Options with { Timeout = TimeSpan.Zero }, Options with { Revision = " " }, Options with { File = "" },
            Options with { HttpClient = client }, Options with { Endpoint = new Uri("ftp://example.org") }, Options with { Token = "two words" },
        ];
        foreach (ModelHubOptions options in wrong) Assert.That(() => DownloadAsync(options), Throws.InstanceOf<ArgumentException>(), options.ToString());
    }

    [Test]
    public async Task A_session_is_loaded_by_a_model_s_name()
    {
        using TemporaryFolder checkpoint = new();
        new TinyCheckpoint("llama").Write(checkpoint);
        using FakeHub hub = new();
        foreach (string file in Directory.GetFiles(checkpoint.Path)) hub.AddLarge(Path.GetFileName(file), File.ReadAllBytes(file));
        ModelHubOptions options = Options with { Endpoint = new Uri(hub.Site.Address) };
        ConcurrentQueue<LoadProgress> reports = [];
        await using LlmSession session = await LlmSession.LoadAsync(FakeHub.Model, new() { Device = Device.Cpu, Hub = options }, new Recorder<LoadProgress>(reports));
        Assert.That(session.Model.Source, Is.EqualTo(FakeHub.Model));
        Assert.That(reports.Select(report => report.Step), Has.Some.EqualTo("Downloading").And.Some.EqualTo("Opening the checkpoint"));
    }

    [Test]
    public async Task A_name_that_leads_nowhere_says_that_it_is_no_path_either()
    {
        LlmSessionOptions options = new() { Device = Device.Cpu, Hub = Options };
        ModelHubException error = (await Assert.ThrowsAsync<ModelHubException>(() => LlmSession.LoadAsync("models/tiny", options)))!;
        Assert.That(error.Error, Is.EqualTo(ModelHubError.NotFound));
        Assert.That(error.Message, Does.Contain("nothing at this path").And.Contain("no model \"models/tiny\""));
        await Assert.ThrowsAsync<ModelLoadException>(() => LlmSession.LoadAsync("models/tiny.gguf", options));
        await Assert.ThrowsAsync<ModelLoadException>(() => LlmSession.LoadAsync("tiny", options));
    }

    /// <summary>Lays files into the cache as Python's libraries do when they download one by one.</summary>
    private void FillAsPython(params string[] files)
    {
        Hub.Add("tokenizer_config.json", "{}");
        Directory.CreateDirectory(Path.Combine(Folder, "blobs"));
        Directory.CreateDirectory(Snapshot);
        foreach (string file in files)
        {
            File.WriteAllBytes(Path.Combine(Folder, "blobs", Hub.HashOf(file)), Hub.ContentOf(file));
            File.CreateSymbolicLink(Path.Combine(Snapshot, file), $"../../blobs/{Hub.HashOf(file)}");
        }
    }

    private static string? WithoutLinks(string variable) => variable == "HF_HUB_DISABLE_SYMLINKS" ? "1" : null;

    private void AddGguf()
    {
        string[] files = ["tiny-Q4_K_M.gguf", "tiny-Q2_K.gguf", "Q8_0/tiny-Q8_0-00001-of-00002.gguf", "Q8_0/tiny-Q8_0-00002-of-00002.gguf", "mmproj-tiny-Q8_0.gguf"];
        for (int i = 0; i < files.Length; i++) Hub.AddLarge(files[i], FakeHub.Bytes(1000, 10 + i));
    }

    /// <summary>Keeps what is reported.</summary>
    private sealed class Recorder<T>(ConcurrentQueue<T> reports) : IProgress<T>
    {
        public void Report(T value) => reports.Enqueue(value);
    }
}
