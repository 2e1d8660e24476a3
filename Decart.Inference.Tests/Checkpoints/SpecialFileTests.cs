using System.Diagnostics;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu.Compilation;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Checkpoints;

/// <summary>Whatever bears a file's name without being a file is refused at once, wherever a checkpoint or a tokenizer reads one.</summary>
[Platform(Include = "Linux,MacOsX")]
internal sealed class SpecialFileTests
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);

    private static readonly string[] Names =
    [
        "config.json", "generation_config.json", "model.safetensors", "model.safetensors.index.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
        "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "chat_template.json", "tekken.json",
    ];

    private static readonly string[] Kinds = ["pipe", "link to a pipe", "folder", "device", "endless device", "dangling link", "link to itself", "empty file"];

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    /// <summary>Without the folder, which is taken for a model's folder.</summary>
    private static IEnumerable<string> KindsOfFiles => Kinds.Where(kind => kind != "folder");

    [Test]
    public void Every_file_of_a_folder([ValueSource(nameof(Names))] string name, [ValueSource(nameof(Kinds))] string kind)
    {
        new TinyCheckpoint("llama").Write(_folder);
        if (name is not ("tokenizer.json" or "tokenizer.model" or "tekken.json")) File.WriteAllText(Path.Combine(_folder.Path, "tokenizer.model"), "x");
        if (name == "model.safetensors.index.json") File.Delete(Path.Combine(_folder.Path, "model.safetensors"));
        string path = Make(name, kind);
        Task<LlmSession> loading = LlmSession.LoadAsync(_folder.Path, new() { Device = Device.Cpu });
        Assert.That(() => loading.WaitAsync(LongestWait), Throws.TypeOf<ModelLoadException>().With.Property("File").EqualTo(path));
    }

    [Test]
    public void A_shard([ValueSource(nameof(Kinds))] string kind)
    {
        _folder.Write("config.json", TinyModels.Config("llama").ToJsonString());
        _folder.Write("model.safetensors.index.json", """{"weight_map":{"a":"one.safetensors"}}""");
        string path = Make("one.safetensors", kind);
        CheckRefused(_folder.Path, path);
    }

    [Test]
    public void A_GGUF_file([ValueSource(nameof(KindsOfFiles))] string kind)
    {
        string path = Make("model.gguf", kind);
        CheckRefused(path, path);
    }

    [Test]
    public void A_tokenizer_alone([Values("tokenizer.json", "tokenizer.model")] string name, [ValueSource(nameof(Kinds))] string kind)
    {
        string path = Make(name, kind);
        Task<ITokenizer> loading = Task.Run(() => Tokenizer.Load(_folder.Path));
        Assert.That(() => loading.WaitAsync(LongestWait), Throws.TypeOf<ModelLoadException>().With.Property("File").EqualTo(path));
    }

    [Test]
    public void A_compiled_kernel_is_not_found([ValueSource(nameof(Kinds))] string kind)
    {
        Make("a.cubin", kind);
        KernelCache cache = new(_folder.Path);
        Assert.That(() => Task.Run(() => cache.Find("a")).WaitAsync(LongestWait), Is.Null);
        cache.Store("a", [1]);
        Assert.That(Directory.GetFiles(_folder.Path, "*.tmp"), Is.Empty);
    }

    [Test]
    public void Links_to_files_are_followed()
    {
        TemporaryFolder blobs = new();
        using (blobs)
        {
            string blob = blobs.Write("1234", SafetensorsBytes.Vector("a", 2));
            string link = Path.Combine(_folder.Path, "model.safetensors");
            File.CreateSymbolicLink(link, blob);
            using SafetensorsFile file = SafetensorsFile.Open(link);
            Assert.That(file.Tensors.Keys, Is.EqualTo(new[] { "a" }));
        }
    }

    private static void CheckRefused(string model, string file)
    {
        Task<LlmSession> loading = LlmSession.LoadAsync(model, new() { Device = Device.Cpu });
        Assert.That(() => loading.WaitAsync(LongestWait), Throws.TypeOf<ModelLoadException>().With.Property("File").EqualTo(file));
    }

    private string Make(string name, string kind)
    {
        string path = Path.Combine(_folder.Path, name);
        File.Delete(path);
        switch (kind)
        {
            case "pipe": MakePipe(path); break;
            case "link to a pipe":
                MakePipe(path + ".pipe");
                File.CreateSymbolicLink(path, path + ".pipe");
                break;
            case "folder": Directory.CreateDirectory(path); break;
            case "device": File.CreateSymbolicLink(path, "/dev/null"); break;
            case "endless device": File.CreateSymbolicLink(path, "/dev/zero"); break;
            case "dangling link": File.CreateSymbolicLink(path, path + ".nowhere"); break;
            case "link to itself": File.CreateSymbolicLink(path, path); break;
            default: File.WriteAllBytes(path, []); break;
        }
        return path;
    }

    private static void MakePipe(string path)
    {
        using Process process = Process.Start("mkfifo", path);
        process.WaitForExit();
    }
}
