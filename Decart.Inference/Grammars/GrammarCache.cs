using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars;

/// <summary>The grammars that a session has prepared for its vocabulary, the latest used ones. Safe for use by any number of threads.</summary>
/// <param name="tokenizer">Whose tokens texts are made of.</param>
/// <param name="modelVocabularySize">Columns of the model's logits.</param>
/// <param name="endTokens">The tokens that end the model's texts.</param>
internal sealed class GrammarCache(ITokenizer tokenizer, int modelVocabularySize, IReadOnlySet<int> endTokens)
{
    private const int MaxGrammars = 64;

    private readonly Lazy<GrammarVocabulary> _vocabulary = new(() => new GrammarVocabulary(tokenizer, modelVocabularySize, endTokens));
    private readonly Lock _gate = new();
    private readonly LinkedList<CompiledGrammar> _latestFirst = [];
    private readonly Dictionary<Grammar, LinkedListNode<CompiledGrammar>> _compiled = [];

    /// <summary>What leads a completion through its options' grammar; null where they have none.</summary>
    /// <param name="options">The options.</param>
    /// <param name="maxTokens">The most tokens of the completion.</param>
    /// <exception cref="GrammarException">The grammar has no text of so few tokens, or none that the vocabulary's tokens can make.</exception>
    public GrammarMatcher? Match(GenerationOptions options, int maxTokens)
    {
        if (options.Grammar is not { } grammar) return null;
        GrammarMatcher matcher = new(Compile(grammar), options.StopTokenIds, options.IgnoreEndOfText);
        if (matcher.TokensToComplete > maxTokens)
        {
            throw new GrammarException(
                $"The completion has room for {maxTokens} tokens; the shortest text of the grammar that was found needs {(matcher.TokensToComplete < Distances.Largest ? "" : "more than ")}{matcher.TokensToComplete}. Raise MaxTokens, or shorten the prompt.");
        }
        return matcher;
    }

    private CompiledGrammar Compile(Grammar grammar)
    {
        lock (_gate)
        {
            if (_compiled.TryGetValue(grammar, out LinkedListNode<CompiledGrammar>? known)) return ToFront(known);
        }
        // Not under the lock: a large one must not hold up requests with others.
        CompiledGrammar compiled = new(grammar, _vocabulary.Value);
        lock (_gate)
        {
            if (_compiled.TryGetValue(grammar, out LinkedListNode<CompiledGrammar>? other)) return ToFront(other);
            _compiled.Add(grammar, _latestFirst.AddFirst(compiled));
            if (_compiled.Count > MaxGrammars)
            {
                _compiled.Remove(_latestFirst.Last!.Value.Grammar);
                _latestFirst.RemoveLast();
            }
            return compiled;
        }
    }

    private CompiledGrammar ToFront(LinkedListNode<CompiledGrammar> node)
    {
        _latestFirst.Remove(node);
        _latestFirst.AddFirst(node);
        return node.Value;
    }
}
