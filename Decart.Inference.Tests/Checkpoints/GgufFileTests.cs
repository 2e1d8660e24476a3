using System.Buffers.Binary;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tests.Checkpoints;

public class GgufFileTests
{
    private const uint F32 = 0, Q40 = 2, Q6K = 14;

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase(2u)]
    [TestCase(3u)]
    public void Tensors_are_read_with_their_dimensions_reversed(uint version)
    {
        using GgufFile file = Open(new GgufBytes { Version = version }.AddTensor("second", F32, 64, 2, 1).AddTensor("first", Q40, 0, 32, 2, 1).AddTensor("scalar", F32, 96), 100);
        Assert.That(file.Version, Is.EqualTo(version));
        Assert.That(file.Tensors["first"].Type, Is.EqualTo(TensorType.Q4_0));
        Assert.That(file.Tensors["first"].Shape, Is.EqualTo(new long[] { 1, 2, 32 }));
        Assert.That(file.Tensors["first"].ByteLength, Is.EqualTo(36));
        Assert.That(file.GetBytes("second").ToArray(), Is.EqualTo(new byte[] { 64, 65, 66, 67, 68, 69, 70, 71 }));
        Assert.That(file.GetBytes("second", 6, 2).ToArray(), Is.EqualTo(new byte[] { 70, 71 }));
        Assert.That(file.Tensors["scalar"].Shape, Is.Empty);
    }

    [Test]
    public void Alignment_is_honoured()
    {
        using GgufFile file = Open(new GgufBytes { Alignment = 256 }.Add("general.alignment", GgufValueKind.UInt32, w => w.Write(256u)).AddTensor("t", F32, 256, 1), 260);
        Assert.That(file.Tensors["t"].Offset % 256, Is.Zero);
        Assert.That(file.GetBytes("t").ToArray(), Is.EqualTo(new byte[] { 0, 1, 2, 3 }));
    }

    [Test]
    public void Values_of_every_kind_are_read()
    {
        using GgufFile file = Open(new GgufBytes()
            .Add("u8", GgufValueKind.UInt8, w => w.Write((byte)200))
            .Add("i8", GgufValueKind.Int8, w => w.Write((sbyte)-3))
            .Add("u16", GgufValueKind.UInt16, w => w.Write((ushort)60000))
            .Add("i16", GgufValueKind.Int16, w => w.Write((short)-300))
            .Add("u32", GgufValueKind.UInt32, w => w.Write(4_000_000_000u))
            .Add("i32", GgufValueKind.Int32, w => w.Write(-70000))
            .Add("f32", GgufValueKind.Single, w => w.Write(0.5f))
            .Add("bool", GgufValueKind.Boolean, w => w.Write((byte)1))
            .Add("text", GgufValueKind.String, w => GgufBytes.WriteString(w, "naïve"))
            .Add("u64", GgufValueKind.UInt64, w => w.Write(ulong.MaxValue))
            .Add("i64", GgufValueKind.Int64, w => w.Write(long.MinValue))
            .Add("f64", GgufValueKind.Double, w => w.Write(1e300)), 0);
        Assert.That(file.Require("u8").AsInt32(), Is.EqualTo(200));
        Assert.That(file.Require("i8").AsInt64(), Is.EqualTo(-3));
        Assert.That(file.Require("u16").AsUInt64(), Is.EqualTo(60000));
        Assert.That(file.Require("i16").AsInt32(), Is.EqualTo(-300));
        Assert.That(file.Require("u32").AsInt64(), Is.EqualTo(4_000_000_000));
        Assert.That(file.Require("i32").AsInt32(), Is.EqualTo(-70000));
        Assert.That(file.Require("f32").AsDouble(), Is.EqualTo(0.5));
        Assert.That(file.Require("bool").AsBoolean());
        Assert.That(file.Require("text").AsString(), Is.EqualTo("naïve"));
        Assert.That(file.Require("u64").AsUInt64(), Is.EqualTo(ulong.MaxValue));
        Assert.That(file.Require("i64").AsInt64(), Is.EqualTo(long.MinValue));
        Assert.That(file.Require("i64").AsDouble(), Is.EqualTo((double)long.MinValue));
        Assert.That(file.Require("f64").AsDouble(), Is.EqualTo(1e300));
    }

    [Test]
    public void Arrays_are_read_and_outlive_the_file()
    {
        GgufFile file = Open(new GgufBytes()
            .AddArray("ints", GgufValueKind.Int32, 3, w => { w.Write(1); w.Write(-2); w.Write(3); })
            .AddArray("bytes", GgufValueKind.UInt8, 2, w => { w.Write((byte)1); w.Write((byte)255); })
            .AddArray("floats", GgufValueKind.Single, 2, w => { w.Write(0.25f); w.Write(float.NegativeInfinity); })
            .AddArray("bools", GgufValueKind.Boolean, 2, w => { w.Write((byte)1); w.Write((byte)0); })
            .AddArray("texts", GgufValueKind.String, 3, w => { GgufBytes.WriteString(w, "a"); GgufBytes.WriteString(w, ""); w.Write(2UL); w.Write([0xC3, 0x28]); })
            .AddArray("nested", GgufValueKind.Array, 2, w => { w.Write((uint)GgufValueKind.Int32); w.Write(1UL); w.Write(7); w.Write((uint)GgufValueKind.String); w.Write(0UL); }), 0);
        file.Dispose();
        Assert.That(file.Require("ints").AsInt32Array(), Is.EqualTo(new[] { 1, -2, 3 }));
        Assert.That(file.Require("ints").AsInt64Array(), Is.EqualTo(new long[] { 1, -2, 3 }));
        Assert.That(file.Require("ints").AsSingleArray(), Is.EqualTo(new float[] { 1, -2, 3 }));
        Assert.That(file.Require("bytes").AsInt32Array(), Is.EqualTo(new[] { 1, 255 }));
        Assert.That(file.Require("floats").AsSingleArray(), Is.EqualTo(new[] { 0.25f, float.NegativeInfinity }));
        Assert.That(file.Require("bools").AsBooleanArray(), Is.EqualTo(new[] { true, false }));
        GgufStrings texts = file.Require("texts").AsStrings();
        Assert.That(texts, Is.EqualTo(new[] { "a", "", "\uFFFD(" }));
        Assert.That(texts.GetBytes(2).ToArray(), Is.EqualTo(new byte[] { 0xC3, 0x28 }));
        IReadOnlyList<GgufValue> nested = file.Require("nested").AsArrays();
        Assert.That(() => ((IList<GgufValue>)nested)[0] = nested[1], Throws.InstanceOf<NotSupportedException>());
        Assert.That(() => ((IDictionary<string, GgufValue>)file.Metadata).Clear(), Throws.InstanceOf<NotSupportedException>());
        Assert.That(() => ((IDictionary<string, TensorInfo>)file.Tensors).Clear(), Throws.InstanceOf<NotSupportedException>());
        Assert.That(nested[0].AsInt32Array(), Is.EqualTo(new[] { 7 }));
        Assert.That(nested[1].AsStrings(), Is.Empty);
        Assert.That(new[] { "ints", "bytes", "texts", "nested" }.Select(key => file.Require(key).Count), Is.EqualTo(new[] { 3, 2, 3, 2 }));
    }

    [Test]
    public void A_value_of_another_type_than_asked_for_is_named()
    {
        using GgufFile file = Open(new GgufBytes()
            .Add("text", GgufValueKind.String, w => GgufBytes.WriteString(w, "x"))
            .Add("big", GgufValueKind.UInt64, w => w.Write(ulong.MaxValue))
            .Add("minus", GgufValueKind.Int32, w => w.Write(-1))
            .AddArray("floats", GgufValueKind.Single, 1, w => w.Write(1f)), 0);
        AssertRejected(() => file.Require("text").AsInt32(), "text", "expected a 32-bit integer, found String 'x'");
        AssertRejected(() => file.Require("text").AsDouble(), "text", "expected a number, found String 'x'");
        AssertRejected(() => file.Require("big").AsInt64(), "big", "expected 64-bit integers, found 18446744073709551615");
        AssertRejected(() => file.Require("minus").AsUInt64(), "minus", "expected non-negative integers, found -1");
        AssertRejected(() => file.Require("minus").AsString(), "minus", "expected a string, found Int32 -1");
        AssertRejected(() => file.Require("minus").AsStrings(), "minus", "expected an array of strings, found Int32 -1");
        AssertRejected(() => file.Require("floats").AsInt32Array(), "floats", "found Single[1]");
        AssertRejected(() => file.Require("floats").AsInt32(), "floats", "expected a 32-bit integer, found Single[1]");
        AssertRejected(() => file.Require("none"), "none", "expected this metadata key, found none");
    }

    [TestCase(9u, "type 9 (Q8_1)")]
    [TestCase(40u, "type 40 (NVFP4)")]
    [TestCase(4242u, "type 4242 (unknown)")]
    public void An_unsupported_encoding_is_named(uint type, string found) =>
        AssertRejected(() => Open(new GgufBytes().AddTensor("blk.0.ffn", type, 0, 256), 256), "blk.0.ffn", $"TQ2_0 or MXFP4, found {found}");

    private static IEnumerable<TestCaseData> DamagedFiles()
    {
        yield return Case("version 1", new GgufBytes { Version = 1 }, "header", "expected GGUF version 2 or 3, found 1");
        yield return Case("big-endian", new GgufBytes { Version = BinaryPrimitives.ReverseEndianness(3u) }, "header", "found a big-endian one");
        yield return Case("tensor count", new GgufBytes { TensorCount = 1UL << 40 }, "header", "expected no more tensors than fit");
        yield return Case("metadata count", new GgufBytes { MetadataCount = ulong.MaxValue }, "header", "expected no more metadata entries than fit");
        yield return Case("metadata count one too many", new GgufBytes { MetadataCount = 2 }.Add("k", GgufValueKind.UInt8, w => w.Write((byte)1)), "metadata", "expected a key of 1 to 65535 bytes, found 0");
        yield return Case("value type", new GgufBytes().Add("k", (GgufValueKind)13, w => w.Write(1)), "k", "expected a value type from 0 to 12, found 13");
        yield return Case("string length", new GgufBytes().Add("k", GgufValueKind.String, w => w.Write(1UL << 62)), "k", "found a length of 4611686018427387904");
        yield return Case("array length", new GgufBytes().AddArray("k", GgufValueKind.UInt64, 1UL << 61, w => { }), "k", "expected no more array elements than fit");
        yield return Case("string array length", new GgufBytes().AddArray("k", GgufValueKind.String, 1UL << 61, w => { }), "k", "expected no more array elements than fit");
        yield return Case("array beyond the limit", new GgufBytes().AddArray("k", GgufValueKind.UInt8, (1 << 24) + 1, w => w.Write(new byte[(1 << 24) + 1])), "k", "expected at most 16777216 array elements");
        yield return Case("nested arrays", Nested(5), "k", "expected arrays nested at most 4 deep");
        yield return Case("boolean", new GgufBytes().Add("k", GgufValueKind.Boolean, w => w.Write((byte)2)), "k", "expected a Boolean (0 or 1), found 2");
        yield return Case("booleans", new GgufBytes().AddArray("k", GgufValueKind.Boolean, 2, w => { w.Write((byte)1); w.Write((byte)9); }), "k", "found 9");
        yield return Case("key twice", new GgufBytes().Add("k", GgufValueKind.UInt8, w => w.Write((byte)1)).Add("k", GgufValueKind.UInt8, w => w.Write((byte)1)), "k", "expected one entry of this key");
        yield return Case("alignment", Aligned(24), "general.alignment", "expected a power of two below 2^31, found 24");
        yield return Case("alignment 0", Aligned(0), "general.alignment", "found 0");
        yield return Case("dimensions", new GgufBytes().AddTensor("t", F32, 0, 1, 1, 1, 1, 1), "t", "expected at most 4 dimensions, found 5");
        yield return Case("zero dimension", new GgufBytes().AddTensor("t", F32, 0, 4, 0), "t", "expected dimensions from 1");
        yield return Case("huge dimension", new GgufBytes().AddTensor("t", F32, 0, ulong.MaxValue), "t", "found 18446744073709551615");
        yield return Case("too many elements", new GgufBytes().AddTensor("t", F32, 0, 1UL << 32, 1UL << 32), "t", "expected a tensor of less than 2^63 elements, found [4294967296, 4294967296]");
        yield return Case("partial block", new GgufBytes().AddTensor("t", Q6K, 0, 128, 2), "t", "expected rows of Q6_K to be a multiple of 256 elements, found 128");
        yield return Case("beyond the file", new GgufBytes().AddTensor("t", F32, 0, 17), "t", "expected 68 bytes at offset");
        yield return Case("offset beyond the file", new GgufBytes().AddTensor("t", F32, ulong.MaxValue - 31, 1), "t", "expected 4 bytes at offset 18446744073709551584");
        yield return Case("offset not aligned", new GgufBytes().AddTensor("t", F32, 4, 1), "t", "multiple of the alignment 32, found 4");
        yield return Case("overlap", new GgufBytes().AddTensor("t", F32, 0, 9).AddTensor("u", F32, 32, 1), "u", "expected tensors that do not overlap");
        yield return Case("tensor twice", new GgufBytes().AddTensor("t", F32, 0, 1).AddTensor("t", F32, 32, 1), "t", "expected one tensor of this name, found two");
        yield return Case("no name", new GgufBytes().AddTensor("", F32, 0, 1), "tensor 0", "expected a name of 1 to 65535 bytes, found 0");

        static TestCaseData Case(string name, GgufBytes file, string field, string problem) => new TestCaseData(file, field, problem).SetArgDisplayNames(name);
        static GgufBytes Aligned(uint alignment) => new GgufBytes().Add("general.alignment", GgufValueKind.UInt32, w => w.Write(alignment)).AddTensor("t", F32, 0, 1);
        static GgufBytes Nested(int depth) => new GgufBytes().Add("k", GgufValueKind.Array, w =>
        {
            for (int i = 1; i < depth; i++)
            {
                w.Write((uint)GgufValueKind.Array);
                w.Write(1UL);
            }
            w.Write((uint)GgufValueKind.UInt8);
            w.Write(0UL);
        });
    }

    [TestCaseSource(nameof(DamagedFiles))]
    public void A_damaged_file_is_rejected(object file, string field, string problem) => AssertRejected(() => Open((GgufBytes)file, 64), field, problem);

    [Test]
    public void A_truncated_file_is_rejected_wherever_it_ends()
    {
        byte[] bytes = new GgufBytes().AddArray("k", GgufValueKind.String, 1, w => GgufBytes.WriteString(w, "x")).AddTensor("t", F32, 0, 2).Compose(8);
        for (int length = 0; length < bytes.Length; length++)
            Assert.That(() => GgufFile.Open(_folder.Write("t.gguf", bytes.AsSpan(0, length))), Throws.TypeOf<ModelLoadException>(), $"{length} bytes");
    }

    [Test]
    public void Another_format_is_rejected() =>
        Assert.That(() => GgufFile.Open(_folder.Write("t.gguf", "not a model")), Throws.TypeOf<ModelLoadException>().With.Message.Contains("begins with the letters GGUF"));

    private GgufFile Open(GgufBytes file, int dataBytes) => GgufFile.Open(_folder.Write("t.gguf", file.Compose(dataBytes)));

    private static void AssertRejected(Action action, string field, string problem)
    {
        ModelLoadException error = Assert.Throws<ModelLoadException>(() => action())!;
        Assert.That(error.File, Does.EndWith("t.gguf"));
        Assert.That(error.Field, Is.EqualTo(field));
        Assert.That(error.Message, Does.Contain(problem));
    }
}
