namespace Decart.Inference.Grammars;

/// <summary>A grammar for one vocabulary. Safe for use by any number of threads.</summary>
internal sealed class CompiledGrammar(Grammar grammar, GrammarVocabulary vocabulary)
{
    private readonly Lock _gate = new();
    private GrammarAutomaton _automaton = grammar.Build(vocabulary);

    public Grammar Grammar => grammar;

    public GrammarVocabulary Vocabulary => vocabulary;

    /// <summary>For new texts: one that is not full.</summary>
    public GrammarAutomaton Automaton
    {
        get
        {
            lock (_gate)
            {
                if (_automaton.IsFull) _automaton = grammar.Build(vocabulary);
                return _automaton;
            }
        }
    }
}
