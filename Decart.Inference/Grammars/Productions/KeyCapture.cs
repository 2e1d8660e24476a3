using Decart.Inference.Grammars.Automata;
using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Productions;

/// <summary>What follows the name of a member. It is told the name byte by byte, because what follows depends on it, and because each stands in an object once.</summary>
internal sealed class KeyCapture : Production
{
    private readonly ObjectState _before;
    private readonly ObjectRest? _rest;
    private readonly int _cost;
    private readonly byte[] _name;
    private ByteTable<KeyCapture> _longer;

    /// <param name="before">The object without the member.</param>
    /// <param name="rest">The kind of member if its name is none of the known ones.</param>
    /// <param name="names">The names that it may be told, in quotes.</param>
    /// <param name="cost">What follows any of them costs.</param>
    public KeyCapture(ObjectState before, ObjectRest? rest, Language names, int cost)
        : this(before, rest, names, cost, [])
    {
    }

    private KeyCapture(ObjectState before, ObjectRest? rest, Language names, int cost, byte[] name) =>
        (_before, _rest, Names, _cost, _name) = (before, rest, names, cost, name);

    /// <summary>The names that it may be told, in quotes.</summary>
    public Language Names { get; }

    /// <summary>The same with more bytes of the name.</summary>
    public KeyCapture With(ReadOnlySpan<byte> bytes)
    {
        KeyCapture capture = this;
        foreach (byte value in bytes)
        {
            KeyCapture? longer = capture._longer[value];
            if (longer is null)
            {
                longer = new KeyCapture(_before, _rest, Names, _cost, [.. capture._name, value]);
                capture._longer.Set(value, longer);
            }
            capture = longer;
        }
        return capture;
    }

    public override void Expand(Automaton automaton, Frame? below, List<Configuration> into)
    {
        int member = _rest is null ? _before.Shape.Find(_name) : 0;
        ObjectState after = _rest is null ? _before.With(member) : _before.With(_name);
        if (_before.Shape.HasNamesOnly)
        {
            after.AfterMember.Expand(automaton, below, into);
            return;
        }
        Production value = _rest is null ? _before.Shape.Members[member].Value : _rest.Value;
        if (!automaton.TryPush(after.AfterMember, below, out Frame? tail) || !automaton.TryPush(value, tail, out Frame? frame)) return;
        into.Add(new Configuration(_before.Shape.Colon, frame));
    }

    public override void AddLeftmost(List<Rule> rules) { }

    public override bool FindNullable() => false;

    protected override int FindCost(int depth, bool isSettled) => _cost;
}
