using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Automata;

/// <summary>One way to go on: a terminal that is being read, and what follows it.</summary>
/// <param name="Language">What the terminal still needs; the empty text where an object's body begins (<see cref="Productions.ObjectBody"/>).</param>
/// <param name="Frame">What follows; null for the end of the text.</param>
internal readonly record struct Configuration(Language Language, Frame? Frame);

/// <summary>
/// All ways in which a text may go on, as far as no object around it matters: a state of an automaton that is built while it is used. Texts that go on alike lead to
/// the same state.
/// </summary>
/// <param name="configurations">In the order of their ids; each can be completed.</param>
/// <param name="accepts">Whether the text may end here, or go on as the object around it does.</param>
/// <param name="cost">How many tokens lead there, as <see cref="Distances"/> counts.</param>
internal sealed class State(Configuration[] configurations, bool accepts, int cost)
{
    private ByteTable<State> _after;

    public Configuration[] Configurations => configurations;

    /// <summary>The bodies of objects that begin here.</summary>
    public Frame[] Bodies { get; } = FindBodies(configurations);

    /// <summary>Whether bytes may follow before such a body or the end.</summary>
    public bool HasText => Bodies.Length < configurations.Length;

    /// <summary>Whether more than bytes of terminals may follow.</summary>
    public bool IsExit => accepts || Bodies.Length > 0;

    /// <summary>Whether the same may follow another state beside bytes of terminals.</summary>
    public bool LeavesLike(State other) => accepts == other.Accepts && Bodies.AsSpan().SequenceEqual(other.Bodies);

    public bool Accepts => accepts;

    public int Cost => cost;

    /// <summary>Whether nothing may follow, not even the end.</summary>
    public bool IsDead => configurations.Length == 0 && !accepts;

    public ref ByteTable<State> AfterByte => ref _after;

    /// <summary>What masks remember of it.</summary>
    public StateTokens? Tokens { get; set; }

    /// <summary>The same where it begins within tokens.</summary>
    public Dictionary<TrieNodes, StateTokens>? TokensBelow { get; set; }

    private static Frame[] FindBodies(Configuration[] configurations)
    {
        if (!Array.Exists(configurations, IsBody)) return [];
        return [.. configurations.Where(IsBody).Select(way => way.Frame!)];

        static bool IsBody(Configuration way) => way.Language.Kind == LanguageKind.EmptyText;
    }
}
