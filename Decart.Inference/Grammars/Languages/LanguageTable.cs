using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Decart.Inference.Grammars.Languages;

/// <summary>
/// Makes languages, equal expressions once, and finds out what follows after a byte. For one thread at a time.
/// </summary>
internal sealed class LanguageTable
{
    /// <summary>Languages that one grammar may need at most: hostile expressions have more states than there is memory.</summary>
    private const int MaxLanguages = 1 << 20;

    /// <summary>
    /// Parts from which on a language is wide, and those of wide languages that may be looked at before there is a text: of some expressions each state has more of them than the one
    /// before.
    /// </summary>
    private const int WideParts = 64, MaxWideParts = 1 << 22;

    /// <summary>Steps from language to language that a grammar may need before there is a text: more take seconds and hundreds of megabytes.</summary>
    private const int MaxSteps = 1 << 17;

    /// <summary>Bytes of common beginnings that are factored out at once, and levels of the tree that texts make.</summary>
    private const int MaxFactoring = 100, MaxTree = 500;

    private readonly HashSet<Language> _languages = new(SameExpression.Comparer);
    private readonly Language[] _bytes = new Language[256];
    private int _factoring, _wideParts, _steps;
    private bool _isComplete;

    /// <param name="tokens">The tokens that texts are made of; null where each byte is one.</param>
    public LanguageTable(Automata.TokenTrie? tokens = null)
    {
        Nothing = Add(new Language { Kind = LanguageKind.Nothing });
        EmptyText = Add(new Language { Kind = LanguageKind.EmptyText, IsNullable = true });
        Anything = Add(new Language { Kind = LanguageKind.Complement, Parts = [Nothing], IsNullable = true });
        for (int value = 0; value < _bytes.Length; value++) _bytes[value] = Add(new Language { Kind = LanguageKind.Bytes, Bytes = ByteSet.Of((byte)value) });
        Distances = new Distances(this, tokens);
    }

    public Language Nothing { get; }

    public Language EmptyText { get; }

    /// <summary>All sequences of bytes.</summary>
    public Language Anything { get; }

    public Distances Distances { get; }

    /// <summary>Number of languages.</summary>
    public int Count => _languages.Count;

    /// <summary>Says that the grammar is complete: what its texts need is bounded otherwise.</summary>
    public void Complete() => _isComplete = true;

    public Language Bytes(ByteSet bytes) => bytes.Count switch
    {
        0 => Nothing,
        1 => _bytes[bytes.Smallest],
        _ => Add(new Language { Kind = LanguageKind.Bytes, Bytes = bytes }),
    };

    public Language Literal(ReadOnlySpan<byte> text)
    {
        Language literal = EmptyText;
        for (int i = text.Length - 1; i >= 0; i--) literal = Concatenate(_bytes[text[i]], literal);
        return literal;
    }

    /// <summary>Any of some texts, as the tree that they make, so that it costs what their automaton does.</summary>
    public Language Literals(IEnumerable<byte[]> texts)
    {
        byte[][] sorted = [.. texts.OrderBy(text => text, ByteOrder.Comparer)];
        return Tree(sorted, 0, 0);
    }

    public Language Concatenate(params ReadOnlySpan<Language> parts)
    {
        Language all = EmptyText;
        for (int i = parts.Length - 1; i >= 0; i--) all = Concatenate(parts[i], all);
        return all;
    }

    public Language Concatenate(Language first, Language second)
    {
        if (first == Nothing || second == Nothing) return Nothing;
        if (first == EmptyText) return second;
        if (second == EmptyText) return first;
        if (first.Kind == LanguageKind.Concatenation) return ConcatenateChain(first, second);
        return Add(new Language { Kind = LanguageKind.Concatenation, Parts = [first, second], IsNullable = first.IsNullable && second.IsNullable });
    }

    public Language Union(params ReadOnlySpan<Language> parts)
    {
        List<Language> flat = Flatten(LanguageKind.Union, parts, neutral: Nothing);
        if (flat.Contains(Anything)) return Anything;
        MergeBytes(flat);
        if (flat.Count > 1 && _factoring < MaxFactoring)
        {
            _factoring++;
            flat = Factor(flat);
            _factoring--;
        }
        if (flat.Count == 0) return Nothing;
        if (flat.Count == 1) return flat[0];
        bool isNullable = flat.Exists(part => part.IsNullable);
        return Add(new Language { Kind = LanguageKind.Union, Parts = [.. flat], IsNullable = isNullable });
    }

    public Language Union(IEnumerable<Language> parts) => Union(parts.ToArray().AsSpan());

