using System.Buffers.Binary;
using System.Text;

namespace Decart.Inference.Tokenization;

/// <summary>
/// Reads the fields of a protobuf message (wire format of protobuf 2 and 3) from the bytes of a file, and from nowhere else.
/// </summary>
/// <param name="file">The file, for error messages.</param>
/// <param name="message">The message's bytes.</param>
/// <param name="path">The message's place in the file, for error messages; null for the outermost.</param>
internal ref struct ProtobufReader(string file, ReadOnlySpan<byte> message, string? path)
{
    private const int Variable = 0, Fixed64 = 1, LengthDelimited = 2, Fixed32 = 5;

    private readonly ReadOnlySpan<byte> _message = message;
    private int _position;
    private int _wireType;

    /// <summary>The number of the field that <see cref="Next"/> came to.</summary>
    public int Field { get; private set; }

    /// <summary>Goes to the next field; false at the end.</summary>
    public bool Next()
    {
        if (_position == _message.Length) return false;
        ulong key = ReadVariable();
        (Field, _wireType) = key <= uint.MaxValue ? ((int)(key >> 3), (int)(key & 7)) : throw Malformed("a field's key of 32 bits");
        return true;
    }

    public bool ReadBoolean() => ReadNumber() != 0;

    public int ReadInt32() => unchecked((int)ReadNumber());

    public float ReadSingle()
    {
        Expect(Fixed32, "a float");
        return BinaryPrimitives.ReadSingleLittleEndian(Take(4));
    }

    public string ReadText(string name)
    {
        try
        {
            return StrictUtf8.GetString(ReadBytes());
        }
        catch (DecoderFallbackException exception)
        {
            throw new ModelLoadException(file, path is null ? name : $"{path}.{name}", "expected UTF-8, found other bytes", exception);
        }
    }

    public ReadOnlySpan<byte> ReadBytes()
    {
        Expect(LengthDelimited, "bytes with a length");
        ulong length = ReadVariable();
        int left = _message.Length - _position;
        return length <= (ulong)left ? Take((int)length) : throw Malformed($"{length} bytes, of which {left} are there,");
    }

    /// <summary>Passes over a field whose number means nothing to the reader.</summary>
    public void Skip()
    {
        switch (_wireType)
        {
            case Variable: ReadVariable(); break;
            case Fixed64: Take(8); break;
            case LengthDelimited: ReadBytes(); break;
            case Fixed32: Take(4); break;
            default: throw Malformed($"a wire type that is known in field {Field}");
        }
    }

    private static UTF8Encoding StrictUtf8 { get; } = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private ulong ReadNumber()
    {
        Expect(Variable, "an integer");
        return ReadVariable();
    }

    private ulong ReadVariable()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte part = Take(1)[0];
            value |= (ulong)(part & 0x7F) << shift;
            if (part < 0x80) return value;
        }
        throw Malformed("an integer of at most 10 bytes");
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > _message.Length - _position) throw Malformed("more bytes");
        ReadOnlySpan<byte> bytes = _message.Slice(_position, count);
        _position += count;
        return bytes;
    }

    private readonly void Expect(int wireType, string what)
    {
        if (_wireType != wireType) throw Malformed($"{what} in field {Field}");
    }

    private readonly ModelLoadException Malformed(string expected) => new(file, path, $"expected {expected} at byte {_position} of {_message.Length}");
}
