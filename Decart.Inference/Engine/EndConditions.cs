using System.Collections.Frozen;
using Decart.Inference.Sampling;
using Decart.Inference.Tokenization;

namespace Decart.Inference.Engine;

/// <summary>What ends a completion before its length does.</summary>
/// <param name="Tokens">Tokens that end it.</param>
/// <param name="Sequences">Stop sequences as text, or null.</param>
/// <param name="SequencesWithTokens">Those stop sequences that name special tokens, with the tokens in the names' places; or null.</param>
internal sealed record EndConditions(IReadOnlySet<int> Tokens, StopAutomaton? Sequences, StopAutomaton? SequencesWithTokens)
{
    /// <param name="options">A request's options.</param>
    /// <param name="tokenizer">Whose special tokens stop sequences may name; null for a model without.</param>
    /// <param name="endOfText">The tokens that end the model's texts.</param>
    public static EndConditions Create(GenerationOptions options, ITokenizer? tokenizer, FrozenSet<int> endOfText)
    {
        IReadOnlySet<int> tokens = options.IgnoreEndOfText ? FrozenSet<int>.Empty : endOfText;
        if (options.StopTokenIds.Count > 0) tokens = new HashSet<int>([.. tokens, .. options.StopTokenIds]);
        if (options.StopSequences.Count == 0) return new EndConditions(tokens, null, null);

        string[] sequences = [.. options.StopSequences.Distinct()];
        List<(string, IReadOnlyList<int>)> withTokens = [];
        if (tokenizer?.SpecialTokens is { Count: > 0 } special) withTokens.AddRange(NamingTokens(sequences, special));
        return new EndConditions(
            tokens,
            new StopAutomaton(sequences.Select(sequence => (sequence, (IReadOnlyList<int>)[.. sequence.Select(character => (int)character)]))),
            withTokens.Count > 0 ? new StopAutomaton(withTokens) : null);
    }

    private static IEnumerable<(string, IReadOnlyList<int>)> NamingTokens(string[] sequences, IReadOnlyDictionary<string, int> specialTokens)
    {
        var matcher = new AddedTokenMatcher(specialTokens.Select(token => new AddedToken(token.Value, token.Key, Special: true)));
        List<Segment> segments = [];
        foreach (string sequence in sequences)
        {
            segments.Clear();
            matcher.Split(sequence, segments);
            if (segments.TrueForAll(segment => segment.IsText)) continue;
            yield return (sequence, [.. segments.SelectMany(segment => Symbols(sequence, segment))]);
        }
    }

    private static IEnumerable<int> Symbols(string sequence, Segment segment) => segment.IsText
        ? sequence.Substring(segment.Piece.Start, segment.Piece.Length).Select(character => (int)character)
        : [StopAutomaton.TokenSymbol(segment.Id)];
}
