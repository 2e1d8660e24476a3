using System.Buffers.Binary;
using System.Text;

namespace Decart.Inference.Tests.Checkpoints;

/// <summary>Composes safetensors files, damaged ones included.</summary>
internal static class SafetensorsBytes
{
    /// <summary>The header's length, the header as given, and data of ascending bytes.</summary>
    public static byte[] Compose(string header, int dataBytes) => Compose(Encoding.UTF8.GetBytes(header), dataBytes);

    public static byte[] Compose(byte[] header, int dataBytes)
    {
        byte[] bytes = new byte[8 + header.Length + dataBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (ulong)header.Length);
        header.CopyTo(bytes, 8);
        for (int i = 0; i < dataBytes; i++) bytes[8 + header.Length + i] = (byte)i;
        return bytes;
    }

    /// <summary>One float32 vector of a name: a whole small file.</summary>
    public static byte[] Vector(string name, int length) =>
        Compose($$$"""{"{{{name}}}":{"dtype":"F32","shape":[{{{length}}}],"data_offsets":[0,{{{4 * length}}}]}}""", 4 * length);
}
