using System.Buffers.Binary;
using System.Text.Json;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tests.Checkpoints;

/// <summary>Every shared checkpoint opens, and what it holds agrees with a plain reading of the file.</summary>
public class FixtureCheckpointTests
{
    private static IEnumerable<string> SafetensorsFiles() => RelativePaths("*.safetensors");

    private static IEnumerable<string> GgufFiles() => RelativePaths("*.gguf");

    private static IEnumerable<string> Folders() => RelativePaths("config.json").Select(file => Path.GetDirectoryName(file)!);

    private static IEnumerable<string> RelativePaths(string pattern) => Fixtures.Folder is null
        ? []
        : Directory.GetFiles(Fixtures.Folder, pattern, SearchOption.AllDirectories).Select(file => Path.GetRelativePath(Fixtures.Folder, file)).Order();

    [TestCaseSource(nameof(SafetensorsFiles))]
    public void A_safetensors_file_agrees_with_its_header(string path)
    {
        byte[] bytes = File.ReadAllBytes(Fixtures.Path(path));
        int headerLength = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        using JsonDocument header = JsonDocument.Parse(bytes.AsMemory(8, headerLength));
        using SafetensorsFile file = SafetensorsFile.Open(Fixtures.Path(path));

        int tensors = 0;
        foreach (JsonProperty entry in header.RootElement.EnumerateObject())
        {
            if (entry.Name == "__metadata__")
            {
                foreach (JsonProperty text in entry.Value.EnumerateObject()) Assert.That(file.Metadata[text.Name], Is.EqualTo(text.Value.GetString()));
                continue;
            }
            tensors++;
            TensorInfo tensor = file.Tensors[entry.Name];
            long[] shape = [.. entry.Value.GetProperty("shape").EnumerateArray().Select(number => number.GetInt64())];
            long begin = entry.Value.GetProperty("data_offsets")[0].GetInt64(), end = entry.Value.GetProperty("data_offsets")[1].GetInt64();
            Assert.That(tensor.Shape, Is.EqualTo(shape));
            Assert.That(tensor.Type.ToString(), Is.EqualTo(entry.Value.GetProperty("dtype").GetString()!.Replace("_", null, StringComparison.Ordinal)));
            Assert.That(tensor.Offset, Is.EqualTo(8 + headerLength + begin));
            Assert.That(tensor.ByteLength, Is.EqualTo(end - begin));
            Assert.That(file.GetBytes(entry.Name).SequenceEqual(bytes.AsSpan((int)tensor.Offset, (int)tensor.ByteLength)));
        }
        Assert.That(file.Tensors, Has.Count.EqualTo(tensors));
    }

    [TestCaseSource(nameof(Folders))]
    public void A_folder_opens_whole(string path)
    {
        using HuggingFaceFolder folder = HuggingFaceFolder.Open(Fixtures.Path(path));
        Assert.That(folder.Config.TryGetProperty("model_type", out _));
        Assert.That(folder.GenerationConfig.HasValue, Is.EqualTo(File.Exists(Fixtures.Path(path, "generation_config.json"))));
        int vocabulary = folder.Config.GetProperty("vocab_size").GetInt32();
        Assert.That(folder.Names.Select(name => folder.Require(name)).Any(tensor => tensor.Shape is [long rows, ..] && rows == vocabulary), "no tensor has a row for each token");
        long files = Directory.GetFiles(folder.Path, "*.safetensors").Sum(file => new FileInfo(file).Length);
        Assert.That(folder.TotalBytes, Is.EqualTo(files));
    }

    [Test]
    [NeedsFixtures]
    public void Sharded_tensors_come_from_the_shard_that_holds_them()
    {
        using HuggingFaceFolder folder = HuggingFaceFolder.Open(Fixtures.Path("llama2-mha-f16-sharded"));
        using SafetensorsFile last = SafetensorsFile.Open(Fixtures.Path("llama2-mha-f16-sharded", "model-00003-of-00003.safetensors"));
        StoredTensor head = folder.Require("lm_head.weight");
        ReadOnlySpan<byte> expected = last.GetBytes("lm_head.weight");
        ReadOnlySpan<byte> actual;
        unsafe
        {
            actual = new ReadOnlySpan<byte>(head.Pointer, expected.Length);
        }
        Assert.That(folder.Names, Has.Count.EqualTo(30));
        Assert.That(actual.SequenceEqual(expected));
    }

    [TestCaseSource(nameof(GgufFiles))]
    public void A_gguf_file_opens_whole(string path)
    {
        using GgufFile file = GgufFile.Open(Fixtures.Path(path));
        Assert.That(file.Version, Is.EqualTo(3));
        Assert.That(file.Require("general.architecture").AsString(), Is.Not.Empty);
        GgufStrings tokens = file.Require("tokenizer.ggml.tokens").AsStrings();
        Assert.That(tokens, Has.Count.GreaterThan(255));
        Assert.That(file.Require("tokenizer.ggml.token_type").AsInt32Array(), Has.Length.EqualTo(tokens.Count));
        foreach (TensorInfo tensor in file.Tensors.Values)
        {
            Assert.That(tensor.Offset % 32, Is.Zero);
            Assert.That(file.GetBytes(tensor.Name).Length, Is.EqualTo(tensor.ByteLength));
        }
    }

    [Test]
    [NeedsFixtures]
    public void A_real_gguf_model_has_the_shapes_and_metadata_of_its_card()
    {
        using GgufFile file = GgufFile.Open(Fixtures.Path("gguf", "SmolLM2-135M-Instruct-Q4_1.gguf"));
        Assert.That(file.Require("general.architecture").AsString(), Is.EqualTo("llama"));
        Assert.That(file.Require("llama.block_count").AsInt32(), Is.EqualTo(30));
        Assert.That(file.Require("llama.rope.freq_base").AsDouble(), Is.EqualTo(100_000));
        Assert.That(file.Require("tokenizer.ggml.tokens").AsStrings()[0], Is.EqualTo("<|endoftext|>"));
        Assert.That(file.Tensors, Has.Count.EqualTo(272));
        Assert.That(file.Tensors["token_embd.weight"].Type, Is.EqualTo(TensorType.Q8_0));
        Assert.That(file.Tensors["token_embd.weight"].Shape, Is.EqualTo(new long[] { 49152, 576 }));
        Assert.That(file.Tensors["blk.0.ffn_gate.weight"].Type, Is.EqualTo(TensorType.Q4_1));
        Assert.That(file.Tensors["blk.0.ffn_gate.weight"].Shape, Is.EqualTo(new long[] { 1536, 576 }));
    }

    [Test]
    [NeedsFixtures]
    public void The_same_weights_are_read_from_safetensors_and_from_gguf()
    {
        using SafetensorsFile safetensors = SafetensorsFile.Open(Fixtures.Path("real", "tinystories-656k", "model.safetensors"));
        using GgufFile gguf = GgufFile.Open(Fixtures.Path("gguf", "TinyStories-656K-f16.gguf"));
        TensorInfo head = safetensors.Tensors["lm_head.weight"];
        Assert.That(gguf.Tensors["token_embd.weight"].Shape, Is.EqualTo(head.Shape));

        float[] expected = new float[head.ElementCount];
        safetensors.ReadAsSingle("lm_head.weight", expected);
        ReadOnlySpan<byte> halves = gguf.GetBytes("token_embd.weight");
        for (int i = 0; i < expected.Length; i++)
            Assert.That(BinaryPrimitives.ReadHalfLittleEndian(halves[(2 * i)..]), Is.EqualTo((Half)expected[i]), $"element {i}");
    }
}
