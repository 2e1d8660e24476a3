using System.Globalization;
using System.Text;
using Decart.Inference.Checkpoints;
using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Patterns;

/// <summary>What a rule of a grammar says.</summary>
internal sealed record RulePattern(string Name) : Pattern;

/// <summary>
/// Reads grammars as llama.cpp writes them (GBNF): rules <c>name ::= alternatives</c> of quoted texts, classes of characters, names of rules and groups, each with
/// a quantifier or not. A rule goes on to the beginning of the next; comments begin with <c>#</c>.
/// </summary>
internal sealed class GbnfParser
{
    private const int MaxLength = 1 << 20, MaxNesting = 200;

    private const char EndOfText = '\0';

    private readonly string _text;
    private readonly Dictionary<string, Pattern> _rules = [];
    private readonly List<(string Name, int Position)> _mentioned = [];
    private int _position;
    private int _nesting;

    private GbnfParser(string text) => _text = text;

    private char Current => _position < _text.Length ? _text[_position] : EndOfText;

    /// <summary>The rules by their names; all that they mention are there.</summary>
    /// <exception cref="GrammarException">The grammar is malformed, or asks for what is not supported.</exception>
    public static IReadOnlyDictionary<string, Pattern> Parse(string text)
    {
        if (text.Length > MaxLength) throw new GrammarException($"The grammar has {text.Length} characters; at most {MaxLength} were expected.");
        GbnfParser parser = new(text);
        parser.ParseRules();
        return parser._rules;
    }

    private void ParseRules()
    {
        SkipSpace();
        while (_position < _text.Length)
        {
            int start = _position;
            string name = TakeName() ?? throw Error("something where the name of a rule was expected");
            SkipSpace();
            if (!TryTake("::=")) throw Error("a rule without ::= after its name");
            SkipSpace();
            Pattern body = ParseAlternatives();
            if (!_rules.TryAdd(name, body))
            {
                _position = start;
                throw Error($"a second rule {Quoted.Value(name)}");
            }
            if (_position < _text.Length && !IsRuleStart()) throw Error("something that does not belong to a rule");
        }
        foreach ((string name, int position) in _mentioned)
        {
            if (_rules.ContainsKey(name)) continue;
            _position = position;
            throw Error($"the name {Quoted.Value(name)}, for which there is no rule");
        }
    }

    private Pattern ParseAlternatives()
    {
        if (++_nesting > MaxNesting) throw Error($"groups nested more than {MaxNesting} deep");
        List<Pattern> alternatives = [ParseSequence()];
        while (TryTake("|"))
        {
            SkipSpace();
            alternatives.Add(ParseSequence());
        }
        _nesting--;
        return alternatives.Count == 1 ? alternatives[0] : new AlternativePattern(alternatives);
    }

    private SequencePattern ParseSequence()
    {
        List<Pattern> parts = [];
        while (Current is not (EndOfText or '|' or ')') && !IsRuleStart())
        {
            Pattern part = ParseItem();
            SkipSpace();
            while (TryTakeQuantifier(out int min, out int max))
            {
                part = new RepeatedPattern(part, min, max);
                SkipSpace();
            }
            parts.Add(part);
        }
        return new SequencePattern(parts);
    }

    private Pattern ParseItem()
    {
        switch (Current)
        {
            case '"':
                return ParseText();
            case '[':
                return ParseClass();
            case '.':
                _position++;
                return new CharacterPattern(CodePointSet.All);
            case '(':
                _position++;
                SkipSpace();
                Pattern inner = ParseAlternatives();
                return TryTake(")") ? inner : throw Error("a group that is not closed");
            case '<' or '!':
                throw Error("a token, which is not supported");
            default:
                int start = _position;
                string name = TakeName() ?? throw Error("something that is no text, class, name or group");
                _mentioned.Add((name, start));
                return new RulePattern(name);
        }
    }

    private SequencePattern ParseText()
    {
        List<Pattern> characters = [];
        _position++;
        while (!TryTake("\"")) characters.Add(new CharacterPattern(CodePointSet.Of(TakeCharacter("a text that does not end"))));
        return new SequencePattern(characters);
    }

