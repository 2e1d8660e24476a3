using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Decart.Inference.Checkpoints;

/// <summary>
/// A metadata value of a GGUF file. Immutable and safe for use by any number of threads; independent of the file once read.
/// Asking for a type that the value does not have, or that cannot hold it, throws a
/// <see cref="ModelLoadException"/> that names the file and the key.
/// </summary>
public sealed class GgufValue
{
    private readonly string _file;
    private readonly string _key;

    /// <summary>byte[]: the little-endian value, the string, or a fixed-size array's elements; GgufStrings or GgufValue[] for other arrays.</summary>
    private readonly object _data;

    private GgufValue(string file, string key, GgufValueKind kind, GgufValueKind? elementKind, object data)
    {
        _file = file;
        _key = key;
        Kind = kind;
        ElementKind = elementKind;
        _data = data;
    }

    internal GgufValue(string file, string key, GgufValueKind kind, byte[] bytes) : this(file, key, kind, null, bytes) { }

    internal GgufValue(string file, string key, GgufValueKind elementKind, object elements)
        : this(file, key, GgufValueKind.Array, elementKind, elements) { }

    /// <summary>The type that the file gives the value.</summary>
    public GgufValueKind Kind { get; }

    /// <summary>The type of an array's elements; <see langword="null"/> when this is not an array.</summary>
    public GgufValueKind? ElementKind { get; }

    /// <summary>Number of an array's elements; 1 when this is not an array.</summary>
    public int Count => ElementKind is not { } kind ? 1 : _data switch
    {
        GgufStrings strings => strings.Count,
        GgufValue[] values => values.Length,
        _ => ((byte[])_data).Length / kind.Size(),
    };

    /// <summary>An integer of any kind as an unsigned number.</summary>
    /// <exception cref="ModelLoadException">The value is not an integer, or is negative.</exception>
    public ulong AsUInt64() => ToUInt64(Kind, Scalar, "a non-negative integer");

    /// <summary>An integer of any kind as a signed number.</summary>
    /// <exception cref="ModelLoadException">The value is not an integer, or is out of range.</exception>
    public long AsInt64() => ToInt64(Kind, Scalar, "a 64-bit integer");

    /// <summary>An integer of any kind as a 32-bit number.</summary>
    /// <exception cref="ModelLoadException">The value is not an integer, or is out of range.</exception>
    public int AsInt32() => ToInt32(Kind, Scalar);

    /// <summary>A number of any kind, integers included, as a double.</summary>
    /// <exception cref="ModelLoadException">The value is not a number.</exception>
    public double AsDouble() => ToDouble(Kind, Scalar);

    /// <summary>A Boolean.</summary>
    /// <exception cref="ModelLoadException">The value is not a Boolean.</exception>
    public bool AsBoolean() => Kind == GgufValueKind.Boolean ? Scalar[0] != 0 : throw Mismatch("a Boolean");

    /// <summary>A string, invalid UTF-8 replaced by U+FFFD. Decoded at each call.</summary>
    /// <exception cref="ModelLoadException">The value is not a string.</exception>
    public string AsString() => Encoding.UTF8.GetString(AsStringBytes());

    /// <summary>The bytes of a string as the file has them.</summary>
    /// <exception cref="ModelLoadException">The value is not a string.</exception>
    public ReadOnlySpan<byte> AsStringBytes() => Kind == GgufValueKind.String ? Scalar : throw Mismatch("a string");

    /// <summary>An array of strings.</summary>
    /// <exception cref="ModelLoadException">The value is not an array of strings.</exception>
    public GgufStrings AsStrings() => _data as GgufStrings ?? throw Mismatch("an array of strings");

    /// <summary>An array of integers of any kind as 32-bit numbers, in a new array.</summary>
    /// <exception cref="ModelLoadException">The value is not an array of integers, or an element is out of range.</exception>
    public int[] AsInt32Array() => Convert("an array of 32-bit integers", (kind, bytes) => ToInt32(kind, bytes));

    /// <summary>An array of integers of any kind as 64-bit numbers, in a new array.</summary>
    /// <exception cref="ModelLoadException">The value is not an array of integers, or an element is out of range.</exception>
    public long[] AsInt64Array() => Convert("an array of 64-bit integers", (kind, bytes) => ToInt64(kind, bytes, "64-bit integers"));

    /// <summary>An array of numbers of any kind, integers included, rounded to float32, in a new array.</summary>
    /// <exception cref="ModelLoadException">The value is not an array of numbers.</exception>
    public float[] AsSingleArray() => Convert("an array of numbers", (kind, bytes) => (float)ToDouble(kind, bytes));

