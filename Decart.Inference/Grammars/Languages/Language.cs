namespace Decart.Inference.Grammars.Languages;

internal enum LanguageKind
{
    /// <summary>No text at all.</summary>
    Nothing,

    /// <summary>The empty text only.</summary>
    EmptyText,

    /// <summary>Texts of one byte.</summary>
    Bytes,

    /// <summary>A text of the first part followed by one of the second.</summary>
    Concatenation,

    /// <summary>Texts of any of the parts.</summary>
    Union,

    /// <summary>Texts of all parts.</summary>
    Intersection,

    /// <summary>All texts but those of the part.</summary>
    Complement,

    /// <summary>From <see cref="Language.Min"/> to <see cref="Language.Max"/> texts of the part, one after the other.</summary>
    Repetition,

    /// <summary>Decimal numbers that are multiples of another.</summary>
    Multiples,
}

/// <summary>
/// A regular language over bytes. Made by a <see cref="LanguageTable"/>, where equal expressions are one object; it is also the state of an automaton: what
/// may follow after a byte is a language again (<see cref="LanguageTable.After"/>), as Brzozowski has shown ("Derivatives of Regular Expressions", 1964).
/// </summary>
internal sealed class Language
{
    /// <summary>The repetition has no upper bound.</summary>
    public const int Unbounded = -1;

    private ByteTable<Language> _after;

    public required LanguageKind Kind { get; init; }

    /// <summary>Its place in its table's order of creation.</summary>
    public int Id { get; set; }

    public ByteSet Bytes { get; init; }

    public Language[] Parts { get; init; } = [];

    public int Min { get; init; }

    /// <summary>The upper bound, or <see cref="Unbounded"/>.</summary>
    public int Max { get; init; }

    /// <summary>Where a number stands that is read digit by digit.</summary>
    public MultipleState Multiple { get; init; }

    /// <summary>Whether the empty text is one of its texts.</summary>
    public bool IsNullable { get; init; }

    /// <summary>
    /// How many tokens complete a text of it; <see cref="Distances.Infinite"/> where there is none, <see cref="Distances.Unknown"/> until it is asked for.
    /// </summary>
    public int Distance { get; set; } = Distances.Unknown;

    /// <summary>What the automaton's masks remember of it.</summary>
    public Automata.LanguageTokens? Tokens { get; set; }

    /// <summary>A page of itself, for tables of what follows.</summary>
    public Language[] Page => field ??= ByteTable<Language>.UniformPage(this);

    /// <summary>What follows after each byte, as far as it has been asked for.</summary>
    public ref ByteTable<Language> AfterByte => ref _after;

    /// <summary>Whether its texts begin with one of some bytes and then go on alike; null for texts of that byte alone.</summary>
    public bool IsBytesAndRest(out ByteSet bytes, out Language? rest)
    {
        (Language head, rest) = Kind == LanguageKind.Concatenation ? (Parts[0], Parts[1]) : (this, null);
        bytes = head.Bytes;
        return head.Kind == LanguageKind.Bytes;
    }
}
