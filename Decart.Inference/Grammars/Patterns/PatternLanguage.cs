using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Patterns;

/// <summary>The language of a regular expression.</summary>
/// <param name="table">Where languages are made.</param>
/// <param name="character">How a character of a set is written.</param>
/// <param name="any">Any character as it is written.</param>
internal sealed class PatternLanguage(LanguageTable table, Func<CodePointSet, Language> character, Language any)
{
    private readonly Language _anything = table.Repeat(any, 0);
    private readonly Dictionary<CodePointSet, Language> _characters = [];

    /// <summary>The texts that match as a whole.</summary>
    public Language Whole(Pattern pattern) => Lower([pattern], opensStart: false, opensEnd: false);

    /// <summary>The texts in which there is a match.</summary>
    public Language Containing(Pattern pattern) => Lower([pattern], opensStart: true, opensEnd: true);

    /// <summary>
    /// Of a sequence at the outermost level, where anchors and lookaheads may stand. What comes before a match and after it is anything, unless an anchor says
    /// otherwise.
    /// </summary>
    private Language Lower(IReadOnlyList<Pattern> parts, bool opensStart, bool opensEnd)
    {
        List<Pattern> flat = [];
        foreach (Pattern part in parts) Flatten(part, flat);
        int split = flat.FindIndex(part => part is AlternativePattern && HasAssertions(part));
        if (split >= 0)
        {
            var alternatives = (AlternativePattern)flat[split];
            return table.Union(alternatives.Parts.Select(part => Lower([.. flat[..split], part, .. flat[(split + 1)..]], opensStart, opensEnd)));
        }
        while (flat is [AnchorPattern { IsStart: true }, ..])
        {
            opensStart = false;
            flat.RemoveAt(0);
        }
        while (flat is [.., AnchorPattern { IsStart: false }])
        {
            opensEnd = false;
            flat.RemoveAt(flat.Count - 1);
        }
        Language language = opensEnd ? _anything : table.EmptyText;
        for (int i = flat.Count - 1; i >= 0; i--)
        {
            language = flat[i] is LookaheadPattern look ? Restrict(language, look) : table.Concatenate(Lower(flat[i]), language);
        }
        return opensStart ? table.Concatenate(_anything, language) : language;
    }

    private Language Restrict(Language language, LookaheadPattern look)
    {
        Language begins = Lower([look.Part], opensStart: false, opensEnd: true);
        return table.Intersect(language, look.IsNegative ? table.Complement(begins) : begins);
    }

    private static void Flatten(Pattern part, List<Pattern> into)
    {
        if (part is not SequencePattern sequence)
        {
            into.Add(part);
            return;
        }
        foreach (Pattern inner in sequence.Parts) Flatten(inner, into);
    }

    private static bool HasAssertions(Pattern pattern) => pattern switch
    {
        AnchorPattern or LookaheadPattern => true,
        SequencePattern sequence => sequence.Parts.Any(HasAssertions),
        AlternativePattern alternatives => alternatives.Parts.Any(HasAssertions),
        RepeatedPattern repeated => HasAssertions(repeated.Part),
        _ => false,
    };

    /// <summary>Of a part without anchors and lookaheads.</summary>
    private Language Lower(Pattern pattern) => pattern switch
    {
        CharacterPattern single => Character(single.Set),
        SequencePattern sequence => table.Concatenate([.. sequence.Parts.Select(Lower)]),
        AlternativePattern alternatives => table.Union(alternatives.Parts.Select(Lower)),
        RepeatedPattern repeated => table.Repeat(Lower(repeated.Part), repeated.Min, repeated.Max),
        AnchorPattern => throw new GrammarException("An anchor stands in the middle of a regular expression, where it is not supported."),
        _ => throw new GrammarException("A lookahead stands inside a repeated part of a regular expression, where it is not supported."),
    };

    private Language Character(CodePointSet set)
    {
        if (!_characters.TryGetValue(set, out Language? known)) _characters.Add(set, known = character(set));
        return known;
    }
}
