using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tests.Checkpoints;

public class HuggingFaceFolderTests
{
    private const string Index = """{"metadata":{"total_size":24},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}""";

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder()
    {
        _folder = new TemporaryFolder();
        _folder.Write("config.json", """{"model_type":"llama"}""");
    }

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public void A_single_file_may_have_any_name()
    {
        _folder.Write("anything.safetensors", SafetensorsBytes.Vector("a", 2));
        using HuggingFaceFolder folder = HuggingFaceFolder.Open(_folder.Path);
        Assert.That(folder.Names, Is.EqualTo(new[] { "a" }));
        Assert.That(folder.GenerationConfig, Is.Null);
    }

    [Test]
    public void The_usual_name_wins_over_others()
    {
        _folder.Write("model.safetensors", SafetensorsBytes.Vector("a", 2));
        _folder.Write("consolidated.safetensors", SafetensorsBytes.Vector("b", 2));
        _folder.Write("generation_config.json", """{"eos_token_id":2}""");
        using HuggingFaceFolder folder = HuggingFaceFolder.Open(_folder.Path);
        Assert.That(folder.Names, Is.EqualTo(new[] { "a" }));
        Assert.That(folder.GenerationConfig!.Value.GetProperty("eos_token_id").GetInt32(), Is.EqualTo(2));
    }

    [Test]
    public void Shards_are_one_checkpoint()
    {
        _folder.Write("model.safetensors.index.json", Index);
        _folder.Write("one.safetensors", SafetensorsBytes.Vector("a", 2));
        _folder.Write("two.safetensors", SafetensorsBytes.Vector("b", 4));
        using HuggingFaceFolder folder = HuggingFaceFolder.Open(_folder.Path);
        Assert.That(folder.Names, Is.EquivalentTo(new[] { "a", "b" }));
        Assert.That(folder.Require("b", 4).Shape, Is.EqualTo(new long[] { 4 }));
        Assert.That(folder.TryGet("c", out _), Is.False);
    }

    [Test]
    public void Required_tensors_are_named_with_both_shapes()
    {
        string path = _folder.Write("model.safetensors", SafetensorsBytes.Vector("a", 2));
        using HuggingFaceFolder folder = HuggingFaceFolder.Open(_folder.Path);
        AssertRejected(() => folder.Require("a", 2, 3), _folder.Path, "a", "expected shape [2, 3], found [2]");
        AssertRejected(() => folder.Require("b", 2, 3), _folder.Path, "b", "expected a tensor of shape [2, 3], found none");
        AssertRejected(() => folder.Require("b"), _folder.Path, "b", "expected this tensor, found none");
        Assert.That(new FileInfo(path).Length, Is.EqualTo(folder.TotalBytes));
    }

    [Test]
    public void A_missing_shard_is_named()
    {
        string index = _folder.Write("model.safetensors.index.json", Index);
        _folder.Write("one.safetensors", SafetensorsBytes.Vector("a", 2));
        AssertRejected(Open, index, "weight_map", "expected the shard 'two.safetensors' in the folder, found no such file");
    }

    [Test]
    public void A_tensor_that_its_shard_lacks_is_warned_about_and_named_when_it_is_needed()
    {
        _folder.Write("model.safetensors.index.json", Index);
        _folder.Write("one.safetensors", SafetensorsBytes.Vector("a", 2));
        string two = _folder.Write("two.safetensors", SafetensorsBytes.Vector("c", 4));
        using HuggingFaceFolder folder = Open();
        Assert.That(folder.Names, Is.EquivalentTo(new[] { "a", "c" }), "what the shards hold counts, also what the index leaves out");
        Assert.That(folder.Warnings, Has.One.Contains("lists tensors that the shards do not have: b."));
        AssertRejected(() => folder.Require("b"), two, "b", "expected this tensor, which model.safetensors.index.json lists for this file");
    }

    [Test]
    public void A_tensor_in_another_shard_than_the_index_says_is_found()
    {
        _folder.Write("model.safetensors.index.json", Index);
        _folder.Write("one.safetensors", SafetensorsBytes.Vector("b", 2));
        _folder.Write("two.safetensors", SafetensorsBytes.Vector("a", 4));
        using HuggingFaceFolder folder = Open();
        Assert.That((folder.Require("a", 4).Columns, folder.Warnings.Count), Is.EqualTo((4, 0)));
    }

    [Test]
    public void Of_a_tensor_in_two_shards_the_index_chooses()
    {
        _folder.Write("model.safetensors.index.json", """{"weight_map":{"x":"one.safetensors","a":"two.safetensors"}}""");
        _folder.Write("one.safetensors", SafetensorsBytes.Vector("a", 2));
        _folder.Write("two.safetensors", SafetensorsBytes.Vector("a", 4));
        using HuggingFaceFolder folder = Open();
        Assert.That(folder.Require("a").Columns, Is.EqualTo(4));
    }

