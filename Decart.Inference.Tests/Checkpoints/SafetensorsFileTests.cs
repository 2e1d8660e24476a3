using System.Buffers.Binary;
using System.Text;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tests.Checkpoints;

public class SafetensorsFileTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public void Tensors_metadata_and_bytes_are_read()
    {
        const string Header = """
            {"__metadata__":{"format":"pt","é":"\u00e9"},
             "b":{"data_offsets":[6,14],"shape":[2],"dtype":"F32"},
             "a":{"dtype":"BF16","shape":[3,1],"data_offsets":[0,6],"unknown":{"nested":[1,2]}},
             "none":{"dtype":"F16","shape":[0,7],"data_offsets":[6,6]},
             "scalar":{"dtype":"I64","shape":[],"data_offsets":[14,22]}}    
            """;
        using SafetensorsFile file = Open(SafetensorsBytes.Compose(Header, 22));
        Assert.That(file.Metadata["é"], Is.EqualTo("é"));
        Assert.That(() => ((IDictionary<string, string>)file.Metadata).Clear(), Throws.InstanceOf<NotSupportedException>());
        Assert.That(file.Tensors.Keys, Is.EquivalentTo(new[] { "a", "b", "none", "scalar" }));
        Assert.That(file.Tensors["a"].Shape, Is.EqualTo(new long[] { 3, 1 }));
        Assert.That(file.Tensors["a"].Type, Is.EqualTo(TensorType.BF16));
        Assert.That(file.GetBytes("b").ToArray(), Is.EqualTo(new byte[] { 6, 7, 8, 9, 10, 11, 12, 13 }));
        Assert.That(file.GetBytes("b", 5, 2).ToArray(), Is.EqualTo(new byte[] { 11, 12 }));
        Assert.That(file.GetBytes("none").Length, Is.Zero);
        Assert.That(file.Tensors["scalar"].ElementCount, Is.EqualTo(1));
        Assert.That(BinaryPrimitives.ReadInt64LittleEndian(file.GetBytes("scalar")), Is.EqualTo(0x15141312_11100F0E));
    }

    [Test]
    public void Floats_are_widened_at_any_alignment()
    {
        const string Header = """{"p":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"s":{"dtype":"F32","shape":[1],"data_offsets":[1,5]},"h":{"dtype":"F16","shape":[2],"data_offsets":[5,9]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[9,11]}}""";
        byte[] bytes = SafetensorsBytes.Compose(Header, 11);
        Span<byte> data = bytes.AsSpan(8 + Header.Length);
        BinaryPrimitives.WriteSingleLittleEndian(data[1..], -1.25f);
        BinaryPrimitives.WriteHalfLittleEndian(data[5..], (Half)0.5f);
        BinaryPrimitives.WriteHalfLittleEndian(data[7..], Half.NegativeInfinity);
        BinaryPrimitives.WriteUInt16LittleEndian(data[9..], 0xC048);
        using SafetensorsFile file = Open(bytes);
        Assert.That(Read("s", 1), Is.EqualTo(new[] { -1.25f }));
        Assert.That(Read("h", 2), Is.EqualTo(new[] { 0.5f, float.NegativeInfinity }));
        Assert.That(Read("b", 1), Is.EqualTo(new[] { -3.125f }));
        Assert.That(() => Read("p", 1), Throws.TypeOf<NotSupportedException>().With.Message.Contains("U8"));
        Assert.That(() => Read("s", 2), Throws.ArgumentException.With.Message.Contains("1 elements"));

        float[] Read(string name, int length)
        {
            float[] values = new float[length];
            file.ReadAsSingle(name, values);
            return values;
        }
    }

    [Test]
    public void Wrong_requests_name_what_is_wrong()
    {
        SafetensorsFile file = Open(SafetensorsBytes.Vector("w", 2));
        Assert.That(() => file.GetBytes("v").Length, Throws.TypeOf<KeyNotFoundException>().With.Message.Contains("'v'"));
        Assert.That(() => file.GetBytes("w", 4, 5).Length, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => file.GetBytes("w", -1, 1).Length, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => file.GetBytes("w", long.MaxValue, 1).Length, Throws.TypeOf<ArgumentOutOfRangeException>());
        file.Dispose();
        file.Dispose();
        Assert.That(() => file.GetBytes("w").Length, Throws.TypeOf<ObjectDisposedException>());
    }

    [TestCase("""{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,8]}}""", "a", "expected dtype BOOL,", "found 'F4'")]
    [TestCase("""{"a":{"dtype":7,"shape":[2],"data_offsets":[0,8]}}""", "a", "expected a dtype in a string", "found a number")]
    [TestCase("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", "a", "expected 12 bytes for F32 [3]", "found data_offsets of 8 bytes")]
    [TestCase("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", "a", "expected shape of non-negative integers", "found")]
    [TestCase("""{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}""", "a", "expected shape of non-negative integers", "found")]
    [TestCase("""{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}""", "a", "expected shape of non-negative integers", "found")]
    [TestCase("""{"a":{"dtype":"F32","shape":"2","data_offsets":[0,8]}}""", "a", "expected shape in an array", "found a string")]
    [TestCase("""{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}""", "a", "expected more than 2^63 bytes", "found data_offsets of 8")]
    [TestCase("""{"a":{"dtype":"F32","shape":[2305843009213693952,2],"data_offsets":[0,8]}}""", "a", "expected more than 2^63 bytes", "found data_offsets of 8")]
    [TestCase("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8]}}""", "a", "expected data_offsets of two numbers", "found 1")]
    [TestCase("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", "a", "ascending order", "found [8, 0]")]
    [TestCase("""{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}""", "a", "expected data_offsets within the file's 8 bytes", "found [0, 16]")]
    [TestCase("""{"a":{"dtype":"F32","shape":[2]}}""", "a", "expected dtype, shape and data_offsets", "found no data_offsets")]
    [TestCase("""{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "a", "expected one dtype", "found two")]
    [TestCase("""{"a":[1,2]}""", "a", "expected a JSON object", "found an array")]
    [TestCase("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "b", "expected the tensor to begin at offset 8", "found an overlap from 4")]
    [TestCase("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "a", "expected the tensor to begin at offset 0", "found a gap up to 4")]
    [TestCase("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "header", "cover all 8 bytes", "found 4 bytes after the last")]
    [TestCase("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}""", "a", "expected one tensor of this name", "found two")]
    [TestCase("""{"__metadata__":{"a":1}}""", "__metadata__.a", "expected a string", "found a number")]
    [TestCase("""{"__metadata__":{},"__metadata__":{}}""", "__metadata__", "expected one entry", "found two")]
    [TestCase("""{"__metadata__":{"a":"\ud800"}}""", "header", "malformed JSON", "surrogate")]
    [TestCase("""{"\ud800":{}}""", "header", "malformed JSON", "surrogate")]
    [TestCase("""{"a":{"\udfff":1}}""", "header", "malformed JSON", "surrogate")]
    [TestCase("""{"a":{"dtype":"\ud800x"}}""", "header", "malformed JSON", "surrogate")]
    [TestCase("""[]""", "header", "expected a JSON object", "")]
    [TestCase("", "header", "expected a JSON object", "")]
    [TestCase("""{"a":""", "header", "malformed JSON", "")]
    [TestCase("""{}{}""", "header", "malformed JSON", "")]
    public void A_damaged_header_is_rejected(string header, string field, string expected, string found)
    {
        string path = _folder.Write("model.safetensors", SafetensorsBytes.Compose(header, 8));
        ModelLoadException error = Assert.Throws<ModelLoadException>(() => SafetensorsFile.Open(path))!;
        Assert.That(error.File, Is.EqualTo(path));
        Assert.That(error.Field, Is.EqualTo(field));
        Assert.That(error.Message, Does.Contain(expected).And.Contain(found));
    }

    [TestCase(0UL, "expected a JSON object")]
    [TestCase(1000UL, "expected 1000 bytes, found a file with")]
    [TestCase(100_000_001UL, "expected a length of at most 100000000 bytes, found 100000001")]
    [TestCase(ulong.MaxValue, "expected a length of at most 100000000 bytes, found 18446744073709551615")]
    public void A_wrong_header_length_is_rejected(ulong length, string problem)
    {
        byte[] bytes = SafetensorsBytes.Vector("w", 2);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);
        Assert.That(() => Open(bytes), Throws.TypeOf<ModelLoadException>().With.Message.Contains(problem));
    }

    [Test]
    public void A_header_that_is_not_utf8_is_rejected()
    {
        byte[] bytes = SafetensorsBytes.Vector("w", 2);
        bytes[Array.IndexOf(bytes, (byte)'w')] = 0xFF;
        Assert.That(() => Open(bytes), Throws.TypeOf<ModelLoadException>().With.Message.Contains("not UTF-8"));
    }

    [Test]
    public void A_truncated_file_is_rejected_wherever_it_ends()
    {
        byte[] bytes = SafetensorsBytes.Vector("w", 2);
        for (int length = 0; length < bytes.Length; length++)
            Assert.That(() => Open(bytes.AsSpan(0, length)), Throws.TypeOf<ModelLoadException>(), $"{length} bytes");
    }

    [Test]
    public void What_is_no_file_is_rejected()
    {
        Assert.That(() => SafetensorsFile.Open(_folder.Path), Throws.TypeOf<ModelLoadException>().With.Message.Contains("found a folder"));
        Assert.That(() => SafetensorsFile.Open(Path.Combine(_folder.Path, "none")), Throws.TypeOf<ModelLoadException>().With.Message.Contains("found nothing"));
        Assert.That(() => SafetensorsFile.Open(Path.Combine(_folder.Path, "no", "none")), Throws.TypeOf<ModelLoadException>().With.Message.Contains("found nothing"));
        Assert.That(() => SafetensorsFile.Open(_folder.Write("empty", "")), Throws.TypeOf<ModelLoadException>().With.Message.Contains("empty file"));
        Assert.That(() => SafetensorsFile.Open("a\0b"), Throws.TypeOf<ModelLoadException>().With.Message.Contains("readable"));
        Assert.That(() => SafetensorsFile.Open(""), Throws.ArgumentException);
    }

    [Test]
    public void A_long_name_is_shortened_in_the_message()
    {
        string header = $$$"""{"{{{new string('x', 100_000)}}}":{"dtype":"F99","shape":[],"data_offsets":[0,0]}}""";
        ModelLoadException error = Assert.Throws<ModelLoadException>(() => Open(SafetensorsBytes.Compose(header, 0)))!;
        Assert.That(error.Message, Has.Length.LessThan(1000).And.Contain("found 'F99'"));
    }

    [Test]
    public void A_deeply_nested_header_is_rejected()
    {
        string header = $$$"""{"a":{"x":{{{new string('[', 1_000_000)}}}""";
        Assert.That(() => Open(SafetensorsBytes.Compose(Encoding.UTF8.GetBytes(header), 0)), Throws.TypeOf<ModelLoadException>().With.Message.Contains("malformed JSON"));
    }

    private SafetensorsFile Open(ReadOnlySpan<byte> bytes) => SafetensorsFile.Open(_folder.Write("model.safetensors", bytes));
}
