using System.Numerics;
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
internal sealed record ObjectRest(Language Name, Production Value);

/// <summary>
/// What JSON objects of a kind consist of. Members come in any order; which of them are there is known by an <see cref="ObjectState"/>.
/// </summary>
internal sealed class ObjectShape
{
    private readonly Dictionary<SeenMembers, ObjectState> _states = [];
    private readonly ObjectMember[] _members;
    private readonly Dictionary<string, int> _byName = [];
    private readonly int[]?[] _costs = new int[]?[Rule.MaxDepth + 1];

    public ObjectShape(IEnumerable<ObjectMember> members)
    {
        _members = [.. members];
        for (int i = 0; i < _members.Length; i++) _byName.Add(Convert.ToHexString(_members[i].Name), i);
        HasConditions = Array.Exists(_members, member => member.Requires.Length > 0);
    }

    public required LanguageTable Table { get; init; }

    public required ObjectRest[] Rest { get; init; }

    /// <summary>How many members there must be at least.</summary>
    public required int Min { get; init; }

    /// <summary>How many there may be at most; <see cref="int.MaxValue"/> for any number.</summary>
    public required int Max { get; init; }

    /// <summary>A comma, a colon and a closing brace with the white space around them, and that brace right after the opening one.</summary>
    public required Language Comma { get; init; }

    public required Language Colon { get; init; }

    public required Language Close { get; init; }

    public required Language CloseEmpty { get; init; }

    public ReadOnlySpan<ObjectMember> Members => _members;

    /// <summary>Whether members are names without values.</summary>
    public bool HasNamesOnly => Colon == Table.EmptyText;

    /// <summary>Whether some members must be there only if others are.</summary>
    public bool HasConditions { get; }

    /// <summary>The object after its opening brace, without any member.</summary>
    public ObjectState Empty => Get(new SeenMembers(new ulong[(_members.Length + 63) / 64], []));

    public ObjectState Get(SeenMembers seen)
    {
        if (!_states.TryGetValue(seen, out ObjectState? state)) _states.Add(seen, state = new ObjectState(this, seen));
        return state;
    }

    /// <summary>The index of the member of a name, in quotes, that is one of the known ones.</summary>
    public int Find(byte[] name) => _byName[Convert.ToHexString(name)];

    /// <summary>What each member costs with the comma before it.</summary>
    public ReadOnlySpan<int> Costs(int depth, bool isSettled)
    {
        if (isSettled && _costs[depth] is { } known) return known;
        int[] costs = new int[_members.Length];
        int marks = Distances.Add(Of(Comma), Of(Colon));
        for (int i = 0; i < costs.Length; i++)
            costs[i] = Distances.Add(marks, Distances.Add(Of(Table.Literal(_members[i].Name)), _members[i].Value.Cost(depth, isSettled)));
        if (isSettled) _costs[depth] = costs;
        return costs;
    }

    private int Of(Language language) => Table.Distances.Of(language);
}

/// <summary>The members that an object has so far: those with known names as bits, and the other names.</summary>
internal sealed class SeenMembers : IEquatable<SeenMembers>
{
    private const int WordBits = 64;

    private readonly ulong[] _known;
    private readonly byte[][] _others;

    /// <param name="known">A bit for each known member.</param>
    /// <param name="others">The other names, in quotes, in the order of their bytes.</param>
    public SeenMembers(ulong[] known, byte[][] others)
    {
        (_known, _others) = (known, others);
        Count = others.Length;
        foreach (ulong word in known) Count += BitOperations.PopCount(word);
    }

    /// <summary>The names, in quotes, in the order of their bytes.</summary>
    public IReadOnlyList<byte[]> Others => _others;

    public int Count { get; }

    public bool Has(int member) => (_known[member / WordBits] >> (member % WordBits) & 1) != 0;

    public SeenMembers With(int member)
    {
        ulong[] more = [.. _known];
        more[member / WordBits] |= 1UL << (member % WordBits);
        return new SeenMembers(more, _others);
    }

    public SeenMembers With(byte[] name) => new(_known, [.. _others.Append(name).Order(ByteOrder.Comparer)]);

    public bool Equals(SeenMembers? other)
    {
        if (other is null || !_known.AsSpan().SequenceEqual(other._known) || _others.Length != other._others.Length) return false;
        for (int i = 0; i < _others.Length; i++)
        {
            if (!_others[i].AsSpan().SequenceEqual(other._others[i])) return false;
        }
        return true;
    }

    public override bool Equals(object? obj) => Equals(obj as SeenMembers);

    public override int GetHashCode()
    {
        HashCode hash = default;
        foreach (ulong word in _known) hash.Add(word);
        foreach (byte[] name in _others) hash.AddBytes(name);
        return hash.ToHashCode();
    }
}