    [TestCase("../two.safetensors")]
    [TestCase("..\\\\two.safetensors")]
    [TestCase("/etc/passwd")]
    [TestCase("C:two.safetensors")]
    [TestCase("sub/two.safetensors")]
    [TestCase("..")]
    [TestCase(".")]
    [TestCase("")]
    [TestCase("a\\u0000b")]
    public void A_shard_outside_the_folder_is_rejected(string shard)
    {
        string index = _folder.Write("model.safetensors.index.json", $$$"""{"weight_map":{"a":"{{{shard}}}"}}""");
        AssertRejected(Open, index, "weight_map", "expected the name of a file in the same folder");
    }

    [TestCase("{}", "weight_map", "expected an object of shards by tensor name, found none")]
    [TestCase("""{"weight_map":[]}""", "weight_map", "found Array")]
    [TestCase("""{"weight_map":{"a":1}}""", "weight_map.a", "expected a file name, found Number")]
    [TestCase("""{"weight_map":{"a":"one.safetensors","a":"one.safetensors"}}""", "a", "expected one entry of this name, found two")]
    public void A_wrong_index_is_rejected(string json, string field, string problem)
    {
        string index = _folder.Write("model.safetensors.index.json", json);
        _folder.Write("one.safetensors", SafetensorsBytes.Vector("a", 2));
        AssertRejected(Open, index, field, problem);
    }

    [TestCase("[]", "expected a JSON object, found Array")]
    [TestCase("{", "malformed JSON")]
    [TestCase("", "an empty file")]
    [TestCase("""{"a":"\udc00"}""", "surrogate")]
    [TestCase("""{"\ud800":1}""", "surrogate")]
    public void A_wrong_configuration_is_rejected(string json, string problem)
    {
        _folder.Write("model.safetensors", SafetensorsBytes.Vector("a", 2));
        string generation = _folder.Write("generation_config.json", json);
        AssertRejected(Open, generation, null, problem);
        File.Delete(generation);
        string config = _folder.Write("config.json", json);
        AssertRejected(Open, config, null, problem);
    }

    [Test]
    public void A_deep_a_large_or_an_unreadable_configuration_is_rejected()
    {
        string config = _folder.Write("config.json", $$"""{"a":{{new string('[', 100_000)}}""");
        AssertRejected(Open, config, null, "malformed JSON");
        _folder.Write("config.json", [(byte)'{', (byte)'"', 0xFF, (byte)'"', (byte)'}']);
        AssertRejected(Open, config, null, "not UTF-8");
        using (FileStream sparse = File.Create(config)) sparse.SetLength(1L << 40);
        AssertRejected(Open, config, null, "expected at most 67108864 bytes, found 1099511627776");
        File.Delete(config);
        AssertRejected(Open, config, null, "found nothing at this path");
        Directory.CreateDirectory(config);
        AssertRejected(Open, config, null, "found a folder");
    }

    [Test]
    public void A_byte_order_mark_is_no_damage()
    {
        _folder.Write("config.json", "\uFEFF{\"model_type\":\"llama\"}");
        Assert.That(HuggingFaceFolder.ReadConfig(_folder.Path).GetProperty("model_type").GetString(), Is.EqualTo("llama"));
    }

    [Test]
    public void A_folder_without_weights_or_without_existence_is_rejected()
    {
        AssertRejected(Open, _folder.Path, null, "expected model.safetensors or model.safetensors.index.json, found neither and 0 other");
        _folder.Write("x.safetensors", SafetensorsBytes.Vector("a", 2));
        _folder.Write("y.safetensors", SafetensorsBytes.Vector("a", 2));
        AssertRejected(Open, _folder.Path, null, "found neither and 2 other");
        string nowhere = Path.Combine(_folder.Path, "nowhere");
        AssertRejected(() => HuggingFaceFolder.Open(nowhere), nowhere, null, "expected a folder, found nothing at this path");
        string file = Path.Combine(_folder.Path, "x.safetensors");
        AssertRejected(() => HuggingFaceFolder.Open(file), file, null, "expected a folder, found a file");
    }

    private HuggingFaceFolder Open() => HuggingFaceFolder.Open(_folder.Path);

    private static void AssertRejected(Func<object> action, string file, string? field, string problem)
    {
        ModelLoadException error = Assert.Throws<ModelLoadException>(() => action())!;
        Assert.That(error.File, Is.EqualTo(file));
        Assert.That(error.Field, Is.EqualTo(field));
        Assert.That(error.Message, Does.Contain(problem));
    }
}
