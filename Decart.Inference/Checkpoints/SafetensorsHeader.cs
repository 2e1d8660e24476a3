using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;

namespace Decart.Inference.Checkpoints;

/// <summary>Reads and checks the header of a safetensors file, straight from the map.</summary>
internal sealed class SafetensorsHeader
{
    /// <summary>The limit of the reference implementation.</summary>
    private const long MaxHeaderBytes = 100_000_000;

    private const string Field = "header";
    private const string MetadataKey = "__metadata__";
    private const string TypeNames = "BOOL, U8, I8, F8_E4M3, F8_E5M2, U16, I16, F16, BF16, U32, I32, F32, U64, I64 or F64";

    private readonly MappedFile _file;
    private readonly long _dataStart;

    private SafetensorsHeader(MappedFile file, long dataStart)
    {
        _file = file;
        _dataStart = dataStart;
    }

    public Dictionary<string, TensorInfo> Tensors { get; } = new(StringComparer.Ordinal);

    public Dictionary<string, string> Metadata { get; private set; } = new(StringComparer.Ordinal);

    private long DataLength => _file.Length - _dataStart;

    public static SafetensorsHeader Parse(MappedFile file)
    {
        if (file.Length < sizeof(ulong)) throw file.Error(Field, $"expected at least 8 bytes with the header's length, found a file of {file.Length}");
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(file.Slice(0, sizeof(ulong)));
        if (length > MaxHeaderBytes)
        {
            string found = FileSignature.Describe(file.Slice(0, (int)Math.Min(file.Length, 64))) is { } kind ? $": this is {kind}" : "";
            throw file.Error(Field, $"expected a length of at most {MaxHeaderBytes} bytes, found {length}{found}");
        }
        if ((long)length > file.Length - sizeof(ulong))
            throw file.Error(Field, $"expected {length} bytes, found a file with {file.Length - sizeof(ulong)} bytes after the header's length");
        ReadOnlySpan<byte> json = file.Slice(sizeof(ulong), (int)length);
        if (!json.StartsWith("{"u8)) throw file.Error(Field, "expected a JSON object");
        if (!Utf8.IsValid(json)) throw file.Error(Field, "expected JSON in UTF-8, found bytes that are not UTF-8");

        SafetensorsHeader header = new(file, sizeof(ulong) + (long)length);
        try
        {
            JsonFile.CheckStrings(json);
            header.ReadEntries(json);
        }
        catch (JsonException e)
        {
            throw file.Error(Field, $"expected a JSON object of tensors, found malformed JSON: {e.Message.TrimEnd('.')}", e);
        }
        header.CheckLayout();
        return header;
    }

