using System.Buffers.Binary;
using System.Text.Unicode;

namespace Decart.Inference.Tokenization;

/// <summary>
/// SentencePiece's compiled map of characters (precompiled_charsmap): what sequences of UTF-8 bytes are replaced by. The file has the size of a trie, the
/// trie as a double array (Aoe, 1989; in the units of Darts-clone), and the replacements, each ended by a zero byte.
/// </summary>
internal sealed class CharacterMap
{
    private const uint LeafFlag = 1u << 31, HasLeafFlag = 1u << 8, FarFlag = 1u << 9;

    private readonly uint[] _units;
    private readonly byte[] _replacements;

    private CharacterMap(uint[] units, byte[] replacements)
    {
        _units = units;
        _replacements = replacements;
    }

    /// <summary>Reads a map; null when it is malformed.</summary>
    public static CharacterMap? TryRead(ReadOnlySpan<byte> map)
    {
        if (map.Length <= sizeof(uint)) return null;
        uint trieBytes = BinaryPrimitives.ReadUInt32LittleEndian(map);
        ReadOnlySpan<byte> rest = map[sizeof(uint)..];
        if (trieBytes is 0 || trieBytes % sizeof(uint) != 0 || trieBytes >= rest.Length) return null;

        uint[] units = new uint[trieBytes / sizeof(uint)];
        for (int i = 0; i < units.Length; i++) units[i] = BinaryPrimitives.ReadUInt32LittleEndian(rest[(i * sizeof(uint))..]);
        byte[] replacements = rest[(int)trieBytes..].ToArray();
        if (replacements[^1] != 0 || !Utf8.IsValid(replacements)) return null;
        foreach (uint unit in units)
        {
            bool isLeaf = (unit & LeafFlag) != 0;
            uint start = unit & ~LeafFlag;
            if (isLeaf && (start >= replacements.Length || IsContinuation(replacements[start]))) return null;
        }
        return new CharacterMap(units, replacements);
    }

    /// <summary>What the longest beginning of a text that the map has is replaced by.</summary>
    /// <param name="text">UTF-8.</param>
    /// <param name="length">How many bytes are replaced; 0 when none are.</param>
    public ReadOnlySpan<byte> ReplaceLongest(ReadOnlySpan<byte> text, out int length) => Replace(text, longest: true, out length);

    /// <summary>As <see cref="ReplaceLongest"/>, by the shortest beginning that the map has.</summary>
    public ReadOnlySpan<byte> ReplaceShortest(ReadOnlySpan<byte> text, out int length) => Replace(text, longest: false, out length);

    private ReadOnlySpan<byte> Replace(ReadOnlySpan<byte> text, bool longest, out int length)
    {
        length = 0;
        uint start = 0, position = Offset(_units[0]);
        for (int i = 0; i < text.Length && text[i] != 0; i++)
        {
            position ^= text[i];
            // A leaf never matches a character: its flag is part of the comparison.
            if (position >= _units.Length || (_units[position] & (LeafFlag | 0xFF)) != text[i]) break;
            uint unit = _units[position];
            position ^= Offset(unit);
            if ((unit & HasLeafFlag) == 0 || position >= _units.Length || (_units[position] & LeafFlag) == 0) continue;
            (start, length) = (_units[position] & ~LeafFlag, i + 1);
            if (!longest) break;
        }
        if (length == 0) return [];
        ReadOnlySpan<byte> replacement = _replacements.AsSpan((int)start);
        return replacement[..replacement.IndexOf((byte)0)];
    }

    private static uint Offset(uint unit) => (unit >> 10) << ((unit & FarFlag) != 0 ? 8 : 0);

    private static bool IsContinuation(byte value) => (value & 0xC0) == 0x80;
}
