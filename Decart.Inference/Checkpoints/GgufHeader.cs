using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Unicode;

namespace Decart.Inference.Checkpoints;

/// <summary>
/// Reads and checks the metadata and the table of tensors of a GGUF file. Nothing is allocated by a number from the file before
/// that number has been checked against the bytes that are left.
/// </summary>
internal sealed class GgufHeader
{
    private const string AlignmentKey = "general.alignment";
    private const uint DefaultAlignment = 32;
    private const int MaxNameBytes = 65535;
    private const int MaxDimensions = 4;
    private const int MaxArrayDepth = 4;

    /// <summary>Far beyond every vocabulary and every model's number of tensors.</summary>
    private const int MaxCount = 1 << 24;

    // The fewest bytes that an entry can take: an empty name's length, then kind and one byte; then dimensions, type and offset.
    private const int MinMetadataBytes = 8 + 4 + 1;
    private const int MinTensorBytes = 8 + 4 + 4 + 8;
    private const int MinArrayBytes = 4 + 8;

    private readonly MappedFile _file;
    private long _position;

    /// <summary>What is being read, for error messages.</summary>
    private string _field = "header";

    private GgufHeader(MappedFile file) => _file = file;

    public int Version { get; private set; }

    public Dictionary<string, GgufValue> Metadata { get; } = new(StringComparer.Ordinal);

    public Dictionary<string, TensorInfo> Tensors { get; } = new(StringComparer.Ordinal);

    private long Remaining => _file.Length - _position;

    public static GgufHeader Parse(MappedFile file)
    {
        GgufHeader header = new(file);
        header.ReadVersion();
        int tensors = header.ReadCount(MinTensorBytes, "tensors");
        int entries = header.ReadCount(MinMetadataBytes, "metadata entries");
        for (int i = 0; i < entries; i++) header.ReadMetadata();
        header.ReadTensors(tensors);
        return header;
    }

    private void ReadVersion()
    {
        if (Remaining < 4 || !Take(4).SequenceEqual("GGUF"u8))
        {
            string? found = FileSignature.Describe(_file.Slice(0, (int)Math.Min(_file.Length, 64)));
            throw Error($"expected a GGUF file, which begins with the letters GGUF, found {found ?? "other bytes"}");
        }
        uint version = ReadUInt32();
        if (BinaryPrimitives.ReverseEndianness(version) is 2 or 3) throw Error("expected a little-endian GGUF file, found a big-endian one");
        if (version is not (2 or 3)) throw Error($"expected GGUF version 2 or 3, found {version}");
        Version = (int)version;
    }

    private void ReadMetadata()
    {
        _field = "metadata";
        string key = ReadName("key");
        _field = key;
        GgufValueKind kind = ReadKind();
        GgufValue value = kind == GgufValueKind.Array ? ReadArray(key, 1) : new GgufValue(_file.Path, key, kind, ReadScalar(kind).ToArray());
        if (!Metadata.TryAdd(key, value)) throw Error("expected one entry of this key, found two");
    }

    private GgufValueKind ReadKind()
    {
        uint kind = ReadUInt32();
        return kind <= (uint)GgufValueKind.Double ? (GgufValueKind)kind : throw Error($"expected a value type from 0 to 12, found {kind}");
    }

    private ReadOnlySpan<byte> ReadScalar(GgufValueKind kind)
    {
        if (kind == GgufValueKind.String) return ReadString();
        ReadOnlySpan<byte> bytes = Take(kind.Size());
        if (kind == GgufValueKind.Boolean) CheckBooleans(bytes);
        return bytes;
    }

    private GgufValue ReadArray(string key, int depth)
    {
        if (depth > MaxArrayDepth) throw Error($"expected arrays nested at most {MaxArrayDepth} deep");
        GgufValueKind kind = ReadKind();
        object elements;
        if (kind == GgufValueKind.String)
        {
            elements = ReadStrings();
        }
        else if (kind == GgufValueKind.Array)
        {
            GgufValue[] arrays = new GgufValue[ReadCount(MinArrayBytes, "array elements")];
            for (int i = 0; i < arrays.Length; i++) arrays[i] = ReadArray(key, depth + 1);
            elements = arrays;
        }
        else
        {
            ReadOnlySpan<byte> bytes = Take(ReadCount(kind.Size(), "array elements") * kind.Size());
            if (kind == GgufValueKind.Boolean) CheckBooleans(bytes);
            elements = bytes.ToArray();
        }
        return new GgufValue(_file.Path, key, kind, elements);
    }

