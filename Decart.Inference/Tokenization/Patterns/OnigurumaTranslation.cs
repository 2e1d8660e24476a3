using System.Globalization;
using System.Text;

namespace Decart.Inference.Tokenization;

/// <summary>
/// An expression in Oniguruma's syntax, written for .NET: possessive quantifiers, intersections of classes, long property names,
/// scripts, and code points beyond the basic plane, which <see cref="PlaneProjection"/> represents by one character each.
/// </summary>
internal sealed partial class OnigurumaTranslation
{
    // Noncharacters stand for the ranges beyond the basic plane that the expression names.
    private const int FirstStand = 0xFDD0, MostStands = 32;

    private readonly string _source;
    private readonly StringBuilder _output = new();
    private readonly List<(int First, int Last)> _named = [];
    private readonly List<(int First, int Last)> _supplementary = [];
    private int _position;

    private OnigurumaTranslation(string source)
    {
        _source = source;
        Translate();
        Expression = _output.ToString();
    }

    /// <summary>The expression for <see cref="System.Text.RegularExpressions.Regex"/>.</summary>
    public string Expression { get; }

    /// <exception cref="ArgumentException">The expression is malformed or uses what is not supported.</exception>
    public static OnigurumaTranslation Of(string source) => new(source);

    /// <summary>Whether the expression names this character of the basic plane, by itself or in a range.</summary>
    public bool Names(int character) => _named.Exists(range => character >= range.First && character <= range.Last);

    /// <summary>What stands for a code point beyond the basic plane that the expression names, or null.</summary>
    public char? SupplementaryRange(int codePoint)
    {
        int index = _supplementary.FindIndex(range => codePoint >= range.First && codePoint <= range.Last);
        return index < 0 ? null : (char)(FirstStand + index);
    }

    private void Translate()
    {
        // Where the group began, and whether case was ignored outside it.
        Stack<(int Start, bool IgnoreCase)> groups = new();
        bool ignoreCase = false;
        int atom = -1;
        while (_position < _source.Length)
        {
            char character = _source[_position];
            switch (character)
            {
                case '(':
                    groups.Push((_output.Length, ignoreCase));
                    ignoreCase = TranslateGroupStart(ignoreCase, out bool isGroup);
                    if (!isGroup) groups.Pop();
                    atom = -1;
                    break;
                case ')':
                    _position++;
                    _output.Append(')');
                    if (!groups.TryPop(out var group)) throw Unsupported("a ) without (");
                    (atom, ignoreCase) = group;
                    break;
                case '*' or '+' or '?' or '{':
                    TranslateQuantifier(atom);
                    break;
                case '|' or '^' or '$':
                    _position++;
                    _output.Append(character);
                    atom = -1;
                    break;
                default:
                    atom = _output.Length;
                    TranslateAtom(character, ignoreCase);
                    break;
            }
        }
    }

    /// <summary>Copies "(" and what says which kind of group it is; returns whether case is ignored from there on.</summary>
    private bool TranslateGroupStart(bool ignoreCase, out bool isGroup)
    {
        isGroup = true;
        int end = _position + 1;
        if (end >= _source.Length || _source[end] != '?')
        {
            _output.Append('(');
            _position = end;
            return ignoreCase;
        }
        end++;
        while (end < _source.Length && (char.IsAsciiLetter(_source[end]) || _source[end] == '-')) end++;
        ReadOnlySpan<char> options = _source.AsSpan(_position + 2, end - _position - 2);
        if (end >= _source.Length) throw Unsupported("a group without an end");
        if (options.IsEmpty)
        {
            // Look-around, atomic, named and plain groups are written alike.
            _output.Append("(?");
            _position = end;
            if (_source[end] == '#') throw Unsupported("a comment");
            if (_source[end] is ':' or '=' or '!' or '>')
            {
                _output.Append(_source[end]);
                _position++;
            }
            else if (_source[end] == '<' && end + 1 < _source.Length && _source[end + 1] is '=' or '!')
            {
                _output.Append(_source, end, 2);
                _position += 2;
            }
            else
            {
                throw Unsupported("a named group");
            }
            return ignoreCase;
        }
        int minus = options.IndexOf('-');
        ReadOnlySpan<char> on = minus < 0 ? options : options[..minus], off = minus < 0 ? default : options[(minus + 1)..];
        // Oniguruma's m is .NET's s: the dot matches newlines.
        _output.Append("(?").Append(options.ToString().Replace('m', 's')).Append(_source[end]);
        _position = end + 1;
        isGroup = _source[end] == ':';
        if (!isGroup && _source[end] != ')') throw Unsupported("a group that is not known");
        return (ignoreCase || on.Contains('i')) && !off.Contains('i');
    }

    private void TranslateQuantifier(int atom)
    {
        char character = _source[_position];
        if (character == '{' && !IsInterval(_position))
        {
            _output.Append("\\{");
            _position++;
            return;
        }
        if (atom < 0) throw Unsupported("a quantifier without anything before it");
        int end = character == '{' ? _source.IndexOf('}', _position) + 1 : _position + 1;
        string quantifier = _source[_position..end];
        if (quantifier.StartsWith("{,", StringComparison.Ordinal)) quantifier = "{0" + quantifier[1..];
        _output.Append(quantifier);
        _position = end;
        if (_position >= _source.Length) return;
        if (_source[_position] == '?')
        {
            _output.Append('?');
            _position++;
        }
        else if (_source[_position] == '+')
        {
            // After an interval this is not a possessive quantifier but a second, greedy one.
            _output.Insert(atom, character == '{' ? "(?:" : "(?>").Append(character == '{' ? ")+" : ")");
            _position++;
        }
    }

