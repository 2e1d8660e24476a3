using Decart.Inference.Grammars.Automata;
using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Productions;

/// <summary>A JSON object with the members that it has so far: what may follow, and what must.</summary>
internal sealed class ObjectState
{
    /// <summary>
    /// Tokens of a new name, quotes included, that is none of those an object has: there are some hundred thousand of three characters.
    /// </summary>
    private const int NewNameCost = 5;

    private readonly ObjectShape _shape;
    private readonly SeenMembers _seen;
    private readonly bool[] _isMissing; // members that it must have
    private readonly int _missing;
    private readonly Dictionary<int, KeyCapture[]> _names = []; // by depth
    private Language[]? _restNames;

    public ObjectState(ObjectShape shape, SeenMembers seen)
    {
        _shape = shape;
        _seen = seen;
        _isMissing = FindMissing();
        _missing = _isMissing.AsSpan().Count(true);
        AfterOpening = new BeforeMember(this, isFirst: true);
        AfterComma = new BeforeMember(this, isFirst: false);
        AfterMember = new Tail(this);
    }

    public ObjectShape Shape => _shape;

    /// <summary>A member, or the end of an empty object.</summary>
    public Production AfterOpening { get; }

    /// <summary>A member.</summary>
    public Production AfterComma { get; }

    /// <summary>A comma and a member, or the end.</summary>
    public Production AfterMember { get; }

    private bool MayEnd => _missing == 0 && _seen.Count >= _shape.Min;

    /// <summary>The object with a further member.</summary>
    public ObjectState With(int member) => _shape.Get(_seen.With(member));

    /// <summary>The object with a further member, whose name in quotes is none of the known ones.</summary>
    public ObjectState With(byte[] name) => _shape.Get(_seen.With(name));

    /// <summary>What a member costs from its colon on, and what follows it.</summary>
    private int CostFromColon(int member, int depth)
    {
        int own = Distances.Add(Of(_shape.Colon), _shape.Members[member].Value.Cost(depth));
        return Distances.Add(own, CostAfter(member, depth, isSettled: true));
    }

    /// <summary>What the rest of the object costs after one more member that is none of the known ones.</summary>
    private int CostAfterOther(int depth, bool isSettled) =>
        Distances.Add(CostOfNeeded(depth, isSettled, _seen.Count + 1, out _), Of(_shape.Close));

    private int CostAfter(int member, int depth, bool isSettled)
    {
        if (_shape.HasConditions || _shape.Min > _seen.Count) return With(member).AfterMember.Cost(depth, isSettled);
        int needed = CostOfNeeded(depth, isSettled, _seen.Count, out _);
        if (needed != Distances.Infinite && _isMissing[member]) needed -= _shape.Costs(depth, isSettled)[member];
        return Distances.Add(needed, Of(_shape.Close));
    }

    private bool[] FindMissing()
    {
        ReadOnlySpan<ObjectMember> members = _shape.Members;
        bool[] missing = new bool[members.Length];
        for (int i = 0; i < missing.Length; i++) missing[i] = members[i].IsRequired;
        for (bool changed = _shape.HasConditions; changed;)
        {
            changed = false;
            for (int i = 0; i < missing.Length; i++)
            {
                if (!missing[i] && !_seen.Has(i)) continue;
                foreach (int required in members[i].Requires)
                {
                    changed |= !missing[required];
                    missing[required] = true;
                }
            }
        }
        for (int i = 0; i < missing.Length; i++) missing[i] &= !_seen.Has(i);
        return missing;
    }

    private bool HasRoom(int missingAfter) => _seen.Count + 1 + (long)missingAfter <= _shape.Max;

    private bool MayHave(int member)
    {
        if (_seen.Has(member)) return false;
        if (_shape.Max == int.MaxValue) return true;
        return HasRoom(_shape.HasConditions ? With(member)._missing : _isMissing[member] ? _missing - 1 : _missing);
    }

    /// <summary>The names, in quotes, that a further member may have beside the known ones.</summary>
    private Language[] RestNames()
    {
        if (_restNames is not null) return _restNames;
        LanguageTable table = _shape.Table;
        if (!HasRoom(_missing)) return _restNames = [.. _shape.Rest.Select(_ => table.Nothing)];
        if (_seen.Others.Count == 0) return _restNames = [.. _shape.Rest.Select(rest => rest.Name)];
        Language others = table.Complement(table.Literals(_seen.Others));
        return _restNames = [.. _shape.Rest.Select(rest => table.Intersect(rest.Name, others))];
    }

    /// <summary>What the members cost that are still needed, each with its comma.</summary>
    private int CostOfNeeded(int depth, bool isSettled, int seen, out int count)
    {
        int cost = 0;
        count = Math.Max(_missing, _shape.Min - seen);
        if (_missing > 0)
        {
            ReadOnlySpan<int> costs = _shape.Costs(depth, isSettled);
            for (int i = 0; i < _isMissing.Length; i++)
            {
                if (_isMissing[i]) cost = Distances.Add(cost, costs[i]);
            }
        }
        int others = count - _missing;
        return others > 0 ? Distances.Add(cost, CostOfOthers(others, depth, isSettled)) : cost;
    }

