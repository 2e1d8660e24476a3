using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Automata;

/// <summary>One way to go on: a terminal that is being read, and what follows it.</summary>
/// <param name="Language">What the terminal still needs; not the empty text.</param>
/// <param name="Frame">What follows; null for the end of the text.</param>
internal readonly record struct Configuration(Language Language, Frame? Frame);

/// <summary>
/// All ways in which a text may go on: a state of an automaton that is built while it is used. Texts that go on alike lead to the same state.
/// </summary>
/// <param name="configurations">In the order of their ids; each can be completed.</param>
/// <param name="accepts">Whether the text may end here.</param>
/// <param name="cost">How many tokens complete the text, as <see cref="Distances"/> counts.</param>
internal sealed class State(Configuration[] configurations, bool accepts, int cost)
{
    private ByteTable<State> _after;

    public Configuration[] Configurations => configurations;

    public bool Accepts => accepts;

    public int Cost => cost;

    /// <summary>Whether nothing may follow, not even the end.</summary>
    public bool IsDead => configurations.Length == 0 && !accepts;

    public ref ByteTable<State> AfterByte => ref _after;

    /// <summary>The tokens that may follow, once they have been asked for.</summary>
    public AllowedTokens? Allowed { get; set; }
}
