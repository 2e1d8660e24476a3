using Decart.Inference.Grammars.Productions;

namespace Decart.Inference.Grammars.Automata;

/// <summary>
/// What must follow once a terminal is complete: a production, and then what lies below it. Frames are shared by all places in texts that continue alike; the
/// automaton makes each once.
/// </summary>
/// <param name="id">Its place in the order of creation.</param>
/// <param name="production">What must follow first.</param>
/// <param name="below">What must follow then; null for nothing.</param>
/// <param name="depth">How many levels may nest in what follows.</param>
/// <param name="cost">How many tokens complete the text from here, as <see cref="Languages.Distances"/> counts; finite.</param>
internal sealed class Frame(int id, Production production, Frame? below, int depth, int cost)
{
    public int Id => id;

    public Production Production => production;

    public Frame? Below => below;

    public int Depth => depth;

    public int Cost => cost;

    /// <summary>The automaton's state where it begins, once it has been asked for.</summary>
    public State? Start { get; set; }
}
