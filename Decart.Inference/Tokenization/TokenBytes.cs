using System.Buffers;

namespace Decart.Inference.Tokenization;

/// <summary>The bytes of every token, one after the other.</summary>
internal sealed class TokenBytes
{
    private readonly byte[] _bytes;
    private readonly int[] _ends;

    /// <param name="tokens">The number of ids.</param>
    /// <param name="append">Writes the bytes of an id.</param>
    public TokenBytes(int tokens, Action<int, IBufferWriter<byte>> append)
    {
        ArrayBufferWriter<byte> writer = new();
        _ends = new int[tokens];
        for (int id = 0; id < tokens; id++)
        {
            append(id, writer);
            _ends[id] = writer.WrittenCount;
        }
        _bytes = writer.WrittenSpan.ToArray();
    }

    public ReadOnlyMemory<byte> this[int id]
    {
        get
        {
            int start = id == 0 ? 0 : _ends[id - 1];
            return _bytes.AsMemory(start, _ends[id] - start);
        }
    }
}
