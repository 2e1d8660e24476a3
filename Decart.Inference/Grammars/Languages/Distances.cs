using System.Runtime.CompilerServices;
using Decart.Inference.Grammars.Automata;

namespace Decart.Inference.Grammars.Languages;

/// <summary>
/// How many tokens complete a text of a language. Not always the fewest, but never too few: from each language that is not complete there is a token
/// that leads to one with a smaller distance. Infinite where no tokens complete a text, which is how dead ends are known.
/// </summary>
internal sealed class Distances(LanguageTable table, TokenTrie? tokens)
{
    public const int Infinite = int.MaxValue, Unknown = -1;

    /// <summary>Larger distances are taken for this, so that sums of several fit.</summary>
    public const int Largest = 1 << 28;

    /// <summary>Languages that one search may visit, byte by byte or token by token.</summary>
    private const int MaxVisited = 1 << 14, MaxVisitedByTokens = 1 << 10;

    private readonly ByteSet _single = tokens?.SingleBytes ?? ByteSet.All;

    /// <summary>Whether all bytes that texts have are tokens: then what is infinite between two tokens is so within one.</summary>
    public bool HasAllBytes { get; } = tokens is null || (tokens.SingleBytes | ~Utf8.Bytes) == ByteSet.All;

    public static int Add(int left, int right) => left == Infinite || right == Infinite ? Infinite : Math.Min(Largest, left + right);

    public static int Multiply(int distance, int times) => times == 0 ? 0 : distance == Infinite ? Infinite : (int)Math.Min(Largest, (long)distance * times);

    public int Of(Language language)
    {
        if (language.Distance == Unknown)
        {
            RuntimeHelpers.EnsureSufficientExecutionStack();
            if (language.Kind == LanguageKind.Concatenation) FindAlong(language);
            else Note(language, Find(language));
        }
        return language.Distance;
    }

    /// <summary>Whether nothing of a language can follow, wherever in a token that is.</summary>
    public bool IsDead(Language language) => language.Kind == LanguageKind.Nothing || (HasAllBytes && Of(language) == Infinite);

    private int Find(Language language)
    {
        if (language.IsNullable) return 0;
        switch (language.Kind)
        {
            case LanguageKind.Bytes:
                return (language.Bytes & _single).IsEmpty ? Infinite : 1;
            case LanguageKind.Concatenation:
                return tokens is not null && IsLiteral(language) ? OfTokens(language, tokens, TokenTrie.Root) : Add(Of(language.Parts[0]), Of(language.Parts[1]));
            case LanguageKind.Union:
                int least = Infinite;
                foreach (Language part in language.Parts) least = Math.Min(least, Of(part));
                return least;
            case LanguageKind.Repetition:
                return Multiply(Of(language.Parts[0]), language.Min);
            case LanguageKind.Intersection or LanguageKind.Complement or LanguageKind.Multiples:
                return Search(language);
            default:
                return Infinite;
        }
    }

    /// <summary>Of all that a chain of parts still needs, from its end: chains may be long.</summary>
    private void FindAlong(Language language)
    {
        Stack<Language> chain = [];
        Language rest = language;
        for (; rest is { Distance: Unknown, Kind: LanguageKind.Concatenation }; rest = rest.Parts[1]) chain.Push(rest);
        Of(rest);
        while (chain.TryPop(out Language? place)) Note(place, Find(place));
    }

    private void Note(Language language, int distance) =>
        language.Distance = distance == Infinite && !HasAllBytes && language.Kind != LanguageKind.Nothing ? SearchByTokens(language) : distance;

    private static bool IsLiteral(Language language) => language.IsBytesAndRest(out ByteSet bytes, out _) && bytes.Count == 1;

