using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Productions;

/// <summary>A member that an object may have under a known name.</summary>
/// <param name="Name">The name, in quotes.</param>
/// <param name="Value">What its value may be.</param>
/// <param name="IsRequired">Whether the object must have it.</param>
/// <param name="Requires">The members, by their index, that the object must have if it has this one.</param>
internal sealed record ObjectMember(byte[] Name, Production Value, bool IsRequired, int[] Requires);

/// <summary>Members that an object may have under any names of a kind, each name once.</summary>
/// <param name="Name">The names, in quotes.</param>
/// <param name="Value">What their values may be.</param>
/// <param name="IsOpen">
/// Whether any text of plain characters is such a name, those of the known members too, which are then not of this kind: there are always more than are taken.
/// </param>
internal sealed record ObjectRest(Language Name, Production Value, bool IsOpen = false);

/// <summary>What JSON objects of a kind consist of. Members come in any order; which of them are there is known by an <see cref="ObjectState"/>.</summary>
internal sealed class ObjectShape
{
    private readonly ObjectMember[] _members;
    private readonly Production[] _fromColon, _restFromColon;
    private readonly int[]?[] _distances, _costs = new int[]?[Rule.MaxDepth + 1];
    private readonly MemberSet?[] _possible = new MemberSet?[Rule.MaxDepth + 1];
    private readonly int[] _largestCosts = new int[Rule.MaxDepth + 1];

    /// <param name="rules">The grammar's rules.</param>
    /// <param name="members">The members with known names.</param>
    /// <param name="rest">Those with other names.</param>
    /// <param name="colon">What stands between a name and its value; the empty text where members are names without values.</param>
    public ObjectShape(RuleSet rules, IEnumerable<ObjectMember> members, IEnumerable<ObjectRest> rest, Language colon)
    {
        Table = rules.Table;
        ObjectMember[] given = [.. members];
        int[] order = [.. Enumerable.Range(0, given.Length)], places = new int[given.Length];
        Array.Sort(order, (a, b) => ByteOrder.Comparer.Compare(given[a].Name, given[b].Name));
        for (int i = 0; i < order.Length; i++) places[order[i]] = i;
        _members = [.. order.Select(index => given[index] with { Requires = [.. given[index].Requires.Select(required => places[required])] })];
        Rest = [.. rest];
        HasNamesOnly = colon == Table.EmptyText;
        HasConditions = Array.Exists(_members, member => member.Requires.Length > 0);
        Names = [.. _members.Select(member => member.Name)];
        _fromColon = [.. _members.Select(member => Sequence.Of(rules, rules.Terminal(colon), member.Value))];
        _restFromColon = [.. Rest.Select(its => Sequence.Of(rules, rules.Terminal(colon), its.Value))];
        _distances = new int[]?[_members.Length];
        First = HasConditions || HasNamesOnly ? -1 : Array.FindIndex(Names, name => name.AsSpan().SequenceEqual("\"$type\""u8));
        Empty = new ObjectState(this);
    }

    public LanguageTable Table { get; }

    /// <summary>The members with known names, in the order of these.</summary>
    public IReadOnlyList<ObjectMember> Members => _members;

    /// <summary>Their names, in quotes.</summary>
    public byte[][] Names { get; }

    public ObjectRest[] Rest { get; }

    /// <summary>How many members there must be at least.</summary>
    public required int Min { get; init; }

    /// <summary>How many there may be at most; <see cref="int.MaxValue"/> for any number.</summary>
    public required int Max { get; init; }

    /// <summary>A comma and a closing brace with the white space around them, and that brace right after the opening one.</summary>
    public required Terminal Comma { get; init; }

    public required Terminal Close { get; init; }

    public required Terminal CloseEmpty { get; init; }

    /// <summary>Whether members are names without values.</summary>
    public bool HasNamesOnly { get; }

    /// <summary>Whether some members must be there only if others are.</summary>
    public bool HasConditions { get; }

    /// <summary>
    /// The member that comes before all others if it is there: <c>$type</c>, which <see cref="System.Text.Json"/> reads only there unless it is told otherwise. -1 for
    /// none, also where some members must be there only if others are.
    /// </summary>
    public int First { get; }

    /// <summary>The object after its opening brace, without any member.</summary>
    public ObjectState Empty { get; }

    /// <summary>The colon and the value of a member.</summary>
    public Production FromColon(int member) => _fromColon[member];

    /// <summary>The colon and the value of a member of another kind.</summary>
    public Production RestFromColon(int rest) => _restFromColon[rest];

    /// <summary>How many tokens complete a member's name of which some bytes have been read.</summary>
    public int DistanceInName(int member, int length) => (_distances[member] ??= FindDistances(_members[member].Name))[length];

    /// <summary>What each member costs with the comma before it.</summary>
    public ReadOnlySpan<int> Costs(int depth, bool isSettled)
    {
        if (isSettled && _costs[depth] is { } known) return known;
        int[] costs = new int[_members.Length];
        int comma = Of(Comma.Language);
        for (int i = 0; i < costs.Length; i++)
            costs[i] = Distances.Add(comma, Distances.Add(DistanceInName(i, 0), _fromColon[i].Cost(depth, isSettled)));
        if (isSettled) _costs[depth] = costs;
        return costs;
    }

    /// <summary>The members that can be completed.</summary>
    public MemberSet Possible(int depth)
    {
        if (_possible[depth] is { } known) return known;
        int[] costs = [.. Costs(depth, isSettled: true)];
        MemberSet possible = MemberSet.Where(costs.Length, member => costs[member] != Distances.Infinite);
        _possible[depth] = possible;
        return possible;
    }

    /// <summary>The largest of the costs that are finite, or all of them together where members need others.</summary>
    public int LargestCost(int depth)
    {
        if (_largestCosts[depth] > 0) return _largestCosts[depth];
        int largest = 0;
        foreach (int cost in Costs(depth, isSettled: true))
        {
            if (cost != Distances.Infinite) largest = HasConditions ? Distances.Add(largest, cost) : Math.Max(largest, cost);
        }
        return _largestCosts[depth] = largest;
    }

    public int Of(Language language) => Table.Distances.Of(language);

    private int[] FindDistances(byte[] name)
    {
        int[] distances = new int[name.Length + 1];
        Language rest = Table.Literal(name);
        for (int length = 0; length < name.Length; length++)
        {
            distances[length] = Of(rest);
            rest = Table.After(rest, name[length]);
        }
        return distances;
    }
}