    public Language Intersect(params ReadOnlySpan<Language> parts)
    {
        List<Language> flat = Flatten(LanguageKind.Intersection, parts, neutral: Anything);
        if (flat.Contains(Nothing)) return Nothing;
        if (flat.Contains(EmptyText)) return flat.TrueForAll(part => part.IsNullable) ? EmptyText : Nothing;
        if (flat.Count == 0) return Anything;
        if (flat.Count == 1) return flat[0];
        if (flat.TrueForAll(part => part.Kind == LanguageKind.Bytes)) return Bytes(flat.Aggregate(ByteSet.All, (common, part) => common & part.Bytes));
        return Add(new Language { Kind = LanguageKind.Intersection, Parts = [.. flat], IsNullable = flat.TrueForAll(part => part.IsNullable) });
    }

    public Language Complement(Language part) =>
        part.Kind == LanguageKind.Complement ? part.Parts[0] : Add(new Language { Kind = LanguageKind.Complement, Parts = [part], IsNullable = !part.IsNullable });

    /// <param name="part">What is repeated.</param>
    /// <param name="min">How often at least.</param>
    /// <param name="max">How often at most, or <see cref="Language.Unbounded"/>.</param>
    public Language Repeat(Language part, int min, int max = Language.Unbounded)
    {
        if (max == 0 || part == EmptyText) return EmptyText;
        if (part == Nothing) return min == 0 ? EmptyText : Nothing;
        if (min == 1 && max == 1) return part;
        if (part.IsNullable) min = 0;
        if (max == Language.Unbounded && part is { Kind: LanguageKind.Repetition, Min: 0, Max: Language.Unbounded }) return part;
        return Add(new Language { Kind = LanguageKind.Repetition, Parts = [part], Min = min, Max = max, IsNullable = min == 0 });
    }

    public Language Optional(Language part) => Repeat(part, 0, 1);

    /// <summary>Decimal numbers that are multiples of divisor / 10^digits.</summary>
    public Language Multiples(long divisor, int digits) => Multiples(MultipleState.Start(divisor, digits));

    /// <summary>What may follow in a language's texts after a byte.</summary>
    public Language After(Language language, byte value)
    {
        if (language.AfterByte[value] is { } known) return known;
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (!_isComplete && ++_steps > MaxSteps) throw new GrammarException($"An expression has too many states: {MaxSteps} were looked at before there was a text.");
        Language after = Derive(language, value);
        language.AfterByte.Set(Alike(language, value), after, after.Page);
        return after;
    }

    private Language Derive(Language language, byte value)
    {
        Language[] parts = language.Parts;
        switch (language.Kind)
        {
            case LanguageKind.Bytes:
                return language.Bytes.Contains(value) ? EmptyText : Nothing;
            case LanguageKind.Concatenation:
                Language first = Concatenate(After(parts[0], value), parts[1]);
                return parts[0].IsNullable ? Union(first, After(parts[1], value)) : first;
            case LanguageKind.Union:
                return Union(AfterAll(parts, value));
            case LanguageKind.Intersection:
                return Intersect(AfterAll(parts, value));
            case LanguageKind.Complement:
                return Complement(After(parts[0], value));
            case LanguageKind.Repetition:
                int max = language.Max == Language.Unbounded ? Language.Unbounded : language.Max - 1;
                return Concatenate(After(parts[0], value), Repeat(parts[0], Math.Max(language.Min - 1, 0), max));
            case LanguageKind.Multiples:
                return language.Multiple.After(value) is { } state ? Multiples(state) : Nothing;
            default:
                return Nothing;
        }
    }

    private Language[] AfterAll(Language[] parts, byte value)
    {
        if (!_isComplete && parts.Length >= WideParts && (_wideParts += parts.Length) > MaxWideParts)
            throw new GrammarException($"An expression has states of too many parts: more than {MaxWideParts} had to be looked at.");
        var after = new Language[parts.Length];
        for (int i = 0; i < after.Length; i++) after[i] = After(parts[i], value);
        return after;
    }

