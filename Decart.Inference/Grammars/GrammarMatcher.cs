using Decart.Inference.Grammars.Automata;
using Decart.Inference.Sampling;

namespace Decart.Inference.Grammars;

/// <summary>
/// One completion on its way through a grammar. For one thread at a time, the engine's; masks are prepared by threads of the pool while the model computes.
/// </summary>
internal sealed class GrammarMatcher
{
    private readonly CompiledGrammar _grammar;
    private readonly int[] _stopTokens;
    private readonly bool _ignoresEnd;
    private readonly List<byte> _text = [];
    private GrammarAutomaton _automaton;
    private Position _position;

    /// <param name="grammar">The grammar.</param>
    /// <param name="stopTokens">Tokens that end this completion besides those that end any.</param>
    /// <param name="ignoresEnd">Whether the text is to go on as long as it can.</param>
    public GrammarMatcher(CompiledGrammar grammar, IEnumerable<int> stopTokens, bool ignoresEnd)
    {
        _grammar = grammar;
        _stopTokens = [.. stopTokens];
        _ignoresEnd = ignoresEnd;
        _automaton = grammar.Automaton;
        _position = _automaton.Start;
        Prepare();
    }

    /// <summary>Tokens that complete the text; there may be a shorter way.</summary>
    public int TokensToComplete => _position.Cost;

    /// <summary>Whether the text is complete and nothing can be added to it.</summary>
    public bool IsAtEnd => _position.IsAtEnd;

    /// <summary>Whether it is, and no token is there to say so.</summary>
    public bool EndsByItself => IsAtEnd && HasNoEndToken;

    private bool HasNoEndToken => _stopTokens.Length == 0 && (_ignoresEnd || _grammar.Vocabulary.EndTokens.Count == 0);

    /// <summary>Whether the text is complete, nothing that could be added to it would be complete in time, and no token is there to say so.</summary>
    /// <param name="tokensLeft">How many more tokens there may be.</param>
    public bool IsCut(int tokensLeft) => _position.Accepts && HasNoEndToken && (tokensLeft == 0 || !Next(tokensLeft).Words.ContainsAnyExcept(0u));

    /// <summary>The tokens that may come next.</summary>
    /// <param name="tokensLeft">How many more there may be, the next included.</param>
    public TokenMask Next(int tokensLeft)
    {
        TokenMask mask = _automaton.Allowed(_position, tokensLeft - 1).Mask;
        if (_stopTokens.Length == 0 && !_ignoresEnd) return mask;
        uint[] words = [.. mask.Words];
        if (_ignoresEnd)
        {
            foreach (int token in _grammar.Vocabulary.EndTokens) TokenMask.Forbid(words, token);
        }
        foreach (int token in _stopTokens)
        {
            if (_position.Accepts) TokenMask.Allow(words, token);
            else TokenMask.Forbid(words, token);
        }
        return new TokenMask(words);
    }

    /// <summary>Takes the next token, unless it ends the text.</summary>
    /// <exception cref="InvalidOperationException">The grammar does not allow it.</exception>
    public void Accept(int token)
    {
        ReadOnlySpan<byte> bytes = token < _grammar.Vocabulary.Bytes.Length ? _grammar.Vocabulary.Bytes[token].Span : default;
        _text.AddRange(bytes);
        if (_automaton.IsOverfull && _grammar.Automaton is var other && other != _automaton)
        {
            // All it needs of the other one is where the text leads there.
            _automaton = other;
            _position = other.After(other.Start, _text.ToArray());
        }
        else
        {
            _position = _automaton.After(_position, bytes);
        }
        if (_position.IsDead) throw new InvalidOperationException($"Token {token} cannot follow in the grammar.");
        Prepare();
    }

    private void Prepare()
    {
        if (_position.Allowed is not null) return;
        ThreadPool.UnsafeQueueUserWorkItem(static work => work.Automaton.Prepare(work.Position), (Automaton: _automaton, Position: _position), preferLocal: false);
    }
}