    /// <summary>What some members cost that need not be there.</summary>
    private int CostOfOthers(int count, int depth, bool isSettled)
    {
        int cost = 0;
        IEnumerable<int> optional = Enumerable.Range(0, _isMissing.Length)
            .Where(member => !_isMissing[member] && MayHave(member))
            .Select(member => CostWithRequired(member, depth, isSettled))
            .Where(its => its != Distances.Infinite).Order().Take(count);
        foreach (int its in optional)
        {
            cost = Distances.Add(cost, its);
            count--;
        }
        if (count == 0) return cost;
        int rest = Distances.Infinite;
        for (int i = 0; i < _shape.Rest.Length; i++) rest = Math.Min(rest, CostOfRest(i, depth, isSettled));
        return Distances.Add(cost, Distances.Multiply(rest, count));
    }

    private int CostWithRequired(int member, int depth, bool isSettled)
    {
        ReadOnlySpan<int> costs = _shape.Costs(depth, isSettled);
        int cost = costs[member];
        if (_shape.Members[member].Requires.Length == 0) return cost;
        bool[] missing = With(member)._isMissing;
        for (int i = 0; i < missing.Length; i++)
        {
            if (missing[i] && !_isMissing[i]) cost = Distances.Add(cost, costs[i]);
        }
        return cost;
    }

    private int CostOfRest(int rest, int depth, bool isSettled)
    {
        int name = Of(RestNames()[rest]);
        if (name == Distances.Infinite) return name;
        int colonAndValue = Distances.Add(Of(_shape.Colon), _shape.Rest[rest].Value.Cost(depth, isSettled));
        return Distances.Add(Of(_shape.Comma), Distances.Add(Math.Max(name, NewNameCost), colonAndValue));
    }

    private int Of(Language language) => _shape.Table.Distances.Of(language);

    /// <summary>
    /// The names that a further member may have. Those of members that cost the same are one language: it is read like any other, and only when the name is
    /// complete is it looked at which it was.
    /// </summary>
    private KeyCapture[] Names(int depth)
    {
        if (_names.TryGetValue(depth, out KeyCapture[]? known)) return known;
        List<KeyCapture> names = [];
        var byCost = Enumerable.Range(0, _isMissing.Length)
            .Where(member => _isMissing[member] || MayHave(member))
            .GroupBy(member => CostFromColon(member, depth))
            .Where(group => group.Key != Distances.Infinite);
        foreach (IGrouping<int, int> group in byCost)
        {
            Language literals = _shape.Table.Literals(group.Select(member => _shape.Members[member].Name));
            if (Of(literals) != Distances.Infinite) names.Add(new KeyCapture(this, rest: null, literals, group.Key));
        }
        for (int i = 0; i < _shape.Rest.Length; i++)
        {
            ObjectRest rest = _shape.Rest[i];
            int cost = Distances.Add(Distances.Add(Of(_shape.Colon), rest.Value.Cost(depth)), CostAfterOther(depth, isSettled: true));
            if (cost != Distances.Infinite && Of(RestNames()[i]) != Distances.Infinite) names.Add(new KeyCapture(this, rest, RestNames()[i], cost));
        }
        return _names[depth] = [.. names];
    }

    /// <summary>What comes after a complete member.</summary>
    private sealed class Tail(ObjectState state) : Production
    {
        public override void Expand(Automaton automaton, Frame? below, List<Configuration> into)
        {
            if (state.MayEnd) into.Add(new Configuration(state._shape.Close, below));
            if (state.HasRoom(0) && automaton.TryPush(state.AfterComma, below, out Frame? frame)) into.Add(new Configuration(state._shape.Comma, frame));
        }

        public override void AddLeftmost(List<Rule> rules) { }

        public override bool FindNullable() => false;

        protected override int FindCost(int depth, bool isSettled) =>
            Distances.Add(state.CostOfNeeded(depth, isSettled, state._seen.Count, out _), state.Of(state._shape.Close));
    }

    /// <summary>A member, first or not.</summary>
    private sealed class BeforeMember(ObjectState state, bool isFirst) : Production
    {
        public override void Expand(Automaton automaton, Frame? below, List<Configuration> into)
        {
            if (isFirst && state.MayEnd) into.Add(new Configuration(state._shape.CloseEmpty, below));
            foreach (KeyCapture name in state.Names(Automaton.DepthAbove(below)))
            {
                if (automaton.TryPush(name, below, out Frame? frame)) into.Add(new Configuration(name.Names, frame));
            }
        }

        public override void AddLeftmost(List<Rule> rules) { }

        public override bool FindNullable() => false;

        /// <remarks>The first of the needed members has no comma, or has it behind it already; where none is needed there is one, or none in an empty object.</remarks>
        protected override int FindCost(int depth, bool isSettled)
        {
            int cost = state.CostOfNeeded(depth, isSettled, state._seen.Count, out int count), comma = state.Of(state._shape.Comma);
            if (count == 0 && isFirst) return state.Of(state._shape.CloseEmpty);
            if (count == 0) cost = state.CostOfOthers(1, depth, isSettled);
            return cost == Distances.Infinite ? cost : Distances.Add(cost - comma, state.Of(state._shape.Close));
        }
    }
}