    /// <summary>An array of Booleans, in a new array.</summary>
    /// <exception cref="ModelLoadException">The value is not an array of Booleans.</exception>
    public bool[] AsBooleanArray() => ElementKind == GgufValueKind.Boolean
        ? Array.ConvertAll((byte[])_data, element => element != 0)
        : throw Mismatch("an array of Booleans");

    /// <summary>The elements of an array of arrays.</summary>
    /// <exception cref="ModelLoadException">The value is not an array of arrays.</exception>
    public IReadOnlyList<GgufValue> AsArrays() => Array.AsReadOnly(_data as GgufValue[] ?? throw Mismatch("an array of arrays"));

    /// <summary>A readable form of the value; long values are shortened.</summary>
    public override string ToString() => Kind switch
    {
        GgufValueKind.Array => $"{ElementKind}[{Count}]",
        GgufValueKind.String => Scalar.Length <= 100 ? $"String '{AsString()}'" : $"String of {Scalar.Length} bytes",
        GgufValueKind.Boolean => $"Boolean {AsBoolean()}",
        GgufValueKind.UInt64 => string.Create(CultureInfo.InvariantCulture, $"{Kind} {AsUInt64()}"),
        GgufValueKind.Single or GgufValueKind.Double => string.Create(CultureInfo.InvariantCulture, $"{Kind} {AsDouble()}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{Kind} {AsInt64()}"),
    };

    private ReadOnlySpan<byte> Scalar => Kind == GgufValueKind.Array ? default : (byte[])_data;

    private delegate T Reader<T>(GgufValueKind kind, ReadOnlySpan<byte> bytes);

    private T[] Convert<T>(string expected, Reader<T> read)
    {
        if (ElementKind is not { } kind || kind.Size() == 0) throw Mismatch(expected);
        byte[] bytes = (byte[])_data;
        int size = kind.Size();
        T[] result = new T[bytes.Length / size];
        for (int i = 0; i < result.Length; i++) result[i] = read(kind, bytes.AsSpan(i * size, size));
        return result;
    }

    private int ToInt32(GgufValueKind kind, ReadOnlySpan<byte> bytes)
    {
        long value = ToInt64(kind, bytes, "a 32-bit integer");
        return value == (int)value ? (int)value : throw OutOfRange("32-bit", value);
    }

    private long ToInt64(GgufValueKind kind, ReadOnlySpan<byte> bytes, string expected)
    {
        if (kind != GgufValueKind.UInt64) return ReadSigned(kind, bytes) ?? throw Mismatch(expected);
        ulong value = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        return value <= long.MaxValue ? (long)value : throw OutOfRange("64-bit", value);
    }

    private ulong ToUInt64(GgufValueKind kind, ReadOnlySpan<byte> bytes, string expected)
    {
        if (kind == GgufValueKind.UInt64) return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        long value = ReadSigned(kind, bytes) ?? throw Mismatch(expected);
        return value >= 0 ? (ulong)value : throw OutOfRange("non-negative", value);
    }

    private double ToDouble(GgufValueKind kind, ReadOnlySpan<byte> bytes) => kind switch
    {
        GgufValueKind.Single => BinaryPrimitives.ReadSingleLittleEndian(bytes),
        GgufValueKind.Double => BinaryPrimitives.ReadDoubleLittleEndian(bytes),
        GgufValueKind.UInt64 => BinaryPrimitives.ReadUInt64LittleEndian(bytes),
        _ => ReadSigned(kind, bytes) ?? throw Mismatch("a number"),
    };

    /// <summary>Any integer but UInt64; null for other kinds.</summary>
    private static long? ReadSigned(GgufValueKind kind, ReadOnlySpan<byte> bytes) => kind switch
    {
        GgufValueKind.UInt8 => bytes[0],
        GgufValueKind.Int8 => (sbyte)bytes[0],
        GgufValueKind.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
        GgufValueKind.Int16 => BinaryPrimitives.ReadInt16LittleEndian(bytes),
        GgufValueKind.UInt32 => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        GgufValueKind.Int32 => BinaryPrimitives.ReadInt32LittleEndian(bytes),
        GgufValueKind.Int64 => BinaryPrimitives.ReadInt64LittleEndian(bytes),
        _ => null,
    };

    private ModelLoadException Mismatch(string expected) => new(_file, _key, $"expected {expected}, found {this}");

    private ModelLoadException OutOfRange(string expected, IFormattable value) =>
        new(_file, _key, $"expected {expected} integers, found {value.ToString(null, CultureInfo.InvariantCulture)}");
}