    /// <summary>Bytes, with the given one, after which the same follows.</summary>
    public static ByteSet Alike(Language language, byte value)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        switch (language.Kind)
        {
            case LanguageKind.Bytes:
                return language.Bytes.Contains(value) ? language.Bytes : ~language.Bytes;
            case LanguageKind.Concatenation when !language.Parts[0].IsNullable:
                return Alike(language.Parts[0], value);
            case LanguageKind.Multiples:
                return ByteSet.Of(value);
            default:
                ByteSet alike = ByteSet.All;
                foreach (Language part in language.Parts) alike &= Alike(part, value);
                return alike;
        }
    }

    private Language Multiples(MultipleState state) =>
        Add(new Language { Kind = LanguageKind.Multiples, Multiple = state, IsNullable = state.IsMultiple });

    private Language ConcatenateChain(Language first, Language second)
    {
        List<Language> heads = [];
        Language rest = first;
        for (; rest.Kind == LanguageKind.Concatenation; rest = rest.Parts[1]) heads.Add(rest.Parts[0]);
        Language all = Concatenate(rest, second);
        for (int i = heads.Count - 1; i >= 0; i--) all = Concatenate(heads[i], all);
        return all;
    }

    private static List<Language> Flatten(LanguageKind kind, ReadOnlySpan<Language> parts, Language neutral)
    {
        List<Language> flat = [];
        foreach (Language part in parts)
        {
            if (part.Kind == kind) flat.AddRange(part.Parts);
            else if (part != neutral) flat.Add(part);
        }
        SortDistinct(flat);
        return flat;
    }

    private static void SortDistinct(List<Language> parts)
    {
        if (parts.Count < 2) return;
        Span<Language> span = CollectionsMarshal.AsSpan(parts);
        span.Sort(static (a, b) => a.Id.CompareTo(b.Id));
        int kept = 1;
        for (int i = 1; i < span.Length; i++)
        {
            if (span[i] != span[kept - 1]) span[kept++] = span[i];
        }
        parts.RemoveRange(kept, parts.Count - kept);
    }

    private void MergeBytes(List<Language> parts)
    {
        ByteSet bytes = ByteSet.None;
        int sets = 0;
        foreach (Language part in parts)
        {
            if (part.Kind != LanguageKind.Bytes) continue;
            bytes |= part.Bytes;
            sets++;
        }
        if (sets < 2) return;
        parts.RemoveAll(part => part.Kind == LanguageKind.Bytes);
        parts.Add(Bytes(bytes));
        SortDistinct(parts);
    }

    /// <summary>
    /// a x | a y = a (x | y): what derivatives are full of. Not a x | b x = (a | b) x, which looks as good: distances count the tokens of literals, and must not
    /// grow when texts are written together.
    /// </summary>
    private List<Language> Factor(List<Language> parts)
    {
        Dictionary<Language, List<Language>>? groups = null;
        bool merges = false;
        foreach (Language part in parts)
        {
            if (part.Kind != LanguageKind.Concatenation) continue;
            groups ??= [];
            ref List<Language>? group = ref CollectionsMarshal.GetValueRefOrAddDefault(groups, part.Parts[0], out bool exists);
            (group ??= []).Add(part.Parts[1]);
            merges |= exists;
        }
        if (!merges) return parts;
        List<Language> merged = parts.FindAll(part => part.Kind != LanguageKind.Concatenation);
        foreach ((Language common, List<Language> others) in groups!)
            merged.Add(Concatenate(common, others.Count == 1 ? others[0] : Union(CollectionsMarshal.AsSpan(others))));
        SortDistinct(merged);
        return merged;
    }

    /// <summary>The tree of what texts have behind a beginning that they have in common.</summary>
    private Language Tree(ReadOnlySpan<byte[]> sorted, int from, int level)
    {
        if (sorted.IsEmpty) return Nothing;
        int common = from + sorted[0].AsSpan(from).CommonPrefixLength(sorted[^1].AsSpan(from));
        if (sorted.Length == 1 || common == sorted[^1].Length) return Literal(sorted[0].AsSpan(from)); // one text, or the same several times
        Language beginning = Literal(sorted[0].AsSpan(from, common - from));
        List<Language> branches = [];
        while (sorted[0].Length == common)
        {
            branches.Add(EmptyText);
            sorted = sorted[1..];
        }
        while (!sorted.IsEmpty)
        {
            byte value = sorted[0][common];
            int count = 1;
            while (level < MaxTree && count < sorted.Length && sorted[count][common] == value) count++;
            branches.Add(Tree(sorted[..count], common, level + 1));
            sorted = sorted[count..];
        }
        return Concatenate(beginning, Union(CollectionsMarshal.AsSpan(branches)));
    }

    private Language Add(Language language)
    {
        if (_languages.TryGetValue(language, out Language? known)) return known;
        if (_languages.Count == MaxLanguages)
            throw new GrammarException($"An expression has too many states: more than {MaxLanguages} were needed.");
        language.Id = _languages.Count;
        _languages.Add(language);
        return language;
    }

    /// <summary>Expressions are the same that are written the same; their parts are one object then.</summary>
    private sealed class SameExpression : IEqualityComparer<Language>
    {
        public static readonly SameExpression Comparer = new();

        public bool Equals(Language? x, Language? y) =>
            x!.Kind == y!.Kind && x.Min == y.Min && x.Max == y.Max && x.Bytes == y.Bytes && x.Multiple == y.Multiple && x.Parts.AsSpan().SequenceEqual(y.Parts);

        public int GetHashCode(Language language)
        {
            HashCode hash = default;
            hash.Add((int)language.Kind);
            hash.Add(language.Min);
            hash.Add(language.Max);
            if (language.Kind == LanguageKind.Bytes) hash.Add(language.Bytes);
            if (language.Kind == LanguageKind.Multiples) hash.Add(language.Multiple);
            foreach (Language part in language.Parts) hash.Add(part.Id);
            return hash.ToHashCode();
        }
    }
}
