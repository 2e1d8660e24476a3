using Decart.Inference.Grammars.Automata;

namespace Decart.Inference.Grammars.Productions;

/// <summary>
/// A JSON object behind its opening brace. Which members it has is no state of the automaton, there are too many sets of them: a text keeps its own
/// (<see cref="OpenObject"/>), and the automaton only says where an object begins and what follows it.
/// </summary>
internal sealed class ObjectBody(ObjectShape shape) : Production
{
    public ObjectShape Shape => shape;

    public override void Expand(Automaton automaton, Frame? below, List<Configuration> into)
    {
        if (automaton.TryPush(this, below, out Frame? frame)) into.Add(new Configuration(shape.Table.EmptyText, frame));
    }

    public override void AddLeftmost(List<Rule> rules) { }

    public override bool FindNullable() => false;

    protected override int FindCost(int depth, bool isSettled) => shape.Empty.CostOfMember(isFirst: true, depth, isSettled);
}
