using Decart.Inference.Grammars.Automata;
using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Productions;

/// <summary>What follows the name of a member that is none of the known ones. It has to know the name, so that the object has it once.</summary>
internal sealed class KeyCapture : Production
{
    private readonly ObjectState _before;
    private readonly ObjectShape _shape;
    private readonly Production _value;
    private readonly byte[] _name;
    private ByteTable<KeyCapture> _longer;

    /// <param name="before">The object without the member.</param>
    /// <param name="shape">What the object may consist of.</param>
    /// <param name="value">What the member's value may be.</param>
    public KeyCapture(ObjectState before, ObjectShape shape, Production value)
        : this(before, shape, value, [])
    {
    }

    private KeyCapture(ObjectState before, ObjectShape shape, Production value, byte[] name) => (_before, _shape, _value, _name) = (before, shape, value, name);

    /// <summary>The same with one more byte of the name.</summary>
    public KeyCapture With(byte value)
    {
        if (_longer[value] is { } known) return known;
        KeyCapture longer = new(_before, _shape, _value, [.. _name, value]);
        _longer.Set(value, longer);
        return longer;
    }

    public override void Expand(Automaton automaton, Frame? below, List<Configuration> into)
    {
        if (!automaton.TryPush(_before.With(_name).AfterMember, below, out Frame? after) || !automaton.TryPush(_value, after, out Frame? value)) return;
        into.Add(new Configuration(_shape.Colon, value));
    }

    public override void AddLeftmost(List<Rule> rules) { }

    public override bool FindNullable() => false;

    protected override int FindCost(int depth, bool isSettled)
    {
        int colonAndValue = Distances.Add(_shape.Table.Distances.Of(_shape.Colon), _value.Cost(depth, isSettled));
        return Distances.Add(colonAndValue, _before.CostAfterOther(depth, isSettled));
    }
}
