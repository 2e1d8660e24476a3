using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tests.Checkpoints;

public class GgufTensorsTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public void The_parts_of_a_split_model_are_one_checkpoint()
    {
        string first = WritePart(1, 2, "a");
        WritePart(2, 2, "b");
        using GgufTensors tensors = GgufTensors.Open(first);
        Assert.That(tensors.Names, Is.EquivalentTo(new[] { "a", "b" }));
        Assert.That(tensors.Require("b", 4).Type, Is.EqualTo(TensorType.F32));
        Assert.That(tensors.TotalBytes, Is.EqualTo(Directory.GetFiles(_folder.Path).Sum(file => new FileInfo(file).Length)));
    }

    [Test]
    public void A_missing_part_is_named()
    {
        string first = WritePart(1, 3, "a");
        WritePart(2, 3, "b");
        Assert.That(() => GgufTensors.Open(first), Throws.TypeOf<ModelLoadException>().With.Message.Contains("m-00003-of-00003.gguf: expected a file, found nothing"));
    }

    [Test]
    public void A_later_part_alone_is_rejected()
    {
        WritePart(1, 2, "a");
        string second = WritePart(2, 2, "b");
        Assert.That(() => GgufTensors.Open(second), Throws.TypeOf<ModelLoadException>().With.Message.Contains("expected the first of the model's 2 parts, found part 2"));
    }

    [Test]
    public void A_renamed_part_is_rejected()
    {
        string renamed = Path.Combine(_folder.Path, "m.gguf");
        File.Move(WritePart(1, 2, "a"), renamed);
        Assert.That(() => GgufTensors.Open(renamed), Throws.TypeOf<ModelLoadException>().With.Message.Contains("expected a file name that ends in -00001-of-00002.gguf"));
    }

    [Test]
    public void A_tensor_in_two_parts_is_rejected()
    {
        string first = WritePart(1, 2, "a");
        WritePart(2, 2, "a");
        Assert.That(() => GgufTensors.Open(first), Throws.TypeOf<ModelLoadException>().With.Message.Contains("found it in two"));
    }

    private string WritePart(int part, int count, string tensor) => _folder.Write($"m-{part:00000}-of-{count:00000}.gguf", new GgufBytes()
        .Add("split.no", GgufValueKind.UInt16, w => w.Write((ushort)(part - 1)))
        .Add("split.count", GgufValueKind.UInt16, w => w.Write((ushort)count))
        .AddTensor(tensor, 0, 0, 4).Compose(16));
}
