using System.Buffers.Binary;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tests.Checkpoints;

/// <summary>Files of a few hundred bytes that claim to be enormous are rejected without allocating by what they claim.</summary>
public class HostileSizeTests
{
    private const long MostBytes = 256 << 10;

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase(99_999_999UL)]
    [TestCase(1UL << 40)]
    [TestCase(ulong.MaxValue)]
    public void Header_length_of_safetensors(ulong length)
    {
        byte[] bytes = SafetensorsBytes.Vector("w", 2);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);
        CheckRejected(bytes, path => SafetensorsFile.Open(path));
    }

    [TestCase(1UL << 30)]
    [TestCase(1UL << 31)]
    [TestCase(1UL << 60)]
    [TestCase(ulong.MaxValue)]
    public void Counts_of_gguf(ulong count)
    {
        CheckRejected(new GgufBytes { TensorCount = count }.Compose(64), path => GgufFile.Open(path));
        CheckRejected(new GgufBytes { MetadataCount = count }.Compose(64), path => GgufFile.Open(path));
        CheckRejected(new GgufBytes().Add("k", GgufValueKind.String, w => w.Write(count)).Compose(64), path => GgufFile.Open(path));
        foreach (GgufValueKind kind in Enum.GetValues<GgufValueKind>())
            CheckRejected(new GgufBytes().AddArray("k", kind, count, w => { }).Compose(64), path => GgufFile.Open(path));
    }

    private void CheckRejected(byte[] bytes, Func<string, IDisposable> open)
    {
        string path = _folder.Write("hostile", bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(() => open(path), Throws.TypeOf<ModelLoadException>());
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(MostBytes));
    }
}
