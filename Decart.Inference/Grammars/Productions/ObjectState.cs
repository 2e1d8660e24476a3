using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Productions;

/// <summary>A JSON object with the members that it has so far: what may follow, and what must. Immutable but for what it remembers of answers.</summary>
internal sealed class ObjectState
{
    /// <summary>
    /// Tokens of each of several new names of a kind, quotes included, that are none of those an object has: there are some hundred thousand of three characters.
    /// </summary>
    private const int NewNameCost = 5;

    /// <summary>Fewer characters of one byte than a name can go on with.</summary>
    private const int PlainCharacters = 64;

    private readonly ObjectShape _shape;
    private readonly MemberSet _seen, _missing; // missing: those that it must still have
    private readonly byte[][] _others; // names that are none of the known ones, in quotes, sorted
    private readonly int _count, _missingCount;
    private Language[]? _restNames;
    private long _needed = -1; // what the needed members cost at a depth: both in one field, as any thread may ask

    /// <param name="shape">Of what it consists.</param>
    public ObjectState(ObjectShape shape)
        : this(shape, MemberSet.Where(shape.Members.Count, _ => false), missing: null, [], 0)
    {
    }

    private ObjectState(ObjectShape shape, MemberSet seen, MemberSet? missing, byte[][] others, int count)
    {
        (_shape, _seen, _others, _count) = (shape, seen, others, count);
        _missing = missing ?? FindMissing();
        _missingCount = _missing.Count;
    }

    public ObjectShape Shape => _shape;

    /// <summary>The names that it has beside the known ones.</summary>
    public byte[][] Others => _others;

    public bool MayEnd => _missingCount == 0 && _count >= _shape.Min;

    /// <summary>The object with a further member.</summary>
    public ObjectState With(int member)
    {
        MemberSet seen = _seen.With(member);
        return new ObjectState(_shape, seen, _shape.HasConditions ? null : _missing.Without(seen), _others, _count + 1);
    }

    /// <summary>The object with a further member, whose name in quotes is none of the known ones.</summary>
    public ObjectState With(byte[] name)
    {
        int place = ~Array.BinarySearch(_others, name, ByteOrder.Comparer);
        return new ObjectState(_shape, _seen, _missing, [.. _others[..place], name, .. _others[place..]], _count + 1);
    }

    /// <summary>The known members that may come next.</summary>
    public MemberSet Available(int depth)
    {
        MemberSet possible = _shape.Possible(depth).Without(_seen);
        if (_shape.First >= 0 && _count > 0) possible = possible.Without(Only(_shape.First));
        else if (MustBeFirst) possible = possible.And(Only(_shape.First));
        if (_shape.HasConditions) return MemberSet.Where(_shape.Members.Count, member => possible.Has(member) && MayHave(member) && CostFromColon(member, depth) != Distances.Infinite);
        if (HasRoom(_missingCount)) return possible;
        return HasRoom(_missingCount - 1) ? possible.And(_missing) : MemberSet.Where(_shape.Members.Count, _ => false);
    }

    /// <summary>Whether a further member may be one of another kind than the known ones.</summary>
    public bool MayHaveOther(int rest, int depth) => !MustBeFirst && CostAfterOther(depth) != Distances.Infinite && CostOfRest(rest, names: 1, depth, isSettled: true) != Distances.Infinite;

    /// <summary>What it costs to go on after a complete member.</summary>
    public int CostAfterMember(int depth, bool isSettled = true) => Distances.Add(CostOfNeeded(depth, isSettled, _count, out _), Of(_shape.Close));

    /// <summary>What it costs to go on with a member, the first one or behind a comma.</summary>
    /// <remarks>The first of the needed members has no comma, or has it behind it already; where none is needed there is one, or none in an empty object.</remarks>
    public int CostOfMember(bool isFirst, int depth, bool isSettled = true)
    {
        int cost = CostOfNeeded(depth, isSettled, _count, out int count);
        if (count == 0 && isFirst) return Of(_shape.CloseEmpty);
        if (count == 0) cost = CostOfOthers(1, _count, depth, isSettled);
        return cost == Distances.Infinite ? cost : Distances.Add(cost - Of(_shape.Comma), Of(_shape.Close));
    }

    /// <summary>What a member costs from its colon on, and what follows it.</summary>
    public int CostFromColon(int member, int depth) =>
        Distances.Add(_shape.FromColon(member).Cost(depth), CostAfter(member, depth));

    /// <summary>What the rest of the object costs after one more member that is none of the known ones.</summary>
    public int CostAfterOther(int depth) => Distances.Add(CostOfNeeded(depth, isSettled: true, _count + 1, out _), Of(_shape.Close));

    /// <summary>The most that any member costs, and what follows it, or more.</summary>
    public int LargestCost(int depth) => Distances.Add(_shape.LargestCost(depth), CostAfterMember(depth));

    /// <summary>What it costs more that a name that has begun must become another than some that begin alike: there are more texts of so many characters.</summary>
    /// <param name="names">How many names begin alike.</param>
    public static int CostOfDifference(int names)
    {
        int characters = 0;
        for (long texts = 1; texts <= names; texts *= PlainCharacters) characters++;
        return characters;
    }

