using System.Text;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tests.Checkpoints;

/// <summary>Composes GGUF files, damaged ones included. The counts in the header are those of the entries added unless given.</summary>
internal sealed class GgufBytes
{
    private readonly List<byte[]> _metadata = [];
    private readonly List<byte[]> _tensors = [];

    public uint Version { get; init; } = 3;

    public ulong? MetadataCount { get; init; }

    public ulong? TensorCount { get; init; }

    public int Alignment { get; init; } = 32;

    public GgufBytes Add(string key, GgufValueKind kind, Action<BinaryWriter> value)
    {
        _metadata.Add(Write(writer =>
        {
            WriteString(writer, key);
            writer.Write((uint)kind);
            value(writer);
        }));
        return this;
    }

    public GgufBytes AddArray(string key, GgufValueKind kind, ulong count, Action<BinaryWriter> elements) => Add(key, GgufValueKind.Array, writer =>
    {
        writer.Write((uint)kind);
        writer.Write(count);
        elements(writer);
    });

    /// <param name="name">The tensor's name.</param>
    /// <param name="type">ggml's number of the encoding.</param>
    /// <param name="offset">Offset within the data.</param>
    /// <param name="dimensions">Innermost first, as in the file.</param>
    public GgufBytes AddTensor(string name, uint type, ulong offset, params ulong[] dimensions)
    {
        _tensors.Add(Write(writer =>
        {
            WriteString(writer, name);
            writer.Write(dimensions.Length);
            foreach (ulong dimension in dimensions) writer.Write(dimension);
            writer.Write(type);
            writer.Write(offset);
        }));
        return this;
    }

    public static void WriteString(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    /// <summary>The file with data of ascending bytes after the padding.</summary>
    public byte[] Compose(int dataBytes) => Write(writer =>
    {
        writer.Write("GGUF"u8);
        writer.Write(Version);
        writer.Write(TensorCount ?? (ulong)_tensors.Count);
        writer.Write(MetadataCount ?? (ulong)_metadata.Count);
        foreach (byte[] entry in _metadata.Concat(_tensors)) writer.Write(entry);
        writer.Flush();
        while (writer.BaseStream.Position % Alignment != 0) writer.Write((byte)0);
        for (int i = 0; i < dataBytes; i++) writer.Write((byte)i);
    });

    private static byte[] Write(Action<BinaryWriter> content)
    {
        MemoryStream stream = new();
        using (BinaryWriter writer = new(stream)) content(writer);
        return stream.ToArray();
    }
}
