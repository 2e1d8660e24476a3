using System.Globalization;
using System.Text;
using Decart.Inference.Checkpoints;
using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Patterns;

/// <summary>
/// Reads regular expressions as ECMA-262 and .NET write them, as far as they describe regular languages: no references to groups, no lookbehind, no word
/// boundaries, no options.
/// </summary>
internal sealed class PatternParser
{
    public const int MaxRepetitions = 1_000_000;

    private const int MaxLength = 65_536, MaxNesting = 200, EndOfText = -1;

    private readonly int[] _text;
    private readonly string _pattern;
    private int _position;
    private int _nesting;

    private PatternParser(string pattern)
    {
        _pattern = pattern;
        _text = [.. pattern.EnumerateRunes().Select(rune => rune.Value)];
    }

    private int Current => _position < _text.Length ? _text[_position] : EndOfText;

    /// <exception cref="GrammarException">It is malformed, or asks for what is not supported.</exception>
    public static Pattern Parse(string pattern)
    {
        if (pattern.Length > MaxLength) throw new GrammarException($"A regular expression has {pattern.Length} characters; at most {MaxLength} were expected.");
        PatternParser parser = new(pattern);
        Pattern parsed = parser.ParseAlternatives();
        return parser.Current == EndOfText ? parsed : throw parser.Error("a closing parenthesis that was never opened");
    }

    private Pattern ParseAlternatives()
    {
        if (++_nesting > MaxNesting) throw Error($"groups nested more than {MaxNesting} deep");
        List<Pattern> alternatives = [ParseSequence()];
        while (TryTake('|')) alternatives.Add(ParseSequence());
        _nesting--;
        return alternatives.Count == 1 ? alternatives[0] : new AlternativePattern(alternatives);
    }

    private SequencePattern ParseSequence()
    {
        List<Pattern> parts = [];
        while (Current is not (EndOfText or '|' or ')')) parts.Add(ParseQuantified());
        return new SequencePattern(parts);
    }

    private Pattern ParseQuantified()
    {
        Pattern part = ParseAtom();
        while (TryTakeQuantifier(out int min, out int max))
        {
            if (part is AnchorPattern or LookaheadPattern) throw Error("a quantifier after something that has no characters");
            if (TryTake('+')) throw Error("a possessive quantifier, which is not supported");
            TryTake('?'); // which of several matches is found first makes no difference here
            part = new RepeatedPattern(part, min, max);
        }
        return part;
    }

    private bool TryTakeQuantifier(out int min, out int max)
    {
        (min, max) = (0, Language.Unbounded);
        if (TryTake('*')) return true;
        if (TryTake('+'))
        {
            min = 1;
            return true;
        }
        if (TryTake('?'))
        {
            max = 1;
            return true;
        }
        int start = _position;
        if (!TryTake('{')) return false;
        if (TryTakeNumber(out min))
        {
            max = min;
            bool hasMax = TryTake(',');
            if (hasMax && !TryTakeNumber(out max)) max = Language.Unbounded;
            if (TryTake('}'))
            {
                if (max != Language.Unbounded && max < min) throw Error("a quantifier whose bounds are in the wrong order");
                return true;
            }
        }
        _position = start; // a brace that counts nothing stands for itself
        return false;
    }

    private bool TryTakeNumber(out int number)
    {
        number = 0;
        int start = _position;
        for (; Current is >= '0' and <= '9'; _position++)
        {
            number = (number * 10) + (Current - '0');
            if (number > MaxRepetitions) throw Error($"more than {MaxRepetitions} repetitions");
        }
        return _position > start;
    }

    private Pattern ParseAtom()
    {
        int character = Current;
        switch (character)
        {
            case '^':
            case '$':
                _position++;
                return new AnchorPattern(character == '^');
            case '.':
                _position++;
                return new CharacterPattern(CharacterClasses.NoLineEnds);
            case '[':
                return new CharacterPattern(ParseClass());
            case '(':
                return ParseGroup();
            case '*' or '+' or '?':
                throw Error("a quantifier with nothing before it");
            case '\\':
                return ParseEscape();
            default:
                _position++;
                return new CharacterPattern(CodePointSet.Of(character));
        }
    }

    private Pattern ParseGroup()
    {
        _position++;
        bool? looksNegatively = null;
        if (TryTake('?'))
        {
            if (TryTake('=')) looksNegatively = false;
            else if (TryTake('!')) looksNegatively = true;
            else if (TryTake('<') || TryTake('P')) SkipName();
            else if (!TryTake(':')) throw Error("a group that is not supported");
        }
        Pattern inner = ParseAlternatives();
        if (!TryTake(')')) throw Error("a group that is not closed");
        return looksNegatively is { } isNegative ? new LookaheadPattern(inner, isNegative) : inner;
    }

    private void SkipName()
    {
        TryTake('<');
        if (Current is '=' or '!') throw Error("a lookbehind, which is not supported");
        while (Current is not ('>' or EndOfText)) _position++;
        if (!TryTake('>')) throw Error("a name of a group that does not end");
    }