    private void ReadEntries(ReadOnlySpan<byte> json)
    {
        Utf8JsonReader reader = new(json);
        reader.Read();
        bool hasMetadata = false;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            string name = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject) throw _file.Error(name, $"expected a JSON object, found {Describe(reader.TokenType)}");
            if (name == MetadataKey)
            {
                if (hasMetadata) throw _file.Error(name, "expected one entry of this name, found two");
                hasMetadata = true;
                ReadMetadata(ref reader);
            }
            else
            {
                TensorInfo tensor = ReadTensor(ref reader, name);
                if (!Tensors.TryAdd(name, tensor)) throw _file.Error(name, "expected one tensor of this name, found two");
            }
        }
        // Only white space may follow: the reader throws on anything else.
        reader.Read();
    }

    private void ReadMetadata(ref Utf8JsonReader reader)
    {
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            string key = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String) throw _file.Error($"{MetadataKey}.{key}", $"expected a string, found {Describe(reader.TokenType)}");
            if (!Metadata.TryAdd(key, reader.GetString()!)) throw _file.Error($"{MetadataKey}.{key}", "expected one entry of this name, found two");
        }
    }

    private TensorInfo ReadTensor(ref Utf8JsonReader reader, string name)
    {
        TensorType? type = null;
        ImmutableArray<long>? shape = null, offsets = null;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (reader.ValueTextEquals("dtype"u8))
            {
                if (type is not null) throw _file.Error(name, "expected one dtype, found two");
                type = ReadType(ref reader, name);
            }
            else if (reader.ValueTextEquals("shape"u8))
            {
                if (shape is not null) throw _file.Error(name, "expected one shape, found two");
                shape = ReadNumbers(ref reader, name, "shape");
            }
            else if (reader.ValueTextEquals("data_offsets"u8))
            {
                if (offsets is not null) throw _file.Error(name, "expected one data_offsets, found two");
                offsets = ReadNumbers(ref reader, name, "data_offsets");
            }
            else
            {
                reader.Skip();
            }
        }
        if (type is null || shape is null || offsets is null)
            throw _file.Error(name, $"expected dtype, shape and data_offsets, found no {(type is null ? "dtype" : shape is null ? "shape" : "data_offsets")}");
        return Create(name, type.Value, shape.Value, offsets.Value);
    }

    private TensorInfo Create(string name, TensorType type, ImmutableArray<long> shape, ImmutableArray<long> offsets)
    {
        if (offsets.Length != 2) throw _file.Error(name, $"expected data_offsets of two numbers, found {offsets.Length}");
        (long begin, long end) = (offsets[0], offsets[1]);
        if (begin > end) throw _file.Error(name, $"expected data_offsets in ascending order, found [{begin}, {end}]");
        if (end > DataLength)
            throw _file.Error(name, $"expected data_offsets within the file's {DataLength} bytes of data, found [{begin}, {end}] (is it truncated?)");
        long? bytes = TensorInfo.BytesOf(type, shape);
        if (bytes != end - begin)
        {
            string expected = bytes?.ToString(CultureInfo.InvariantCulture) ?? "more than 2^63";
            throw _file.Error(name, $"expected {expected} bytes for {type} {TensorSource.Describe(shape.AsSpan())}, found data_offsets of {end - begin} bytes");
        }
        return new TensorInfo(name, type, shape, _dataStart + begin, end - begin);
    }

    private TensorType ReadType(ref Utf8JsonReader reader, string name)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.String) throw _file.Error(name, $"expected a dtype in a string, found {Describe(reader.TokenType)}");
        if (reader.ValueSpan.Length > 32) throw _file.Error(name, $"expected dtype {TypeNames}, found a string of {reader.ValueSpan.Length} bytes");
        string type = reader.GetString()!;
        return type switch
        {
            "BOOL" => TensorType.Bool,
            "U8" => TensorType.U8,
            "I8" => TensorType.I8,
            "F8_E4M3" => TensorType.F8E4M3,
            "F8_E5M2" => TensorType.F8E5M2,
            "U16" => TensorType.U16,
            "I16" => TensorType.I16,
            "F16" => TensorType.F16,
            "BF16" => TensorType.BF16,
            "U32" => TensorType.U32,
            "I32" => TensorType.I32,
            "F32" => TensorType.F32,
            "U64" => TensorType.U64,
            "I64" => TensorType.I64,
            "F64" => TensorType.F64,
            _ => throw _file.Error(name, $"expected dtype {TypeNames}, found '{type}'"),
        };
    }

    private ImmutableArray<long> ReadNumbers(ref Utf8JsonReader reader, string name, string field)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray) throw _file.Error(name, $"expected {field} in an array, found {Describe(reader.TokenType)}");
        ImmutableArray<long>.Builder numbers = ImmutableArray.CreateBuilder<long>(2);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out long number) || number < 0)
                throw _file.Error(name, $"expected {field} of non-negative integers, found {Describe(reader.TokenType)} that is none");
            numbers.Add(number);
        }
        return numbers.DrainToImmutable();
    }

    /// <summary>Every byte of the data belongs to exactly one tensor.</summary>
    private void CheckLayout()
    {
        TensorInfo[] tensors = [.. Tensors.Values];
        Array.Sort(tensors, static (a, b) => a.Offset != b.Offset ? a.Offset.CompareTo(b.Offset) : a.ByteLength.CompareTo(b.ByteLength));
        long end = _dataStart;
        foreach (TensorInfo tensor in tensors)
        {
            if (tensor.Offset != end)
            {
                string found = tensor.Offset < end ? "an overlap from" : "a gap up to";
                throw _file.Error(
                    tensor.Name,
                    $"expected the tensor to begin at offset {end - _dataStart}, where the one before ends, found {found} {tensor.Offset - _dataStart}");
            }
            end = tensor.Offset + tensor.ByteLength;
        }
        if (end != _file.Length)
            throw _file.Error(Field, $"expected tensors that cover all {DataLength} bytes of data, found {_file.Length - end} bytes after the last");
    }

    private static string Describe(JsonTokenType token) => token switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.String => "a string",
        JsonTokenType.Number => "a number",
        JsonTokenType.True or JsonTokenType.False => "a Boolean",
        _ => "null",
    };
}
