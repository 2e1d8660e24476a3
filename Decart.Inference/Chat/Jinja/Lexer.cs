using System.Globalization;
using System.Numerics;
using System.Text;
using Decart.Inference.Tokenization;

namespace Decart.Inference.Chat.Jinja;

/// <summary>
/// Reads the tokens of a template as Jinja does with <c>trim_blocks</c> and <c>lstrip_blocks</c>: a block swallows the line feed after it and the blanks in front of it
/// on its line; a minus at either end of a tag swallows all white space there, a plus keeps it.
/// </summary>
internal sealed class Lexer
{
    private static readonly string[] Operators =
        ["//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"];

    private readonly SourceText _source;
    private readonly string _text;
    private readonly List<Token> _tokens = [];
    private int _position;

    private Lexer(SourceText source)
    {
        _source = source;
        _text = source.Text;
    }

    /// <exception cref="ChatTemplateException">Something in the text is no token.</exception>
    public static List<Token> Read(SourceText source)
    {
        Lexer lexer = new(source);
        lexer.ReadTemplate();
        return lexer._tokens;
    }

    private void ReadTemplate()
    {
        while (_position < _text.Length)
        {
            int tag = NextTag();
            if (tag < 0)
            {
                AddData(_position, _text.Length);
                break;
            }
            int start = _position;
            char kind = _text[tag + 1];
            bool isRaw = kind == '%' && TryReadRawBegin(tag, out _);
            char sign = tag + 2 < _text.Length && _text[tag + 2] is '-' or '+' ? _text[tag + 2] : '\0';
            AddData(start, Trimmed(start, tag, sign, strips: kind != '{'));
            if (isRaw) ReadRaw(tag);
            else if (kind == '#') ReadComment(tag, sign);
            else ReadTag(tag, sign, kind == '%');
        }
        Add(TokenKind.End, "", _text.Length);
    }

    private int NextTag()
    {
        for (int i = _position; i + 1 < _text.Length; i++)
        {
            i = _text.IndexOf('{', i);
            if (i < 0 || i + 1 >= _text.Length) return -1;
            if (_text[i + 1] is '%' or '{' or '#') return i;
        }
        return -1;
    }

    /// <summary>Where the text in front of a tag ends, without the white space that the tag swallows.</summary>
    private int Trimmed(int start, int end, char sign, bool strips)
    {
        if (sign == '-')
        {
            while (end > start && PythonText.IsSpace(_text[end - 1])) end--;
            return end;
        }
        if (sign == '+' || !strips) return end;
        int line = end;
        while (line > start && _text[line - 1] != '\n' && PythonText.IsSpace(_text[line - 1])) line--;
        bool beginsLine = line == 0 || _text[line - 1] == '\n';
        return beginsLine ? line : end;
    }

    private bool TryReadRawBegin(int tag, out int end)
    {
        end = tag + 2;
        if (end < _text.Length && _text[end] is '-' or '+') end++;
        end = SkipSpace(end);
        if (!Follows(end, "raw")) return false;
        end = SkipSpace(end + 3);
        if (Follows(end, "-%}")) end = SkipSpace(end + 3);
        else if (Follows(end, "%}")) end += 2;
        else return false;
        return true;
    }

    private void ReadRaw(int tag)
    {
        TryReadRawBegin(tag, out int start);
        for (int open = _text.IndexOf("{%", start, StringComparison.Ordinal); open >= 0; open = _text.IndexOf("{%", open + 1, StringComparison.Ordinal))
        {
            int end = open + 2;
            char sign = end < _text.Length && _text[end] is '-' or '+' ? _text[end++] : '\0';
            end = SkipSpace(end);
            if (!Follows(end, "endraw")) continue;
            end = SkipSpace(end + 6);
            if (TagEnd(end, isBlock: true) is not { } after) continue;
            _position = start;
            AddData(start, Trimmed(start, open, sign, strips: true));
            _position = after;
            return;
        }
        throw _source.WrongSyntax("expected an endraw tag, found none", tag);
    }

    private void ReadComment(int tag, char sign)
    {
        int start = tag + (sign == '\0' ? 2 : 3);
        int end = _text.IndexOf("#}", start, StringComparison.Ordinal);
        if (end < 0) throw _source.WrongSyntax("expected \"#}\", which ends the comment, found none", tag);
        char last = end > start ? _text[end - 1] : '\0';
        _position = end + 2;
        if (last == '-') _position = SkipSpace(_position);
        else if (last != '+' && Follows(_position, "\n")) _position++;
    }