    private CharacterPattern ParseClass()
    {
        _position++;
        bool isNegated = TryTake("^");
        List<(int, int)> ranges = [];
        while (!TryTake("]"))
        {
            int from = TakeCharacter("a class of characters that does not end"), to = from;
            if (Current == '-' && _position + 1 < _text.Length && _text[_position + 1] != ']')
            {
                _position++;
                to = TakeCharacter("a class of characters that does not end");
            }
            if (to < from) throw Error("a range of characters whose ends are in the wrong order");
            ranges.Add((from, to));
        }
        CodePointSet set = CodePointSet.Of(ranges);
        return new CharacterPattern(isNegated ? set.Not() : set);
    }

    private int TakeCharacter(string unended)
    {
        if (_position >= _text.Length) throw Error(unended);
        if (Rune.DecodeFromUtf16(_text.AsSpan(_position), out Rune rune, out int length) != System.Buffers.OperationStatus.Done) throw Error("half a character");
        _position += length;
        if (rune.Value != '\\') return rune.Value;
        char escape = Current;
        _position++;
        return escape switch
        {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'x' => TakeHex(2),
            'u' => TakeHex(4),
            'U' => TakeHex(8),
            '\\' or '"' or '[' or ']' or '-' or '^' or '/' or '\'' => escape,
            _ => throw Error("an escape that is not known"),
        };
    }

    private int TakeHex(int digits)
    {
        if (_position + digits > _text.Length
            || !int.TryParse(_text.AsSpan(_position, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value)
            || !Rune.IsValid(value))
        {
            throw Error("the number of a character that does not exist");
        }
        _position += digits;
        return value;
    }

    private bool TryTakeQuantifier(out int min, out int max)
    {
        (min, max) = (0, Language.Unbounded);
        if (TryTake("*")) return true;
        if (TryTake("+"))
        {
            min = 1;
            return true;
        }
        if (TryTake("?"))
        {
            max = 1;
            return true;
        }
        if (!TryTake("{")) return false;
        min = TakeNumber() ?? 0;
        max = TryTake(",") ? TakeNumber() ?? Language.Unbounded : min;
        if (!TryTake("}")) throw Error("a quantifier that is not closed");
        if (max != Language.Unbounded && max < min) throw Error("a quantifier whose bounds are in the wrong order");
        return true;
    }

    private int? TakeNumber()
    {
        SkipSpace();
        int start = _position;
        while (char.IsAsciiDigit(Current)) _position++;
        int? number = null;
        if (_position > start)
        {
            number = int.TryParse(_text.AsSpan(start, _position - start), NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value <= PatternParser.MaxRepetitions
                ? value
                : throw Error($"more than {PatternParser.MaxRepetitions} repetitions");
        }
        SkipSpace();
        return number;
    }

    private string? TakeName()
    {
        int start = _position;
        while (char.IsAsciiLetterOrDigit(Current) || Current is '-' or '_') _position++;
        return _position > start ? _text[start.._position] : null;
    }

    /// <summary>Whether the next thing is a name and ::=.</summary>
    private bool IsRuleStart()
    {
        int start = _position;
        bool isRule = false;
        if (TakeName() is not null)
        {
            SkipSpace();
            isRule = TryTake("::=");
        }
        _position = start;
        return isRule;
    }

    private bool TryTake(string text)
    {
        if (!_text.AsSpan(_position).StartsWith(text)) return false;
        _position += text.Length;
        return true;
    }

    private void SkipSpace()
    {
        while (_position < _text.Length && (char.IsWhiteSpace(Current) || Current == '#'))
        {
            if (Current == '#') while (_position < _text.Length && Current is not ('\n' or '\r')) _position++;
            else _position++;
        }
    }

    private GrammarException Error(string found)
    {
        int line = 1 + _text.AsSpan(0, Math.Min(_position, _text.Length)).Count('\n');
        return new GrammarException(string.Create(CultureInfo.InvariantCulture, $"The grammar has {found} (line {line})."));
    }
}
