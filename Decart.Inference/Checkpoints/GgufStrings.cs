using System.Collections;
using System.Text;

namespace Decart.Inference.Checkpoints;

/// <summary>
/// The strings of a GGUF metadata array, kept as the bytes of the file and decoded when asked for. Immutable and safe for use
/// by any number of threads; independent of the file once read.
/// </summary>
/// <remarks>Tokens need not be whole UTF-8: <see cref="GetBytes"/> gives them as they are, the indexer with U+FFFD for what is invalid.</remarks>
public sealed class GgufStrings : IReadOnlyList<string>
{
    private readonly byte[] _bytes;
    private readonly int[] _ends;

    internal GgufStrings(byte[] bytes, int[] ends)
    {
        _bytes = bytes;
        _ends = ends;
    }

    /// <inheritdoc/>
    public int Count => _ends.Length;

    /// <summary>The string at an index, invalid UTF-8 replaced by U+FFFD. Decoded at each call.</summary>
    /// <param name="index">The index, from 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">The index is negative or at least <see cref="Count"/>.</exception>
    public string this[int index] => Encoding.UTF8.GetString(GetBytes(index));

    /// <summary>The bytes of the string at an index, as the file has them.</summary>
    /// <param name="index">The index, from 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">The index is negative or at least <see cref="Count"/>.</exception>
    public ReadOnlySpan<byte> GetBytes(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        int start = index == 0 ? 0 : _ends[index - 1];
        return _bytes.AsSpan(start, _ends[index] - start);
    }

    /// <inheritdoc/>
    public IEnumerator<string> GetEnumerator()
    {
        for (int i = 0; i < Count; i++) yield return this[i];
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
