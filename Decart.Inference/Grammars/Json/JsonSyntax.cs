using System.Globalization;
using System.Text;
using Decart.Inference.Grammars.Languages;
using Decart.Inference.Grammars.Productions;

namespace Decart.Inference.Grammars.Json;

/// <summary>
/// The parts of JSON. White space is bounded, so that a model cannot go on with it for ever: between two tokens a space, or a line break and its indentation.
/// </summary>
internal sealed class JsonSyntax
{
    /// <summary>Spaces or tabs at the beginning of a line.</summary>
    private const int MaxIndentation = 64;

    /// <summary>Digits before the point, after it and of the exponent: with these every double can be written.</summary>
    private const int IntegerDigits = 20, FractionDigits = 20, ShortExponentDigits = 2;

    /// <summary>The characters that are written with a backslash and a letter.</summary>
    private static readonly (char Character, char Letter)[] ShortEscapes =
        [('"', '"'), ('\\', '\\'), ('\b', 'b'), ('\f', 'f'), ('\n', 'n'), ('\r', 'r'), ('\t', 't')];

    private static readonly CodePointSet Controls = CodePointSet.Of((0, 0x1F));

    private readonly LanguageTable _table;

    public JsonSyntax(LanguageTable table)
    {
        _table = table;
        Language indentation = table.Repeat(table.Bytes(ByteSet.Of(" \t"u8)), 0, MaxIndentation);
        Space = table.Optional(table.Union(Text(" "), table.Concatenate(Text("\n"), indentation)));
        AnyCharacter = FindAnyCharacter();
        PlainCharacter = Character(CodePointSet.All);
        Number = FindNumber();
    }

    /// <summary>White space, or none.</summary>
    public Language Space { get; }

    /// <summary>A character of a string in any way that JSON can write it, well-formed Unicode only.</summary>
    public Language AnyCharacter { get; }

    /// <summary>A character of a string, each in one way: names of members can be compared by their bytes.</summary>
    public Language PlainCharacter { get; }

    public Language Number { get; }

    public Language Text(string text) => Utf8.Text(_table, text);

    /// <summary>A punctuation mark with white space on both sides.</summary>
    public Language Spaced(string mark) => _table.Concatenate(Space, Text(mark), Space);

    /// <summary>A string that consists of certain texts, each character written as <see cref="Character"/> says.</summary>
    public Language Quoted(Language content) => _table.Concatenate(Text("\""), content, Text("\""));

    /// <summary>Writes a character as <see cref="Character"/> does.</summary>
    public static void AppendCharacter(StringBuilder text, Rune character)
    {
        (char Character, char Letter) escape = System.Array.Find(ShortEscapes, escape => escape.Character == character.Value);
        if (escape.Letter != default) text.Append('\\').Append(escape.Letter);
        else if (Rune.IsControl(character) && character.Value < ' ') text.Append(CultureInfo.InvariantCulture, $"\\u{character.Value:x4}");
        else text.Append(character.ToString());
    }

    /// <summary>One character of a set: as it is, or escaped where JSON demands that, then in one way only.</summary>
    public Language Character(CodePointSet set)
    {
        List<Language> ways = [Utf8.Character(_table, set.Except(Controls.Or(CodePointSet.Of("\"\\"))))];
        foreach ((char character, char letter) in ShortEscapes)
        {
            if (set.Contains(character)) ways.Add(Text($"\\{letter}"));
        }
        foreach ((int from, int to) in set.And(Controls).Ranges)
        {
            for (int control = from; control <= to; control++)
            {
                if (!System.Array.Exists(ShortEscapes, escape => escape.Character == control)) ways.Add(Text(string.Create(CultureInfo.InvariantCulture, $"\\u{control:x4}")));
            }
        }
        return _table.Union(ways);
    }

    /// <summary>An array.</summary>
    /// <param name="rules">Where its rules go.</param>
    /// <param name="prefix">Its first items.</param>
    /// <param name="item">Every further one.</param>
    /// <param name="min">How many there are at least.</param>
    /// <param name="max">How many at most, or <see cref="Language.Unbounded"/>.</param>
    public Production Array(RuleSet rules, IReadOnlyList<Production> prefix, Production item, int min, int max)
    {
        Production comma = rules.Terminal(Spaced(",")), close = rules.Terminal(_table.Concatenate(Space, Text("]")));
        Production open = rules.Terminal(_table.Concatenate(Text("["), Space)), closeEmpty = rules.Terminal(Text("]"));
        if (max == 0) return Level(rules, Sequence.Of(rules, open, closeEmpty), "an array");
        Production first = Sequence.Of(rules, prefix.Count > 0 ? prefix[0] : item, After(1));
        return Level(rules, Sequence.Of(rules, open, min == 0 ? Choice.Of(rules, [closeEmpty, first]) : first), "an array");

        Production After(int count)
        {
            if (count == max) return close;
            if (count >= prefix.Count)
            {
                int more = max == Language.Unbounded ? max : max - count;
                return Sequence.Of(rules, new Repetition(Sequence.Of(rules, comma, item), Math.Max(0, min - count), more), close);
            }
            Rule rule = rules.Add("the rest of an array");
            Production next = Sequence.Of(rules, comma, prefix[count], After(count + 1));
            rule.Body = count < min ? next : Choice.Of(rules, [close, next]);
            return new Reference(rule);
        }
    }

