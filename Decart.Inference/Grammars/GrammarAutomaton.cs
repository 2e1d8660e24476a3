using Decart.Inference.Grammars.Automata;
using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars;

/// <summary>A grammar as an automaton that grows while it is used. Any number of threads may use it; they take turns.</summary>
internal sealed class GrammarAutomaton
{
    private readonly Lock _gate = new();
    private readonly Automaton _automaton;
    private readonly BranchList _before, _after;
    private readonly MaskBuilder? _masks;

    /// <param name="table">The languages of its terminals.</param>
    /// <param name="automaton">Its states.</param>
    /// <param name="vocabulary">What texts are made of; null where only whole texts are looked at.</param>
    public GrammarAutomaton(LanguageTable table, Automaton automaton, GrammarVocabulary? vocabulary)
    {
        _automaton = automaton;
        (_before, _after) = (new BranchList(automaton), new BranchList(automaton));
        if (vocabulary is not null) _masks = new MaskBuilder(automaton, table, vocabulary.Trie, vocabulary.EndTokens);
    }

    /// <summary>Where texts begin.</summary>
    public Position Start => _automaton.Start;

    /// <summary>Whether so much is remembered that a new one should take its place.</summary>
    public bool IsFull
    {
        get
        {
            lock (_gate) return _automaton.IsFull;
        }
    }

    /// <summary>Whether texts that have begun with it should go on with a new one too.</summary>
    public bool IsOverfull
    {
        get
        {
            lock (_gate) return _automaton.IsOverfull;
        }
    }

    /// <summary>The position after some bytes; dead where they may not follow.</summary>
    public Position After(Position position, ReadOnlySpan<byte> bytes)
    {
        try
        {
            lock (_gate)
            {
                if (bytes.IsEmpty) return position;
                (BranchList before, BranchList after) = (_before, _after);
                after.Read(position.Branches, bytes[0]);
                foreach (byte value in bytes[1..])
                {
                    (before, after) = (after, before);
                    after.Read(before.Branches, value);
                }
                return after.ToPosition(position);
            }
        }
        catch (InsufficientExecutionStackException error)
        {
            throw GrammarBuilder.TooDeep(error);
        }
    }

    /// <summary>The tokens that may follow so that the text can be completed.</summary>
    /// <param name="position">The position.</param>
    /// <param name="tokensLeft">How many more tokens there may be after the next.</param>
    public AllowedTokens Allowed(Position position, int tokensLeft)
    {
        if (position.Allowed is { } prepared && prepared.LargestCost <= tokensLeft) return prepared;
        try
        {
            lock (_gate) return _masks!.Of(position, tokensLeft);
        }
        catch (InsufficientExecutionStackException error)
        {
            throw GrammarBuilder.TooDeep(error);
        }
    }

    /// <summary>Finds the tokens that may follow before they are asked for. Never throws: what goes wrong is told to whoever asks.</summary>
    public void Prepare(Position position)
    {
        try
        {
            lock (_gate) _masks!.Of(position);
        }
        catch (Exception)
        {
            // It goes wrong again when the step needs it, and there it can be told.
        }
    }

    public bool IsMatch(ReadOnlySpan<byte> text) => After(Start, text).Accepts;
}
