using System.Buffers.Binary;
using System.Diagnostics;
using System.Text.Json;
using Decart.Inference.Checkpoints;
using FsCheck;
using FsCheck.Fluent;

namespace Decart.Inference.Tests.Checkpoints;

/// <summary>
/// Files damaged at random either open as something consistent or give a <see cref="ModelLoadException"/>: promptly, and without
/// allocating more than the file's own size warrants.
/// </summary>
public class MutationTests
{
    private const int Runs = 250;
    private static readonly TimeSpan LongestRun = TimeSpan.FromSeconds(5);

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase("llama2-gqa-bf16/model.safetensors")]
    [TestCase("quantised/compressed-w4a16-g128/model.safetensors")]
    [TestCase("lora/qv-rank8/adapter_model.safetensors")]
    [NeedsFixtures]
    public void A_mutated_safetensors_file_opens_whole_or_is_rejected(string fixture) =>
        CheckSafetensors(File.ReadAllBytes(Fixtures.Path(fixture)));

    [Test]
    public void A_mutated_small_safetensors_file_opens_whole_or_is_rejected() => CheckSafetensors(SafetensorsBytes.Compose(
        """{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}}""", 32));

    [TestCase("gguf/TinyStories-656K-q4_0.gguf")]
    [TestCase("gguf/llama-2-tiny-random.gguf")]
    [NeedsFixtures]
    public void A_mutated_gguf_file_opens_whole_or_is_rejected(string fixture) => CheckGguf(File.ReadAllBytes(Fixtures.Path(fixture)));

    [Test]
    public void A_mutated_small_gguf_file_opens_whole_or_is_rejected() => CheckGguf(new GgufBytes()
        .Add("general.alignment", GgufValueKind.UInt32, w => w.Write(32))
        .AddArray("tokens", GgufValueKind.String, 2, w => { GgufBytes.WriteString(w, "one"); GgufBytes.WriteString(w, "two"); })
        .AddArray("scores", GgufValueKind.Single, 2, w => { w.Write(1f); w.Write(2f); })
        .AddTensor("a", 0, 0, 4, 2).AddTensor("b", 2, 32, 32, 2).Compose(68));

    [TestCase("config.json")]
    [TestCase("model.safetensors.index.json")]
    [NeedsFixtures]
    public void A_folder_with_a_mutated_json_file_opens_whole_or_is_rejected(string name)
    {
        string source = Fixtures.Path("llama2-mha-f16-sharded");
        foreach (string file in Directory.GetFiles(source)) File.Copy(file, Path.Combine(_folder.Path, Path.GetFileName(file)));
        Check(File.ReadAllBytes(Path.Combine(source, name)), int.MaxValue, mutated =>
        {
            _folder.Write(name, mutated);
            using HuggingFaceFolder folder = HuggingFaceFolder.Open(_folder.Path);
            ReadAll(folder.Config);
            foreach (string tensor in folder.Names) folder.Require(tensor);
        });
    }

    private void CheckSafetensors(byte[] original)
    {
        int headerEnd = 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(original);
        Check(original, headerEnd, mutated =>
        {
            using SafetensorsFile file = SafetensorsFile.Open(_folder.Write("model.safetensors", mutated));
            CheckConsistent(file.Tensors.Values, mutated.Length);
            long covered = file.Tensors.Values.Sum(tensor => tensor.ByteLength);
            Assert.That(covered, Is.EqualTo(mutated.Length - 8 - (long)BinaryPrimitives.ReadUInt64LittleEndian(mutated)));
            foreach (string name in file.Tensors.Keys) _ = Sum(file.GetBytes(name));
        });
    }

    private void CheckGguf(byte[] original)
    {
        string path = _folder.Write("original.gguf", original);
        using GgufFile whole = GgufFile.Open(path);
        int headerEnd = (int)whole.Tensors.Values.Min(tensor => tensor.Offset);
        Check(original, headerEnd, mutated =>
        {
            using GgufFile file = GgufFile.Open(_folder.Write("model.gguf", mutated));
            CheckConsistent(file.Tensors.Values, mutated.Length);
            foreach (GgufValue value in file.Metadata.Values) Assert.That(value.ToString(), Is.Not.Empty);
            foreach (string name in file.Tensors.Keys) _ = Sum(file.GetBytes(name));
        });
    }

    private static void CheckConsistent(IEnumerable<TensorInfo> tensors, long fileLength)
    {
        long end = 0;
        foreach (TensorInfo tensor in tensors.OrderBy(tensor => tensor.Offset).ThenBy(tensor => tensor.ByteLength))
        {
            Assert.That(tensor.Offset, Is.AtLeast(end), "overlap");
            Assert.That(tensor.ByteLength, Is.EqualTo(tensor.ElementCount / tensor.Type.BlockLength() * tensor.Type.BlockBytes()));
            end = tensor.Offset + tensor.ByteLength;
        }
        Assert.That(end, Is.AtMost(fileLength));
    }

    private static void Check(byte[] original, int headerEnd, Action<byte[]> open)
    {
        int rejected = 0;
        Prop.ForAll(Mutation.Some(Math.Min(headerEnd, original.Length)).ToArbitrary(), mutations =>
        {
            byte[] bytes = mutations.Aggregate(original, (bytes, mutation) => mutation.Apply(bytes));
            long allocatedBefore = GC.GetAllocatedBytesForCurrentThread();
            Stopwatch watch = Stopwatch.StartNew();
            try
            {
                open(bytes);
            }
            catch (ModelLoadException e)
            {
                Assert.That(e.File, Is.Not.Null);
                rejected++;
            }
            Assert.That(watch.Elapsed, Is.LessThan(LongestRun));
            Assert.That(GC.GetAllocatedBytesForCurrentThread() - allocatedBefore, Is.LessThan((4 << 20) + (16L * bytes.Length)));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(Runs).WithQuietOnSuccess(true));
        Assert.That(rejected, Is.GreaterThan(Runs / 4), "the mutations hardly damage anything");
    }

    private static int Sum(ReadOnlySpan<byte> bytes)
    {
        int sum = 0;
        foreach (byte value in bytes) sum += value;
        return sum;
    }

    private static void ReadAll(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (JsonProperty property in element.EnumerateObject())
                {
                    Assert.That(property.Name, Is.Not.Null);
                    ReadAll(property.Value);
                }
                break;
            case JsonValueKind.Array:
                foreach (JsonElement item in element.EnumerateArray()) ReadAll(item);
                break;
            case JsonValueKind.String:
                Assert.That(element.GetString(), Is.Not.Null);
                break;
        }
    }
}