    /// <summary>An object.</summary>
    /// <param name="rules">Its rules.</param>
    /// <param name="members">The members with known names.</param>
    /// <param name="rest">Those with other names.</param>
    /// <param name="min">How many there are at least.</param>
    /// <param name="max">How many at most.</param>
    public Production Object(RuleSet rules, IEnumerable<ObjectMember> members, IEnumerable<ObjectRest> rest, int min = 0, int max = int.MaxValue)
    {
        ObjectShape shape = new(rules, members, rest, Spaced(":"))
        {
            Min = min,
            Max = max,
            Comma = rules.Terminal(Spaced(",")),
            Close = rules.Terminal(_table.Concatenate(Space, Text("}"))),
            CloseEmpty = rules.Terminal(Text("}")),
        };
        return Level(rules, Sequence.Of(rules, rules.Terminal(_table.Concatenate(Text("{"), Space)), new ObjectBody(shape)), "an object");
    }

    /// <summary>An array of different scalars, each written in one way: as an object whose members have no values.</summary>
    /// <param name="rules">Its rules.</param>
    /// <param name="constants">Some that it may have.</param>
    /// <param name="others">Kinds of others.</param>
    /// <param name="min">How many there are at least.</param>
    /// <param name="max">How many at most.</param>
    public Production UniqueItems(RuleSet rules, IEnumerable<byte[]> constants, IEnumerable<Language> others, int min, int max)
    {
        Production nothing = rules.Terminal(_table.EmptyText);
        IEnumerable<ObjectMember> members = constants.Select(constant => new ObjectMember(constant, nothing, IsRequired: false, []));
        ObjectShape shape = new(rules, members, others.Select(other => new ObjectRest(other, nothing)), _table.EmptyText)
        {
            Min = min,
            Max = max,
            Comma = rules.Terminal(Spaced(",")),
            Close = rules.Terminal(_table.Concatenate(Space, Text("]"))),
            CloseEmpty = rules.Terminal(Text("]")),
        };
        return Level(rules, Sequence.Of(rules, rules.Terminal(_table.Concatenate(Text("["), Space)), new ObjectBody(shape)), "an array");
    }

    /// <summary>Any value.</summary>
    /// <param name="rules">Where its rule goes.</param>
    public Production AnyValue(RuleSet rules)
    {
        Rule value = rules.Add("any JSON value");
        Reference any = new(value);
        Language scalar = _table.Union(Quoted(_table.Repeat(AnyCharacter, 0)), Number, Text("true"), Text("false"), Text("null"));
        value.Body = Choice.Of(rules, [rules.Terminal(scalar), Array(rules, [], any, 0, Language.Unbounded), AnyObject(rules, any)]);
        return any;
    }

    /// <summary>An object of any members.</summary>
    public Production AnyObject(RuleSet rules, Production value) => Object(rules, [], [new ObjectRest(AnyName(), value, _table.Distances.HasAllBytes)]);

    /// <summary>Names of members, in quotes.</summary>
    public Language AnyName() => Quoted(_table.Repeat(PlainCharacter, 0));

    /// <summary>A level of nesting, as a rule: what a rule costs at one depth depends on the depth before it, on no other.</summary>
    private static Reference Level(RuleSet rules, Production inner, string name)
    {
        Rule rule = rules.Add(name);
        rule.Body = new Nested(inner);
        return new Reference(rule);
    }

    private Language FindAnyCharacter()
    {
        Language digit = _table.Bytes(HexDigits), escape = Text("\\");
        Language unescaped = Utf8.Character(_table, CodePointSet.All.Except(Controls.Or(CodePointSet.Of("\"\\"))));
        Language letter = _table.Bytes(ByteSet.Of("\"\\/bfnrt"u8));
        Language other = _table.Union(
            _table.Concatenate(_table.Bytes(HexDigits & ~ByteSet.Of("dD"u8)), digit, digit, digit),
            _table.Concatenate(_table.Bytes(ByteSet.Of("dD"u8)), _table.Bytes(ByteSet.Of("01234567"u8)), digit, digit));
        Language high = _table.Concatenate(_table.Bytes(ByteSet.Of("dD"u8)), _table.Bytes(ByteSet.Of("89abAB"u8)), digit, digit);
        Language low = _table.Concatenate(_table.Bytes(ByteSet.Of("dD"u8)), _table.Bytes(ByteSet.Of("cdefCDEF"u8)), digit, digit);
        Language unicode = _table.Concatenate(Text("u"), _table.Union(other, _table.Concatenate(high, Text("\\u"), low)));
        return _table.Union(unescaped, _table.Concatenate(escape, _table.Union(letter, unicode)));
    }

    private static ByteSet HexDigits => ByteSet.Of("0123456789abcdefABCDEF"u8);

    /// <summary>Any double: with up to 20 digits on each side of the point, or as one digit, a fraction and an exponent.</summary>
    private Language FindNumber()
    {
        Language digit = _table.Bytes(ByteSet.Of("0123456789"u8)), sign = _table.Bytes(ByteSet.Of("+-"u8)), e = _table.Bytes(ByteSet.Of("eE"u8));
        Language leading = _table.Bytes(ByteSet.Of("123456789"u8));
        Language integer = _table.Union(Text("0"), _table.Concatenate(leading, _table.Repeat(digit, 0, IntegerDigits - 1)));
        Language fraction = _table.Optional(_table.Concatenate(Text("."), _table.Repeat(digit, 1, FractionDigits)));
        Language shortExponent = _table.Concatenate(e, _table.Optional(sign), _table.Repeat(digit, 1, ShortExponentDigits));
        Language hundreds = _table.Union(
            _table.Concatenate(_table.Bytes(ByteSet.Of("12"u8)), digit, digit),
            _table.Concatenate(Text("30"), _table.Bytes(ByteSet.Of("01234567"u8))));
        Language longExponent = _table.Concatenate(e, _table.Optional(sign), hundreds);
        Language unsigned = _table.Union(
            _table.Concatenate(integer, fraction, _table.Optional(shortExponent)),
            _table.Concatenate(digit, fraction, longExponent));
        return _table.Concatenate(_table.Optional(Text("-")), unsigned);
    }
}