    /// <summary>The names, in quotes, that a further member of another kind may have; where they are open also those that are taken.</summary>
    public Language NamesOf(int rest)
    {
        if (_others.Length == 0 || _shape.Rest[rest].IsOpen) return _shape.Rest[rest].Name;
        if (_restNames is not null) return _restNames[rest];
        LanguageTable table = _shape.Table;
        Language others = table.Complement(table.Literals(_others));
        return (_restNames = [.. _shape.Rest.Select(its => table.Intersect(its.Name, others))])[rest];
    }

    /// <summary>Whether the next member must be the one that comes before all others.</summary>
    private bool MustBeFirst => _shape.First >= 0 && _count == 0 && _missing.Has(_shape.First);

    private MemberSet Only(int member) => MemberSet.Where(_shape.Members.Count, other => other == member);

    private int CostAfter(int member, int depth)
    {
        if ((_shape.HasConditions && _shape.Members[member].Requires.Length > 0) || _shape.Min > _count) return With(member).CostAfterMember(depth);
        int needed = CostOfNeeded(depth);
        if (needed != Distances.Infinite && _missing.Has(member)) needed -= _shape.Costs(depth, isSettled: true)[member];
        return Distances.Add(needed, Of(_shape.Close));
    }

    private MemberSet FindMissing()
    {
        IReadOnlyList<ObjectMember> members = _shape.Members;
        bool[] missing = new bool[members.Count];
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
        return MemberSet.Where(missing.Length, member => missing[member] && !_seen.Has(member));
    }

    private bool HasRoom(int missingAfter) => _count + 1 + (long)missingAfter <= _shape.Max;

    private bool MayHave(int member)
    {
        if (_seen.Has(member) || (member == _shape.First && _count > 0)) return false;
        if (_shape.Max == int.MaxValue) return true;
        return HasRoom(_shape.HasConditions ? With(member)._missingCount : _missing.Has(member) ? _missingCount - 1 : _missingCount);
    }

    /// <summary>What the members cost that are still needed. It is asked for each member that may come next.</summary>
    private int CostOfNeeded(int depth)
    {
        long known = Volatile.Read(ref _needed);
        if (known >> 32 == depth) return (int)known;
        int cost = CostOfNeeded(depth, isSettled: true, _count, out _);
        Volatile.Write(ref _needed, ((long)depth << 32) | (uint)cost);
        return cost;
    }

    /// <summary>What the members cost that are still needed, each with its comma; infinite where there is no room for them.</summary>
    private int CostOfNeeded(int depth, bool isSettled, int seen, out int count)
    {
        int cost = 0;
        count = Math.Max(_missingCount, _shape.Min - seen);
        if (seen + (long)count > _shape.Max) return Distances.Infinite;
        if (_missingCount > 0)
        {
            ReadOnlySpan<int> costs = _shape.Costs(depth, isSettled);
            for (int i = _missing.Next(0); i < costs.Length; i = _missing.Next(i + 1)) cost = Distances.Add(cost, costs[i]);
        }
        int others = count - _missingCount;
        return others > 0 ? Distances.Add(cost, CostOfOthers(others, seen, depth, isSettled)) : cost;
    }

    /// <summary>What some members cost that need not be there.</summary>
    /// <param name="count">How many.</param>
    /// <param name="seen">How many members there are before.</param>
    /// <param name="depth">How many levels they may nest.</param>
    /// <param name="isSettled">Whether all rules know their costs for this depth.</param>
    private int CostOfOthers(int count, int seen, int depth, bool isSettled)
    {
        int cost = 0;
        List<int> optional = [];
        for (int member = 0; member < _shape.Members.Count; member++)
        {
            if (_missing.Has(member) || !MayHave(member)) continue;
            int its = CostWithRequired(member, depth, isSettled);
            if (its != Distances.Infinite) optional.Add(its);
        }
        if (count == 1 && optional.Count > 0) return optional.Min();
        optional.Sort();
        foreach (int its in optional.Take(count))
        {
            cost = Distances.Add(cost, its);
            count--;
        }
        if (count == 0) return cost;
        int rest = Distances.Infinite;
        for (int i = 0; i < _shape.Rest.Length; i++) rest = Math.Min(rest, CostOfRest(i, seen - _count + count, depth, isSettled));
        return Distances.Add(cost, Distances.Multiply(rest, count));
    }

    private int CostWithRequired(int member, int depth, bool isSettled)
    {
        ReadOnlySpan<int> costs = _shape.Costs(depth, isSettled);
        int cost = costs[member];
        if (_shape.Members[member].Requires.Length == 0) return cost;
        MemberSet missing = With(member)._missing.Without(_missing);
        for (int i = missing.Next(0); i < costs.Length; i = missing.Next(i + 1)) cost = Distances.Add(cost, costs[i]);
        return cost;
    }

    /// <summary>What a member of a kind costs whose name is one of some new ones.</summary>
    private int CostOfRest(int rest, int names, int depth, bool isSettled)
    {
        if (!HasRoom(_missingCount)) return Distances.Infinite;
        int name = _shape.Of(NamesOf(rest));
        if (name == Distances.Infinite) return name;
        if (_shape.Rest[rest].IsOpen) name += CostOfDifference(_shape.Names.Length + _others.Length + names - 1);
        else if (names > 1) name = Math.Max(name, NewNameCost);
        return Distances.Add(Of(_shape.Comma), Distances.Add(name, _shape.RestFromColon(rest).Cost(depth, isSettled)));
    }

    private int Of(Terminal terminal) => _shape.Of(terminal.Language);
}