    /// <summary>Of what follows within a token, along the chain and the branches of the tree that literals make.</summary>
    private int OfTokens(Language place, TokenTrie tokens, int node)
    {
        int least = Infinite;
        if (place.Kind == LanguageKind.Union)
        {
            foreach (Language part in place.Parts) least = Math.Min(least, OfTokens(part, tokens, node));
            return least;
        }
        if (place is { Kind: LanguageKind.Concatenation, Parts: [{ Kind: LanguageKind.Union } union, var tail] })
        {
            foreach (Language part in union.Parts) least = Math.Min(least, OfTokens(table.Concatenate(part, tail), tokens, node));
            return least;
        }
        if (!place.IsBytesAndRest(out ByteSet bytes, out Language? rest) || (HasAllBytes && bytes.Count > 1)) return Infinite;
        for (int child = node + 1; child < tokens.End(node); child = tokens.End(child))
        {
            if (!bytes.Contains(tokens.Value(child))) continue;
            if (tokens.HasToken(child)) least = Math.Min(least, Add(1, rest is null ? 0 : Of(rest)));
            if (rest is not null) least = Math.Min(least, OfTokens(rest, tokens, child));
        }
        return least;
    }

    /// <summary>Looks, breadth first, for the nearest language whose distance is known, and notes the distances on the way there.</summary>
    private int Search(Language start)
    {
        Dictionary<Language, Language?> cameFrom = new() { [start] = null };
        Queue<Language> open = new([start]);
        while (open.TryDequeue(out Language? language))
        {
            ByteSet left = _single;
            while (!left.IsEmpty)
            {
                byte value = left.Smallest;
                left &= ~LanguageTable.Alike(language, value);
                Language next = table.After(language, value);
                if (cameFrom.ContainsKey(next)) continue;
                int known = next.Distance != Unknown || !IsSearched(next) ? Of(next) : Unknown;
                if (known == Infinite) continue;
                if (known != Unknown) return NoteAlong(language, known, cameFrom);
                cameFrom.Add(next, language);
                if (cameFrom.Count > MaxVisited)
                    throw new GrammarException($"An expression has too many states: {MaxVisited} were searched for an end of its texts.");
                open.Enqueue(next);
            }
        }
        foreach (Language language in cameFrom.Keys) language.Distance = Infinite;
        return Infinite;
    }

    /// <summary>Where bytes are not all tokens, tokens of several bytes may lead on.</summary>
    private int SearchByTokens(Language start)
    {
        Dictionary<Language, Language?> cameFrom = new() { [start] = null };
        Queue<Language> open = new([start]);
        Language[] path = new Language[tokens!.LongestToken + 1];
        while (open.TryDequeue(out Language? language) && cameFrom.Count < MaxVisitedByTokens)
        {
            path[0] = language;
            Following walk = new(table, path, []);
            tokens.Walk(TokenTrie.Root, ref walk);
            foreach (Language next in walk.Found)
            {
                if (cameFrom.ContainsKey(next)) continue;
                int known = next.Distance != Unknown ? next.Distance : Find(next);
                if (known == Infinite && next.Distance == Infinite) continue;
                if (known != Infinite) return NoteAlong(language, known, cameFrom);
                cameFrom.Add(next, language);
                open.Enqueue(next);
            }
        }
        return Infinite;
    }

    private readonly struct Following(LanguageTable table, Language[] path, HashSet<Language> found) : IWalk
    {
        public HashSet<Language> Found => found;

        public bool TryEnter(int index, in TokenTrie.Node node)
        {
            path[node.Depth] = table.After(path[node.Depth - 1], node.Value);
            if (path[node.Depth].Kind == LanguageKind.Nothing) return false;
            if (node.HasToken) found.Add(path[node.Depth]);
            return true;
        }
    }

    private static bool IsSearched(Language language) =>
        !language.IsNullable && language.Kind is LanguageKind.Intersection or LanguageKind.Complement or LanguageKind.Multiples;

    private static int NoteAlong(Language language, int distance, Dictionary<Language, Language?> cameFrom)
    {
        for (Language? place = language; place is not null; place = cameFrom[place])
        {
            distance = Add(distance, 1);
            place.Distance = distance;
        }
        return distance;
    }
}