    private Pattern ParseEscape()
    {
        _position++;
        if (Current is 'b' or 'B') throw Error("a word boundary, which is not supported");
        if (Current is (>= '1' and <= '9') or 'k') throw Error("a reference to a group, which is not supported");
        if (Current is 'A' or 'z' or 'Z')
        {
            bool isStart = Current == 'A';
            _position++;
            return new AnchorPattern(isStart);
        }
        return new CharacterPattern(ParseEscapedSet());
    }

    private CodePointSet ParseClass()
    {
        _position++;
        bool isNegated = TryTake('^');
        List<(int, int)> ranges = [];
        while (Current != ']')
        {
            CodePointSet from = ParseClassMember();
            if (Current == '-' && _position + 1 < _text.Length && _text[_position + 1] != ']')
            {
                _position++;
                CodePointSet to = ParseClassMember();
                if (Single(from) is not { } first || Single(to) is not { } last || first > last) throw Error("a range of characters whose ends are none, or in the wrong order");
                ranges.Add((first, last));
            }
            else
            {
                ranges.AddRange(from.Ranges);
            }
        }
        _position++;
        CodePointSet set = CodePointSet.Of(ranges);
        return isNegated ? set.Not() : set;
    }

    private CodePointSet ParseClassMember()
    {
        if (Current == EndOfText) throw Error("a class of characters that is not closed");
        if (TryTake('\\')) return TryTake('b') ? CodePointSet.Of('\b') : ParseEscapedSet();
        return CodePointSet.Of(_text[_position++]);
    }

    private static int? Single(CodePointSet set) => set.Ranges is [(int from, int to)] && from == to ? from : null;

    /// <summary>What follows a backslash.</summary>
    private CodePointSet ParseEscapedSet()
    {
        if (Current == EndOfText) throw Error("a backslash at the end");
        int escaped = _text[_position++];
        switch (escaped)
        {
            case 'd':
                return CharacterClasses.Digits;
            case 'D':
                return CharacterClasses.Digits.Not();
            case 'w':
                return CharacterClasses.Words;
            case 'W':
                return CharacterClasses.Words.Not();
            case 's':
                return CharacterClasses.Spaces;
            case 'S':
                return CharacterClasses.Spaces.Not();
            case 'p' or 'P':
                return escaped == 'p' ? ParseCategory() : ParseCategory().Not();
            default:
                return CodePointSet.Of(ParseEscapedCharacter(escaped));
        }
    }

    private int ParseEscapedCharacter(int escaped)
    {
        switch (escaped)
        {
            case 't':
                return '\t';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 'f':
                return '\f';
            case 'v':
                return '\v';
            case 'a':
                return '\a';
            case 'e':
                return 0x1B;
            case '0':
                return 0;
            case 'c' when Current is (>= 'a' and <= 'z') or (>= 'A' and <= 'Z'):
                return _text[_position++] & 0x1F;
            case 'x':
                return TakeHex(2);
            case 'u':
                return ParseUnicode();
            default:
                if (escaped is (>= 'a' and <= 'z') or (>= 'A' and <= 'Z') or (>= '1' and <= '9')) throw Error("an escape that is not known");
                return escaped;
        }
    }

    private int ParseUnicode()
    {
        int character;
        if (TryTake('{'))
        {
            int length = 0;
            while (_position + length < _text.Length && _text[_position + length] != '}') length++;
            character = TakeHex(Math.Min(length, 8));
            if (!TryTake('}')) throw Error("the number of a character that does not end");
        }
        else
        {
            character = TakeHex(4);
            if (char.IsHighSurrogate((char)character) && Current == '\\' && _position + 1 < _text.Length && _text[_position + 1] == 'u')
            {
                _position += 2;
                int low = TakeHex(4);
                character = char.IsLowSurrogate((char)low) ? char.ConvertToUtf32((char)character, (char)low) : character;
            }
        }
        return Rune.IsValid(character) ? character : throw Error("the number of a character that does not exist");
    }

    private int TakeHex(int digits)
    {
        int value = 0;
        if (digits == 0) throw Error("the number of a character without digits");
        for (int i = 0; i < digits; i++)
        {
            if (Current is EndOfText or > 'f' || !int.TryParse([(char)Current], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int digit))
                throw Error("the number of a character that is not hexadecimal");
            value = (value << 4) + digit;
            _position++;
        }
        return value;
    }

    private CodePointSet ParseCategory()
    {
        if (!TryTake('{')) throw Error("a category of characters without a name");
        StringBuilder name = new();
        while (Current is not ('}' or EndOfText)) name.Append(char.ConvertFromUtf32(_text[_position++]));
        if (!TryTake('}')) throw Error("a category of characters whose name does not end");
        string wanted = name.ToString();
        foreach (string prefix in (string[])["General_Category=", "gc="])
        {
            if (wanted.StartsWith(prefix, StringComparison.Ordinal)) wanted = wanted[prefix.Length..];
        }
        return CharacterClasses.Category(wanted) ?? throw Error($"the category of characters {Quoted.Value(wanted)}, which is not supported");
    }

    private bool TryTake(int character)
    {
        if (Current != character) return false;
        _position++;
        return true;
    }

    private GrammarException Error(string found) => new($"The regular expression {Quoted.Value(_pattern)} has {found} (at character {_position}).");
}
