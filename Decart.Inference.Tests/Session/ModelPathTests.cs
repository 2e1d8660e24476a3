using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Session;

/// <summary>What users name instead of a model's folder or file is opened where it is meant without doubt; else the message says what it is and what to do.</summary>
[CancelAfter(60_000)]
internal sealed class ModelPathTests
{
    private static readonly LlmSessionOptions Cpu = new() { Device = Device.Cpu };

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase("lfs-pointer", "Git LFS pointer", "not downloaded")]
    [TestCase("lfs-pointer.gguf", "Git LFS pointer", "not downloaded")]
    [TestCase("only-pytorch-bin", "pytorch_model.bin", "convert it to safetensors")]
    [TestCase("lora-adapter", "adapter", "someone/base")]
    [TestCase("lora-adapter/adapter_model.safetensors", "adapter", "someone/base")]
    [TestCase("hub-cache/models--someone--tiny", "snapshots/0123456789abcdef", "Hugging Face cache")]
    [TestCase("hub-cache", "models--someone--tiny", "config.json")]
    public void Reports_from_the_field(string input, params string[] words) => CheckRefused(Fixtures.Field("unclear-messages-for-common-mistakes", input), words);

    [Test]
    public async Task A_folder_of_one_GGUF_file_is_opened()
    {
        await using LlmSession session = await LlmSession.LoadAsync(Fixtures.Field("unclear-messages-for-common-mistakes", "folder-of-a-gguf"), Cpu);
        Assert.That(session.Model.Architecture, Is.EqualTo("llama"));
    }

    [Test]
    public void Of_several_GGUF_files_one_must_be_named()
    {
        _folder.Write("a-Q4_0.gguf", "x");
        _folder.Write("b-Q8_0.gguf", "x");
        CheckRefused(_folder.Path, "a-Q4_0.gguf, b-Q8_0.gguf", "load one of them by its own path");
        _folder.Write("config.json", TinyModels.Config("llama").ToJsonString());
        CheckRefused(_folder.Path, "a-Q4_0.gguf, b-Q8_0.gguf", "load one of them by its own path");
    }

    [TestCase("config.json")]
    [TestCase("model.safetensors")]
    public async Task A_file_stands_for_its_folder(string name)
    {
        new TinyCheckpoint("llama").Write(_folder);
        await using LlmSession session = await LlmSession.LoadAsync(Path.Combine(_folder.Path, name), Cpu);
        Assert.That(session.Model.Architecture, Is.EqualTo("llama"));
    }

    [Test]
    public void Another_file_of_a_folder_names_the_folder()
    {
        string shard = _folder.Write("model-00001-of-00002.safetensors", SafetensorsBytes.Vector("a", 2));
        CheckRefused(shard, "give its folder");
        _folder.Write("config.json", TinyModels.Config("llama").ToJsonString());
        CheckRefused(shard, "give its folder");
        CheckRefused(_folder.Write("tokenizer.json", "{}"), "give its folder");
    }

    [TestCase("refs/main")]
    [TestCase("snapshots")]
    [TestCase("")]
    public async Task The_snapshot_in_the_cache_is_opened(string given)
    {
        string snapshot = Path.Combine(_folder.Path, "snapshots", "abc");
        Directory.CreateDirectory(snapshot);
        new TinyCheckpoint("llama").Write(_folder);
        foreach (string file in Directory.GetFiles(_folder.Path)) File.Move(file, Path.Combine(snapshot, Path.GetFileName(file)));
        if (given == "refs/main")
        {
            Directory.CreateDirectory(Path.Combine(_folder.Path, "snapshots", "other"));
            Directory.CreateDirectory(Path.Combine(_folder.Path, "refs"));
            _folder.Write("refs/main", "abc\n");
        }
        await using LlmSession session = await LlmSession.LoadAsync(given == "snapshots" ? Path.Combine(_folder.Path, given) : _folder.Path, Cpu);
        Assert.That(session.Model.Architecture, Is.EqualTo("llama"));
    }

    [TestCase("~/models/x.gguf", "not expanded", "models/x.gguf")]
    [TestCase("https://huggingface.co/x/y.gguf", "give the name (org/name)")]
    [TestCase("no such file.gguf", "found nothing at this path")]
    public void What_is_no_path_is_told_apart(string path, params string[] words) => CheckRefused(path, words);

    [TestCase("<!DOCTYPE html><html><body>Not found</body></html>", "an HTML page")]
    [TestCase("PK\u0003\u0004 and so on, as in a file of PyTorch", "a ZIP archive")]
    [TestCase("{\"error\": \"Entry not found, or so it says here\"}", "JSON")]
    [TestCase("GGUF\u0003\u0000\u0000\u0000", "a GGUF file")]
    public void Weights_that_are_something_else_say_what(string content, string what)
    {
        new TinyCheckpoint("llama").Write(_folder);
        CheckRefused(Path.GetDirectoryName(_folder.Write("model.safetensors", content))!, what);
        if (!content.StartsWith("GGUF", StringComparison.Ordinal)) CheckRefused(_folder.Write("model.gguf", content), what);
    }

    [Test]
    public void Long_names_and_values_are_cut()
    {
        string name = new('x', 100_000);
        _folder.Write("config.json", $$"""{"model_type":"{{name}}"}""");
        _folder.Write("model.safetensors", SafetensorsBytes.Vector("a", 2));
        CheckRefused(_folder.Path, "model_type");
        CheckRefused(name, "found nothing at this path");
        _folder.Write("config.json", TinyModels.Config("llama").ToJsonString());
        File.Delete(Path.Combine(_folder.Path, "model.safetensors"));
        foreach (string map in (string[])[$"\"a\":\"{name}\"", $"\"{name}\":1", $"\"a\":\"../{name}\""])
        {
            _folder.Write("model.safetensors.index.json", $$"""{"weight_map": { {{map}} } }""");
            CheckRefused(_folder.Path, "weight_map");
        }
    }

    [Test]
    public async Task Control_characters_are_not_repeated()
    {
        new TinyCheckpoint("llama").Write(_folder);
        _folder.Write("config.json", """{"model_type":"x\r\nerror: forged\u001b[2J\u0000"}""");
        ModelLoadException error = (await Assert.ThrowsAsync<ModelLoadException>(() => LlmSession.LoadAsync(_folder.Path, Cpu)))!;
        Assert.That(error.Message, Does.Contain("forged"));
        Assert.That(error.Message.Where(char.IsControl), Is.Empty);
    }

    private static void CheckRefused(string path, params string[] words)
    {
        const int LongestMessage = 2000;
        ModelLoadException error = Assert.Throws<ModelLoadException>(() => LlmSession.LoadAsync(path, Cpu).GetAwaiter().GetResult().Dispose())!;
        foreach (string word in words) Assert.That(error.Message, Does.Contain(word));
        Assert.That(error.Message, Has.Length.LessThan(LongestMessage));
        Assert.That(error.Field?.Length ?? 0, Is.LessThan(LongestMessage));
    }
}
