using Decart.Inference.Grammars.Languages;
using Decart.Inference.Grammars.Productions;

namespace Decart.Inference.Grammars.Automata;

/// <summary>An object of a text that is not closed yet, with the members that it has so far. Immutable but for what it remembers of answers.</summary>
internal sealed class OpenObject
{
    private readonly Automaton _automaton;
    private readonly ObjectState _state;
    private readonly Frame? _below;
    private readonly Continuation? _outer;
    private readonly int _depth, _costBehind;
    private MemberSet? _available;
    private int? _costAfterOther;
    private Continuation? _afterMember, _afterComma;

    /// <param name="automaton">The automaton.</param>
    /// <param name="body">The object, and what follows it in the automaton.</param>
    /// <param name="outer">What follows that.</param>
    public OpenObject(Automaton automaton, Frame body, Continuation? outer)
        : this(automaton, ((ObjectBody)body.Production).Shape.Empty, body.Below, outer)
    {
    }

    private OpenObject(Automaton automaton, ObjectState state, Frame? below, Continuation? outer)
    {
        (_automaton, _state, _below, _outer) = (automaton, state, below, outer);
        _depth = Automaton.DepthAbove(below);
        _costBehind = Distances.Add(below?.Cost ?? 0, outer?.Cost ?? 0);
    }

    public ObjectShape Shape => _state.Shape;

    /// <summary>The known members that it may have next.</summary>
    public MemberSet Available => _available ??= _state.Available(_depth);

    /// <summary>The names of members of other kinds that it has.</summary>
    public byte[][] Others => _state.Others;

    /// <summary>A member, or the end of an empty object.</summary>
    public Continuation Opening => new BeforeMember(this, isFirst: true);

    /// <summary>A comma and a member, or the end.</summary>
    public Continuation AfterMember => _afterMember ??= new BehindMember(this);

    private Continuation AfterComma => _afterComma ??= new BeforeMember(this, isFirst: false);

    /// <summary>The most that remains to be completed somewhere within the next name, or more.</summary>
    public int LargestCostOfNames => Distances.Add(_state.LargestCost(_depth), _costBehind);

    /// <summary>What it costs to complete the text within the name of a member.</summary>
    /// <param name="names">The names that begin with what has been read.</param>
    public int CostOfNames(NameRange names)
    {
        int least = Distances.Infinite;
        for (int member = Available.Next(names.From); member < names.To; member = Available.Next(member + 1))
            least = Math.Min(least, CostOfName(member, names.Length));
        return least;
    }

    /// <summary>Whether it costs at most so much to complete the text within the name of a member.</summary>
    /// <param name="names">The names that begin with what has been read.</param>
    /// <param name="maxCost">The cost.</param>
    public bool CanComplete(NameRange names, int maxCost)
    {
        for (int member = Available.Next(names.From); member < names.To; member = Available.Next(member + 1))
        {
            if (CostOfName(member, names.Length) <= maxCost) return true;
        }
        return false;
    }

    /// <summary>What it costs to complete the text behind one more member of another kind than the known ones.</summary>
    public int CostAfterOther => _costAfterOther ??= Distances.Add(_state.CostAfterOther(_depth), _costBehind);

    /// <summary>The object with one more member of another kind than the known ones.</summary>
    /// <param name="name">Its name, in quotes.</param>
    public OpenObject With(byte[] name) => With(_state.With(name));

    /// <summary>Adds what follows the name of a known member.</summary>
    public void ExpandFromColon(int member, BranchList into) =>
        into.Add(_automaton.StartOf(Shape.FromColon(member), _automaton.Bottom(_depth)), With(_state.With(member)).AfterMember);

    private int CostOfName(int member, int length) => Distances.Add(Distances.Add(Shape.DistanceInName(member, length), _state.CostFromColon(member, _depth)), _costBehind);

    private OpenObject With(ObjectState state) => new(_automaton, state, _below, _outer);

    private bool MayHaveMember()
    {
        if (Available.Next(0) != int.MaxValue) return true;
        for (int rest = 0; rest < Shape.Rest.Length; rest++)
        {
            if (_state.MayHaveOther(rest, _depth)) return true;
        }
        return false;
    }

    /// <summary>The state where a member of another kind begins; null where there can be none.</summary>
    private State? StartOfOther(int rest)
    {
        if (!_state.MayHaveOther(rest, _depth) || !_automaton.TryPush(Shape.RestFromColon(rest), _automaton.Bottom(_depth), out Frame? frame)) return null;
        return _automaton.StartOf(_state.NamesOf(rest), frame);
    }

    private sealed class BehindMember(OpenObject its) : Continuation
    {
        public override void Expand(BranchList into)
        {
            if (its._state.MayEnd) into.Add(its._automaton.StartOf(its.Shape.Close, its._below), its._outer);
            if (its.MayHaveMember()) into.Add(its._automaton.StartOf(its.Shape.Comma, below: null), its.AfterComma);
        }

        protected override int FindCost() => Distances.Add(its._state.CostAfterMember(its._depth), its._costBehind);
    }

    private sealed class BeforeMember(OpenObject its, bool isFirst) : Continuation
    {
        public override void Expand(BranchList into)
        {
            if (isFirst && its._state.MayEnd) into.Add(its._automaton.StartOf(its.Shape.CloseEmpty, its._below), its._outer);
            into.AddNames(its, NameRange.All(its.Shape.Names));
            for (int rest = 0; rest < its.Shape.Rest.Length; rest++)
            {
                if (its.StartOfOther(rest) is { } start) into.Add(start, new OtherName(its, rest));
            }
        }

        protected override int FindCost() => Distances.Add(its._state.CostOfMember(isFirst, its._depth), its._costBehind);
    }
}
