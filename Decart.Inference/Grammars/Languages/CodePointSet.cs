using System.Runtime.InteropServices;

namespace Decart.Inference.Grammars.Languages;

/// <summary>A set of Unicode scalar values, as ascending ranges that neither touch nor overlap. Immutable.</summary>
internal sealed class CodePointSet : IEquatable<CodePointSet>
{
    private const int Last = 0x10FFFF, FirstSurrogate = 0xD800, LastSurrogate = 0xDFFF;

    private readonly (int From, int To)[] _ranges;

    private CodePointSet(IEnumerable<(int From, int To)> ranges)
    {
        List<(int From, int To)> merged = [];
        foreach ((int from, int to) in ranges.Where(range => range.From <= range.To).Order())
        {
            Span<(int From, int To)> last = CollectionsMarshal.AsSpan(merged)[Math.Max(0, merged.Count - 1)..];
            if (!last.IsEmpty && from <= last[0].To + 1) last[0].To = Math.Max(last[0].To, to);
            else merged.Add((from, to));
        }
        _ranges = [.. merged];
    }

    public static CodePointSet None { get; } = new([]);

    public static CodePointSet All { get; } = new([(0, FirstSurrogate - 1), (LastSurrogate + 1, Last)]);

    public bool IsEmpty => _ranges.Length == 0;

    public IReadOnlyList<(int From, int To)> Ranges => _ranges;

    /// <summary>The code points of ranges, both ends included; surrogates are left out.</summary>
    public static CodePointSet Of(params IEnumerable<(int From, int To)> ranges) => new CodePointSet(ranges).And(All);

    public static CodePointSet Of(int codePoint) => Of((codePoint, codePoint));

    public static CodePointSet Of(string characters) => Of(characters.EnumerateRunes().Select(rune => (rune.Value, rune.Value)));

    public bool Contains(int codePoint) => Array.Exists(_ranges, range => range.From <= codePoint && codePoint <= range.To);

    public CodePointSet Or(CodePointSet other) => new(_ranges.Concat(other._ranges));

    public CodePointSet And(CodePointSet other)
    {
        List<(int, int)> common = [];
        for (int mine = 0, its = 0; mine < _ranges.Length && its < other._ranges.Length;)
        {
            common.Add((Math.Max(_ranges[mine].From, other._ranges[its].From), Math.Min(_ranges[mine].To, other._ranges[its].To)));
            if (_ranges[mine].To < other._ranges[its].To) mine++;
            else its++;
        }
        return new CodePointSet(common);
    }

    /// <summary>All scalar values but these.</summary>
    public CodePointSet Not()
    {
        List<(int, int)> gaps = [];
        int next = 0;
        foreach ((int from, int to) in _ranges)
        {
            gaps.Add((next, from - 1));
            next = to + 1;
        }
        gaps.Add((next, Last));
        return Of(gaps);
    }

    public CodePointSet Except(CodePointSet other) => And(other.Not());

    public bool Equals(CodePointSet? other) => other is not null && _ranges.AsSpan().SequenceEqual(other._ranges);

    public override bool Equals(object? obj) => Equals(obj as CodePointSet);

    public override int GetHashCode()
    {
        HashCode hash = default;
        foreach ((int from, int to) in _ranges) hash.Add((from, to));
        return hash.ToHashCode();
    }
}
