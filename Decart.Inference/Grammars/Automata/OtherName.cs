using Decart.Inference.Grammars.Languages;
using Decart.Inference.Grammars.Productions;

namespace Decart.Inference.Grammars.Automata;

/// <summary>
/// What follows a member whose name is none of the known ones. It is told the name, so that no other member takes it. Where names are open, one that is taken is
/// seen only when it is complete.
/// </summary>
internal sealed class OtherName : Continuation
{
    private readonly OpenObject _object;
    private readonly int _rest;
    private readonly byte[] _name;
    private readonly bool _isComplete, _isEscaped;
    private readonly NameRange _known, _others; // the names that begin with it and may not be it
    private Continuation? _afterMember;

    /// <param name="object">The object without the member.</param>
    /// <param name="rest">The kind of member.</param>
    public OtherName(OpenObject @object, int rest)
    {
        (_object, _rest, _name) = (@object, rest, []);
        if (@object.Shape.Rest[rest].IsOpen) (_known, _others) = (NameRange.All(@object.Shape.Names), NameRange.All(@object.Others));
    }

    private OtherName(OtherName shorter, byte value)
    {
        (_object, _rest, _name) = (shorter._object, shorter._rest, [.. shorter._name, value]);
        _isEscaped = value == '\\' && !shorter._isEscaped;
        _isComplete = value == '"' && !shorter._isEscaped && _name.Length > 1 && !_object.Shape.HasNamesOnly;
        (_known, _others) = (shorter._known.After(value), shorter._others.After(value));
    }

    /// <summary>How many bytes of it have been read.</summary>
    public int Length => _name.Length;

    /// <summary>The names of known members that begin like it.</summary>
    public NameRange Known => _known;

    /// <summary>The names of other members that begin like it.</summary>
    public NameRange Others => _others;

    /// <summary>Whether all of it has been read, so that the rest of the member is of no interest.</summary>
    public bool IsComplete => _isComplete;

    /// <summary>Whether some names that it could become are taken.</summary>
    public bool HasTaken => !_isComplete && _known.Count + _others.Count > 0;

    /// <summary>What it costs to complete the text behind the member.</summary>
    public int CostBehind => _object.CostAfterOther;

    public override bool TryRead(byte value, out Continuation after)
    {
        after = this;
        if (_isComplete) return true;
        OtherName longer = new(this, value);
        after = longer;
        return !longer._known.IsComplete && !longer._others.IsComplete;
    }

    public override void Expand(BranchList into) => (_afterMember ??= _object.With(_name).AfterMember).Expand(into);

    protected override int FindCost() => Distances.Add(CostBehind, HasTaken ? ObjectState.CostOfDifference(_known.Count + _others.Count) : 0);
}
