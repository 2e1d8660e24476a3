using Decart.Inference.Grammars.Automata;
using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Productions;

/// <summary>A JSON object with the members that it has so far: what may follow, and what must.</summary>
internal sealed class ObjectState
{
    /// <summary>
    /// Tokens of a new name, quotes included, that is none of those an object has: there are some hundred thousand of three characters.
    /// </summary>
    private const int NewKeyCost = 5;

    private readonly ObjectShape _shape;
    private readonly SeenMembers _seen;
    private readonly int[] _missing; // members that it must have
    private readonly KeyCapture[] _names; // what follows the other names
    private Language[]? _restKeys;

    public ObjectState(ObjectShape shape, SeenMembers seen)
    {
        _shape = shape;
        _seen = seen;
        _missing = FindMissing(seen);
        AfterOpening = new BeforeMember(this, isFirst: true);
        AfterComma = new BeforeMember(this, isFirst: false);
        AfterMember = new Tail(this);
        _names = [.. shape.Rest.Select(rest => new KeyCapture(this, shape, rest.Value))];
    }

    /// <summary>A member, or the end of an empty object.</summary>
    public Production AfterOpening { get; }

    /// <summary>A member.</summary>
    public Production AfterComma { get; }

    /// <summary>A comma and a member, or the end.</summary>
    public Production AfterMember { get; }

    private bool MayEnd => _missing.Length == 0 && _seen.Count >= _shape.Min;

    /// <summary>The object with a further member, whose name in quotes is none of the known ones.</summary>
    public ObjectState With(byte[] name) => _shape.Get(_seen.With(name));

    private ObjectState With(int member) => _shape.Get(_seen.With(member));

    private int[] FindMissing(SeenMembers seen)
    {
        ObjectMember[] members = _shape.Members;
        HashSet<int> needed = [.. Enumerable.Range(0, members.Length).Where(member => members[member].IsRequired)];
        Queue<int> open = new(Enumerable.Range(0, members.Length).Where(member => members[member].Requires.Length > 0 && (seen.Has(member) || needed.Contains(member))));
        while (open.TryDequeue(out int member))
        {
            foreach (int required in members[member].Requires)
            {
                if (needed.Add(required)) open.Enqueue(required);
            }
        }
        return [.. needed.Where(member => !seen.Has(member)).Order()];
    }

    private bool HasRoom(int missingAfter) => _seen.Count + 1 + (long)missingAfter <= _shape.Max;

    private bool MayHave(int member)
    {
        if (_seen.Has(member)) return false;
        if (_shape.Max == int.MaxValue) return true;
        return HasRoom(With(member)._missing.Length);
    }

    /// <summary>The names, in quotes, that a further member may have beside the known ones.</summary>
    private Language[] RestKeys()
    {
        if (_restKeys is not null) return _restKeys;
        LanguageTable table = _shape.Table;
        if (!HasRoom(_missing.Length)) return _restKeys = [.. _shape.Rest.Select(_ => table.Nothing)];
        if (_seen.Others.Count == 0) return _restKeys = [.. _shape.Rest.Select(rest => rest.Key)];
        Language others = table.Complement(table.Literals(_seen.Others));
        return _restKeys = [.. _shape.Rest.Select(rest => table.Intersect(rest.Key, others))];
    }

    /// <summary>What the rest of the object costs after one more member that is none of the known ones.</summary>
    public int CostAfterOther(int depth, bool isSettled) =>
        Distances.Add(CostOfNeeded(depth, isSettled, _seen.Count + 1, out _), Of(_shape.Close));

    /// <summary>What the members cost that are still needed, each with its comma.</summary>
    private int CostOfNeeded(int depth, bool isSettled, int seen, out int count)
    {
        int cost = 0;
        count = Math.Max(_missing.Length, _shape.Min - seen);
        foreach (int member in _missing) cost = Distances.Add(cost, CostOf(member, depth, isSettled));
        int others = count - _missing.Length;
        if (others > 0) cost = Distances.Add(cost, CostOfOthers(others, depth, isSettled));
        return cost;
    }

    /// <summary>What some members cost that need not be there.</summary>
    private int CostOfOthers(int count, int depth, bool isSettled)
    {
        int cost = 0;
        IEnumerable<int> optional = Enumerable.Range(0, _shape.Members.Length)
            .Where(member => Array.IndexOf(_missing, member) < 0 && MayHave(member))
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
        int cost = CostOf(member, depth, isSettled);
        if (_shape.Members[member].Requires.Length == 0) return cost;
        foreach (int required in With(member)._missing.Except(_missing)) cost = Distances.Add(cost, CostOf(required, depth, isSettled));
        return cost;
    }

    private int CostOf(int member, int depth, bool isSettled) =>
        Distances.Add(Of(_shape.Comma), Distances.Add(Of(_shape.Members[member].Key), _shape.Members[member].Value.Cost(depth, isSettled)));

    private int CostOfRest(int rest, int depth, bool isSettled)
    {
        int key = Of(RestKeys()[rest]);
        if (key == Distances.Infinite) return key;
        int colonAndValue = Distances.Add(Of(_shape.Colon), _shape.Rest[rest].Value.Cost(depth, isSettled));
        return Distances.Add(Of(_shape.Comma), Distances.Add(Math.Max(key, NewKeyCost), colonAndValue));
    }

    private int Of(Language language) => _shape.Table.Distances.Of(language);

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
            ObjectShape shape = state._shape;
            if (isFirst && state.MayEnd) into.Add(new Configuration(shape.CloseEmpty, below));
            for (int member = 0; member < shape.Members.Length; member++)
            {
                if (!state.MayHave(member) || !automaton.TryPush(state.With(member).AfterMember, below, out Frame? after)) continue;
                if (automaton.TryPush(shape.Members[member].Value, after, out Frame? value) && state.Of(shape.Members[member].Key) != Distances.Infinite)
                    into.Add(new Configuration(shape.Members[member].Key, value));
            }
            Language[] keys = state.RestKeys();
            for (int rest = 0; rest < keys.Length; rest++)
            {
                if (state.Of(keys[rest]) == Distances.Infinite) continue;
                if (automaton.TryPush(state._names[rest], below, out Frame? name))
                    into.Add(new Configuration(keys[rest], name));
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