    /// <summary>Walks over the strings once to check them and to know their size, then copies them.</summary>
    private GgufStrings ReadStrings()
    {
        int count = ReadCount(sizeof(ulong), "array elements");
        long start = _position, total = 0;
        for (int i = 0; i < count; i++) total += ReadString().Length;
        if (total > Array.MaxLength) throw Error($"expected strings of at most {Array.MaxLength} bytes in all, found {total}");

        _position = start;
        byte[] bytes = new byte[total];
        int[] ends = new int[count];
        int end = 0;
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> value = ReadString();
            value.CopyTo(bytes.AsSpan(end));
            ends[i] = end += value.Length;
        }
        return new GgufStrings(bytes, ends);
    }

    private void ReadTensors(int count)
    {
        TensorInfo[] table = new TensorInfo[count];
        for (int i = 0; i < table.Length; i++)
        {
            _field = $"tensor {i}";
            string name = ReadName("name");
            _field = name;
            table[i] = ReadTensor(name);
        }
        _field = AlignmentKey;
        long alignment = ReadAlignment();
        long dataStart = (_position + alignment - 1) / alignment * alignment;
        foreach (TensorInfo tensor in table)
        {
            _field = tensor.Name;
            if (!Tensors.TryAdd(tensor.Name, InFile(tensor, dataStart, alignment))) throw Error("expected one tensor of this name, found two");
        }
        CheckLayout();
    }

    /// <summary>Reads an entry of the table; its offset is still that within the data.</summary>
    private TensorInfo ReadTensor(string name)
    {
        uint dimensions = ReadUInt32();
        if (dimensions > MaxDimensions) throw Error($"expected at most {MaxDimensions} dimensions, found {dimensions}");
        long[] shape = new long[dimensions];
        for (int i = shape.Length - 1; i >= 0; i--)
        {
            ulong dimension = ReadUInt64();
            if (dimension is 0 or > long.MaxValue) throw Error($"expected dimensions from 1 to 2^63 - 1, found {dimension}");
            shape[i] = (long)dimension;
        }
        uint number = ReadUInt32();
        TensorType type = GgmlTypes.ToTensorType(number)
            ?? throw Error($"expected a tensor of type {GgmlTypes.Supported}, found type {number} ({GgmlTypes.NameOf(number)})");
        ulong offset = ReadUInt64();

        long columns = shape.Length == 0 ? 1 : shape[^1];
        if (columns % type.BlockLength() != 0) throw Error($"expected rows of {type} to be a multiple of {type.BlockLength()} elements, found {columns}");
        ImmutableArray<long> sizes = ImmutableCollectionsMarshal.AsImmutableArray(shape);
        long bytes = TensorInfo.BytesOf(type, sizes) ?? throw Error($"expected a tensor of less than 2^63 elements, found {TensorSource.Describe(shape)}");
        if (offset > (ulong)_file.Length || bytes > _file.Length - (long)offset)
            throw Error($"expected {bytes} bytes at offset {offset} of the data, found a file of {_file.Length} bytes (is it truncated?)");
        return new TensorInfo(name, type, sizes, (long)offset, bytes);
    }

    private long ReadAlignment()
    {
        if (!Metadata.TryGetValue(AlignmentKey, out GgufValue? value)) return DefaultAlignment;
        ulong alignment = value.AsUInt64();
        return alignment <= int.MaxValue && BitOperations.IsPow2(alignment)
            ? (long)alignment
            : throw Error($"expected a power of two below 2^31, found {alignment}");
    }

    /// <summary>The tensor with its offset within the file instead of within the data.</summary>
    private TensorInfo InFile(TensorInfo tensor, long dataStart, long alignment)
    {
        if (tensor.Offset % alignment != 0) throw Error($"expected an offset that is a multiple of the alignment {alignment}, found {tensor.Offset}");
        long offset = dataStart + tensor.Offset;
        if (tensor.ByteLength > _file.Length - offset)
            throw Error($"expected {tensor.ByteLength} bytes at offset {offset}, found a file of {_file.Length} bytes (is it truncated?)");
        return tensor with { Offset = offset };
    }

    private void CheckLayout()
    {
        TensorInfo[] tensors = [.. Tensors.Values];
        Array.Sort(tensors, static (a, b) => a.Offset.CompareTo(b.Offset));
        for (int i = 1; i < tensors.Length; i++)
        {
            if (tensors[i].Offset >= tensors[i - 1].Offset + tensors[i - 1].ByteLength) continue;
            _field = tensors[i].Name;
            throw Error($"expected tensors that do not overlap, found this one at offset {tensors[i].Offset} within '{Quoted.Value(tensors[i - 1].Name)}'");
        }
    }

    /// <summary>A key or a tensor's name: not empty, valid UTF-8.</summary>
    private string ReadName(string what)
    {
        ReadOnlySpan<byte> bytes = ReadString();
        if (bytes.Length is 0 or > MaxNameBytes) throw Error($"expected a {what} of 1 to {MaxNameBytes} bytes, found {bytes.Length}");
        return Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : throw Error($"expected a {what} in UTF-8, found other bytes");
    }

    private ReadOnlySpan<byte> ReadString()
    {
        ulong length = ReadUInt64();
        if (length > (ulong)Remaining) throw Error($"expected a string within the {Remaining} bytes that are left, found a length of {length}");
        return Take((long)length);
    }

    /// <summary>A count of things of which each takes at least <paramref name="minBytes"/>.</summary>
    private int ReadCount(int minBytes, string what)
    {
        ulong count = ReadUInt64();
        if (count > (ulong)(Remaining / minBytes))
            throw Error($"expected no more {what} than fit into the {Remaining} bytes that are left, found a count of {count}");
        if (count > MaxCount) throw Error($"expected at most {MaxCount} {what}, found {count}");
        return (int)count;
    }

    private uint ReadUInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint)));

    private ulong ReadUInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong)));

    private ReadOnlySpan<byte> Take(long count)
    {
        if (count > Remaining) throw Error($"expected {count} bytes at offset {_position}, found the end of the file after {Remaining}");
        if (count > Array.MaxLength) throw Error($"expected at most {Array.MaxLength} bytes, found {count}");
        ReadOnlySpan<byte> bytes = _file.Slice(_position, (int)count);
        _position += count;
        return bytes;
    }

    private void CheckBooleans(ReadOnlySpan<byte> bytes)
    {
        int wrong = bytes.IndexOfAnyExcept((byte)0, (byte)1);
        if (wrong >= 0) throw Error($"expected a Boolean (0 or 1), found {bytes[wrong]}");
    }

    private ModelLoadException Error(string problem) => _file.Error(_field, problem);
}