    private void ReadTag(int tag, char sign, bool isBlock)
    {
        _position = tag + (sign == '\0' ? 2 : 3);
        Add(isBlock ? TokenKind.BlockBegin : TokenKind.VariableBegin, "", tag);
        List<Token> brackets = [];
        while (true)
        {
            if (_position >= _text.Length) throw _source.WrongSyntax($"expected \"{(isBlock ? "%}" : "}}")}\", found the end of the template", tag);
            if (brackets.Count == 0 && TagEnd(_position, isBlock) is { } end)
            {
                Add(isBlock ? TokenKind.BlockEnd : TokenKind.VariableEnd, "", _position);
                _position = end;
                return;
            }
            if (PythonText.IsSpace(_text[_position])) _position++;
            else ReadToken(brackets);
        }
    }

    /// <summary>The position after what ends a tag, with the white space that it swallows; null where no tag ends.</summary>
    private int? TagEnd(int position, bool isBlock)
    {
        string close = isBlock ? "%}" : "}}";
        if (Follows(position, "-" + close)) return SkipSpace(position + 3);
        if (isBlock && Follows(position, "+" + close)) return position + 3;
        if (!Follows(position, close)) return null;
        return isBlock && Follows(position + 2, "\n") ? position + 3 : position + 2;
    }

    private void ReadToken(List<Token> brackets)
    {
        char first = _text[_position];
        if (char.IsAsciiDigit(first)) ReadNumber();
        else if (first is '\'' or '"') ReadString();
        else if (IsWord(_position)) ReadName();
        else ReadOperator(brackets);
    }

    private void ReadNumber()
    {
        int start = _position;
        int end = SkipDigits(start);
        int whole = end;
        bool isFloat = false;
        if (start == 0 || _text[start - 1] != '.')
        {
            if (Follows(end, ".") && end + 1 < _text.Length && char.IsAsciiDigit(_text[end + 1]))
            {
                end = SkipDigits(end + 1);
                isFloat = true;
            }
            int exponent = end;
            if (end < _text.Length && _text[end] is 'e' or 'E')
            {
                exponent++;
                if (exponent < _text.Length && _text[exponent] is '+' or '-') exponent++;
                if (exponent < _text.Length && char.IsAsciiDigit(_text[exponent]))
                {
                    end = SkipDigits(exponent);
                    isFloat = true;
                }
            }
        }
        if (isFloat)
        {
            double number = double.Parse(_text[start..end].Replace("_", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
            _tokens.Add(new Token(TokenKind.Float, _text[start..end], start) { Float = number });
            _position = end;
            return;
        }
        end = IntegerEnd(start, whole);
        if (!PythonNumbers.TryParseInteger(_text[start..end], 0, out BigInteger integer)) throw _source.WrongSyntax("expected a number", start);
        _tokens.Add(new Token(TokenKind.Integer, _text[start..end], start) { Integer = integer });
        _position = end;
    }

    /// <summary>Where an integer ends: with a prefix it has other digits, and only zeros follow a zero.</summary>
    private int IntegerEnd(int start, int decimalEnd)
    {
        if (_text[start] != '0') return decimalEnd;
        Func<char, bool>? isDigit = start + 1 < _text.Length ? char.ToLowerInvariant(_text[start + 1]) switch
        {
            'x' => char.IsAsciiHexDigit,
            'o' => character => character is >= '0' and <= '7',
            'b' => character => character is '0' or '1',
            _ => null,
        } : null;
        if (isDigit is not null && SkipDigits(start + 2, isDigit) is var end && end > start + 2) return end;
        return SkipDigits(start, character => character == '0');
    }

    private int SkipDigits(int position, Func<char, bool>? isDigit = null)
    {
        isDigit ??= char.IsAsciiDigit;
        while (position < _text.Length && (isDigit(_text[position]) || (_text[position] == '_' && position + 1 < _text.Length && isDigit(_text[position + 1])))) position++;
        return position;
    }

    private void ReadString()
    {
        int start = _position;
        char quote = _text[start];
        int end = start + 1;
        while (end < _text.Length && _text[end] != quote) end += _text[end] == '\\' ? 2 : 1;
        if (end >= _text.Length) throw _source.WrongSyntax("expected a quotation mark that ends the string, found none", start);
        Add(TokenKind.Text, Unescape(start + 1, end), start);
        _position = end + 1;
    }

    /// <summary>A string's text: escapes as Python has them, others kept as they are written.</summary>
    private string Unescape(int start, int end)
    {
        if (_text.IndexOf('\\', start, end - start) < 0) return _text[start..end];
        StringBuilder text = new();
        for (int i = start; i < end; i++)
        {
            if (_text[i] != '\\')
            {
                text.Append(_text[i]);
                continue;
            }
            char letter = _text[++i];
            switch (letter)
            {
                case '\n': break;
                case '\\' or '\'' or '"': text.Append(letter); break;
                case 'a': text.Append('\a'); break;
                case 'b': text.Append('\b'); break;
                case 'f': text.Append('\f'); break;
                case 'n': text.Append('\n'); break;
                case 'r': text.Append('\r'); break;
                case 't': text.Append('\t'); break;
                case 'v': text.Append('\v'); break;
                case 'x': AppendCode(text, ref i, end, 2); break;
                case 'u': AppendCode(text, ref i, end, 4); break;
                case 'U': AppendCode(text, ref i, end, 8); break;
                case 'N': throw _source.WrongSyntax("characters by their names (\\N) are not supported", i - 1);
                case >= '0' and <= '7':
                    int octal = 0;
                    for (int digits = 0; digits < 3 && i < end && _text[i] is >= '0' and <= '7'; digits++, i++) octal = (octal * 8) + _text[i] - '0';
                    i--;
                    text.Append((char)octal);
                    break;
                case < '\x80': text.Append('\\').Append(letter); break;
                default:
                    // Python sees such a character as an escape of its own, whose backslash this one escapes.
                    bool isPair = i + 1 < end && char.IsSurrogatePair(letter, _text[i + 1]);
                    text.Append(PythonText.EscapeCode(CodePoints.At(_text, i, out _)));
                    if (isPair) i++;
                    break;
            }
        }
        return text.ToString();
    }

    private void AppendCode(StringBuilder text, ref int i, int end, int digits)
    {
        if (i + digits >= end || !int.TryParse(_text.AsSpan(i + 1, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int code) || code is < 0 or > 0x10FFFF)
            throw _source.WrongSyntax($"expected {digits} hexadecimal digits of a character after \"\\{_text[i]}\"", i - 1);
        if (code < 0x10000) text.Append((char)code);
        else text.Append(char.ConvertFromUtf32(code));
        i += digits;
    }

    private void ReadName()
    {
        int start = _position;
        while (_position < _text.Length && IsWord(_position)) _position += char.IsHighSurrogate(_text[_position]) ? 2 : 1;
        Add(TokenKind.Name, _text[start.._position], start);
    }

    private void ReadOperator(List<Token> brackets)
    {
        foreach (string symbol in Operators)
        {
            if (!Follows(_position, symbol)) continue;
            Add(TokenKind.Operator, symbol, _position);
            if (symbol is "(" or "[" or "{") brackets.Add(_tokens[^1]);
            if (symbol is ")" or "]" or "}") CloseBracket(brackets, symbol);
            _position += symbol.Length;
            return;
        }
        throw _source.WrongSyntax($"unexpected character {Rune.GetRuneAt(WellFormed(_position), 0)}", _position);
    }

    private void CloseBracket(List<Token> brackets, string symbol)
    {
        string? expected = brackets.Count == 0 ? null : brackets[^1].Text switch { "(" => ")", "[" => "]", _ => "}" };
        if (expected != symbol) throw _source.WrongSyntax(expected is null ? $"unexpected '{symbol}'" : $"unexpected '{symbol}', expected '{expected}'", _position);
        brackets.RemoveAt(brackets.Count - 1);
    }

    private string WellFormed(int position) => CodePoints.WellFormed(_text.Substring(position, Math.Min(2, _text.Length - position)));

    private bool IsWord(int position) => _text[position] == '_' || CodePoints.IsWord(CodePoints.At(_text, position, out _));

    private bool Follows(int position, string text) => string.CompareOrdinal(_text, position, text, 0, text.Length) == 0;

    private int SkipSpace(int position)
    {
        while (position < _text.Length && PythonText.IsSpace(_text[position])) position++;
        return position;
    }

    private void AddData(int start, int end)
    {
        if (end > start) Add(TokenKind.Data, _text[start..end], start);
    }

    private void Add(TokenKind kind, string text, int position) => _tokens.Add(new Token(kind, text, position));
}
