using System.Text.Json.Nodes;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Session;

/// <summary>A load that fails, wherever it does, leaves nothing: no thread, no open or mapped file, no reserved addresses, no memory file.</summary>
[Platform(Include = "Linux")]
[NonParallelizable]
[CancelAfter(120_000)]
internal sealed class FailedLoadTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public async Task Wherever_the_caller_stops_it([Range(1, 12)] int report)
    {
        new TinyCheckpoint("llama").Write(_folder);
        int reports = 0;
        await CheckNothingIsLeftAsync(() =>
        {
            reports = 0;
            return LlmSession.LoadAsync(_folder.Path, Options(), new Reports(() => { if (++reports == report) throw new InvalidDataException("enough"); }));
        });
        using CancellationTokenSource cancellation = new();
        Task<LlmSession> cancelled = LlmSession.LoadAsync(_folder.Path, Options(), new Reports(cancellation.Cancel), cancellation.Token);
        Assert.That(async () => await cancelled, Throws.InstanceOf<OperationCanceledException>());
    }

    [TestCase("model.safetensors", "x")]
    [TestCase("tokenizer.json", "{")]
    [TestCase("generation_config.json", "[]")]
    [TestCase("config.json", """{"model_type":"unknown"}""")]
    public Task Whatever_is_wrong_with_a_file(string name, string content)
    {
        new TinyCheckpoint("llama").Write(_folder);
        _folder.Write(name, content);
        return CheckNothingIsLeftAsync(() => LlmSession.LoadAsync(_folder.Path, Options()));
    }

    [Test]
    public Task A_weight_that_is_missing_in_the_last_layer()
    {
        new TinyCheckpoint("llama") { Damage = header => Rename(header, "model.layers.2.mlp.down_proj.weight") }.Write(_folder);
        return CheckNothingIsLeftAsync(() => LlmSession.LoadAsync(_folder.Path, Options()));
    }

    [Test]
    public Task Too_little_memory_for_keys_and_values()
    {
        new TinyCheckpoint("llama").Write(_folder);
        return CheckNothingIsLeftAsync(() => LlmSession.LoadAsync(_folder.Path, Options() with { KvCacheBytes = 1 }));
    }

    private static LlmSessionOptions Options() => new() { Device = Device.Cpu, Threads = 3 };

    private static void Rename(JsonObject header, string name)
    {
        JsonNode tensor = header[name]!.DeepClone();
        header.Remove(name);
        header["other"] = tensor;
    }

    private async Task CheckNothingIsLeftAsync(Func<Task<LlmSession>> load)
    {
        string[] before = Held();
        for (int i = 0; i < 3; i++)
        {
            try
            {
                await (await load()).DisposeAsync();
            }
            catch (Exception error) when (error is ModelLoadException or InvalidDataException or ArgumentException or InsufficientMemoryException)
            {
            }
        }
        for (int wait = 0; wait < 100 && Held().Length > before.Length; wait++) await Task.Delay(50);
        Assert.That(Held(), Has.Length.LessThanOrEqualTo(before.Length));
    }

    /// <summary>The library's threads, and what is open or mapped of the checkpoint and of memory for keys and values.</summary>
    private string[] Held()
    {
        IEnumerable<string> threads = Directory.GetDirectories("/proc/self/task").Select(task => ReadOrEmpty(Path.Combine(task, "comm")));
        IEnumerable<string> open = Directory.GetFiles("/proc/self/fd").Select(file => LinkOrEmpty(file));
        IEnumerable<string> mapped = File.ReadAllLines("/proc/self/maps");
        return [.. threads.Where(name => name.StartsWith("Decart", StringComparison.Ordinal)), .. open.Concat(mapped).Where(line => line.Contains(_folder.Path) || line.Contains("decart-pages"))];
    }

    private static string ReadOrEmpty(string file)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (IOException)
        {
            return "";
        }
    }

    private static string LinkOrEmpty(string file)
    {
        try
        {
            return new FileInfo(file).LinkTarget ?? "";
        }
        catch (IOException)
        {
            return "";
        }
    }

    private sealed class Reports(Action reported) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => reported();
    }
}
