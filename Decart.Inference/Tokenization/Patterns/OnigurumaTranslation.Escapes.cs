using System.Globalization;

namespace Decart.Inference.Tokenization;

// What begins with a backslash.
internal sealed partial class OnigurumaTranslation
{
    private const string WordRanges = @"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}";
    private const string HexadecimalRanges = "0-9a-fA-F";

    // .NET's own boundaries know fewer marks and count joiners among the characters of words; Oniguruma's count superscripts and fractions of Latin-1.
    private const string BoundedRanges = WordRanges + @"\xB2\xB3\xB9\xBC-\xBE";
    private const string WordBoundary = $"(?:(?<=[{BoundedRanges}])(?![{BoundedRanges}])|(?<![{BoundedRanges}])(?=[{BoundedRanges}]))";
    private const string NoWordBoundary = $"(?:(?<=[{BoundedRanges}])(?=[{BoundedRanges}])|(?<![{BoundedRanges}])(?![{BoundedRanges}]))";

    private static readonly HashSet<string> Categories =
    [
        "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
        "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "C", "Cc", "Cf", "Co", "Cn",
    ];

    private void TranslateEscape(bool inClass, bool ignoreCase)
    {
        if (IsCodePointEscape(_position))
        {
            AppendLiteral(ReadCodePointEscape(), inClass, ignoreCase);
            return;
        }
        char letter = _position + 1 < _source.Length ? _source[_position + 1] : throw Unsupported("a lone backslash");
        _position += 2;
        switch (letter)
        {
            case 'p' or 'P':
                TranslateProperty(letter == 'P', inClass);
                break;
            case 'd' or 'D' or 's' or 'S':
                _output.Append('\\').Append(letter);
                break;
            case 'w' or 'W':
                AppendRanges(WordRanges, negated: letter == 'W', inClass);
                break;
            case 'h' or 'H':
                AppendRanges(HexadecimalRanges, negated: letter == 'H', inClass);
                break;
            case 'b' when !inClass:
                _output.Append(WordBoundary);
                break;
            case 'B' when !inClass:
                _output.Append(NoWordBoundary);
                break;
            case 'A' or 'z' or 'Z' or 'G' when !inClass:
                _output.Append('\\').Append(letter);
                break;
            case 'R' when !inClass:
                _output.Append(@"(?>\r\n|[\n-\r\x85\u2028\u2029])");
                break;
            default:
                throw Unsupported($"\\{letter}");
        }
    }

    private void TranslateProperty(bool negated, bool inClass)
    {
        int end = _source.IndexOf('}', _position);
        if (!Peek('{') || end < 0) throw Unsupported("\\p without a name in braces");
        ReadOnlySpan<char> name = _source.AsSpan(_position + 1, end - _position - 1);
        _position = end + 1;
        if (name.StartsWith("^"))
        {
            negated = !negated;
            name = name[1..];
        }
        string property = CategoryOf(name.ToString());
        if (Categories.Contains(property)) _output.Append(negated ? "\\P{" : "\\p{").Append(property).Append('}');
        else if (UnicodeScripts.Ranges(property) is { } ranges) AppendRanges(ranges, negated, inClass);
        else throw Unsupported($"the property {property}");
    }

    private static string CategoryOf(string name) => name switch
    {
        "Letter" => "L",
        "Uppercase_Letter" => "Lu",
        "Lowercase_Letter" => "Ll",
        "Mark" => "M",
        "Number" => "N",
        "Decimal_Number" or "Digit" => "Nd",
        "Punctuation" => "P",
        "Symbol" => "S",
        "Separator" => "Z",
        "Other" => "C",
        _ => name,
    };

    private void AppendRanges(string ranges, bool negated, bool inClass)
    {
        if (!inClass) _output.Append(negated ? "[^" : "[").Append(ranges).Append(']');
        else if (!negated) _output.Append(ranges);
        else throw Unsupported("the negation of ranges within a class");
    }

    /// <summary>Whether the escape at a position stands for one code point.</summary>
    private bool IsCodePointEscape(int position) =>
        position + 1 < _source.Length
        && (_source[position + 1] is 'x' or 'u' or 'n' or 'r' or 't' or 'f' or 'v' or 'a' or 'e' || !char.IsAsciiLetterOrDigit(_source[position + 1]));

    private int ReadCodePointEscape()
    {
        char letter = _source[_position + 1];
        _position += 2;
        switch (letter)
        {
            case 'n': return '\n';
            case 'r': return '\r';
            case 't': return '\t';
            case 'f': return '\f';
            case 'v': return '\v';
            case 'a': return '\a';
            case 'e': return 0x1B;
            case 'u': return ReadHexadecimal(4);
            case 'x' when Peek('{'):
                int end = _source.IndexOf('}', _position);
                if (end < 0) throw Unsupported("\\x{ without }");
                _position++;
                int codePoint = ReadHexadecimal(end - _position);
                _position++;
                return codePoint;
            case 'x': return ReadHexadecimal(2);
            default:
                _position--;
                return ReadCodePoint();
        }
    }

    private int ReadHexadecimal(int digits)
    {
        if (digits is 0 or > 8 || _position + digits > _source.Length
            || !int.TryParse(_source.AsSpan(_position, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value)
            || value is < 0 or > 0x10FFFF or (>= 0xD800 and <= 0xDFFF))
        {
            throw Unsupported("a code point that does not exist");
        }
        _position += digits;
        return value;
    }
}