    private bool IsInterval(int position)
    {
        int end = _source.IndexOf('}', position);
        if (end < 0 || end == position + 1) return false;
        ReadOnlySpan<char> body = _source.AsSpan(position + 1, end - position - 1);
        return body.Trim("0123456789,").IsEmpty && body.Count(',') <= 1 && body is not ",";
    }

    private void TranslateAtom(char character, bool ignoreCase)
    {
        switch (character)
        {
            case '\\':
                TranslateEscape(inClass: false, ignoreCase);
                break;
            case '[':
                TranslateClass(ignoreCase);
                break;
            case '.':
                _position++;
                _output.Append('.');
                break;
            default:
                AppendLiteral(ReadCodePoint(), inClass: false, ignoreCase);
                break;
        }
    }

    private int ReadCodePoint()
    {
        int codePoint = CodePoints.At(_source, _position, out int length);
        _position += length;
        return codePoint;
    }

    private void TranslateClass(bool ignoreCase)
    {
        _position++;
        _output.Append('[');
        if (Peek('^')) _output.Append(_source[_position++]);
        int start = _position;
        while (true)
        {
            if (_position >= _source.Length) throw Unsupported("a class without an end");
            if (_source[_position] == ']' && _position > start) break;
            if (_source.AsSpan(_position).StartsWith("&&["))
            {
                TranslateIntersection(ignoreCase);
                break;
            }
            if (_source[_position] == '[') throw Unsupported("a class within a class");
            if (_source[_position] == '\\' && !IsCodePointEscape(_position)) TranslateEscape(inClass: true, ignoreCase);
            else TranslateRange(ignoreCase);
        }
        _position++;
        _output.Append(']');
    }

    /// <summary>X&amp;&amp;[^Y] is X without Y.</summary>
    private void TranslateIntersection(bool ignoreCase)
    {
        if (!_source.AsSpan(_position).StartsWith("&&[^")) throw Unsupported("an intersection other than with the negation of a class");
        _position += 4;
        _output.Append("-[");
        while (!Peek(']'))
        {
            if (_position >= _source.Length || _source[_position] is '[' or '&') throw Unsupported("a class without an end");
            if (_source[_position] == '\\' && !IsCodePointEscape(_position)) TranslateEscape(inClass: true, ignoreCase);
            else TranslateRange(ignoreCase);
        }
        _position++;
        _output.Append(']');
        if (!Peek(']')) throw Unsupported("an intersection that does not end the class");
    }

    private void TranslateRange(bool ignoreCase)
    {
        int first = ReadClassCodePoint();
        bool isRange = Peek('-') && _position + 1 < _source.Length && _source[_position + 1] != ']'
            && (_source[_position + 1] != '\\' || IsCodePointEscape(_position + 1));
        if (!isRange)
        {
            AppendLiteral(first, inClass: true, ignoreCase);
            return;
        }
        _position++;
        int last = ReadClassCodePoint();
        if (last < first) throw Unsupported("a range in reverse");
        if (first <= char.MaxValue)
        {
            int end = Math.Min(last, char.MaxValue);
            _named.Add((first, end));
            AppendEscaped((char)first);
            _output.Append('-');
            AppendEscaped((char)end);
        }
        if (last > char.MaxValue) _output.Append(StandFor(Math.Max(first, 0x10000), last));
    }

    private int ReadClassCodePoint() => _source[_position] == '\\' ? ReadCodePointEscape() : ReadCodePoint();

    private void AppendLiteral(int codePoint, bool inClass, bool ignoreCase)
    {
        if (codePoint > char.MaxValue)
        {
            _output.Append(StandFor(codePoint, codePoint));
            return;
        }
        char character = (char)codePoint;
        _named.Add((character, character));
        // The long s is an s when case is ignored, which .NET does not know.
        bool withLongS = ignoreCase && character is 's' or 'S';
        if (withLongS && !inClass) _output.Append('[');
        AppendEscaped(character);
        if (withLongS) _output.Append(inClass ? "\u017F" : "\u017F]");
    }

    private void AppendEscaped(char character)
    {
        if (char.IsAsciiLetterOrDigit(character) || character > 0x7F) _output.Append(character);
        else _output.Append(CultureInfo.InvariantCulture, $"\\x{(int)character:X2}");
    }

    private char StandFor(int first, int last)
    {
        int index = _supplementary.IndexOf((first, last));
        if (index < 0)
        {
            index = _supplementary.Count;
            if (index == MostStands) throw Unsupported($"more than {MostStands} ranges beyond the basic plane");
            _supplementary.Add((first, last));
        }
        return (char)(FirstStand + index);
    }

    private bool Peek(char character) => _position < _source.Length && _source[_position] == character;

    private ArgumentException Unsupported(string what) => new($"{what} at character {_position} is not supported");
}
