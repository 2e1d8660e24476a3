using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Productions;

/// <summary>A member that an object may have under a known name.</summary>
/// <param name="Key">The name and the colon, as text.</param>
/// <param name="Value">What its value may be.</param>
/// <param name="IsRequired">Whether the object must have it.</param>
/// <param name="Requires">The members, by their index, that the object must have if it has this one.</param>
internal sealed record ObjectMember(Language Key, Production Value, bool IsRequired, int[] Requires);

/// <summary>Members that an object may have under any names of a kind, each name once.</summary>
/// <param name="Key">The names, in quotes.</param>
/// <param name="Value">What their values may be.</param>
internal sealed record ObjectRest(Language Key, Production Value);

/// <summary>
/// What JSON objects of a kind consist of. Members come in any order; which of them are there is known by an <see cref="ObjectState"/>.
/// </summary>
internal sealed class ObjectShape
{
    private readonly Dictionary<SeenMembers, ObjectState> _states = [];

    public required LanguageTable Table { get; init; }

    public required ObjectMember[] Members { get; init; }

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

    /// <summary>The object after its opening brace, without any member.</summary>
    public ObjectState Empty => Get(new SeenMembers(new ulong[(Members.Length + 63) / 64], []));

    public ObjectState Get(SeenMembers seen)
    {
        if (!_states.TryGetValue(seen, out ObjectState? state)) _states.Add(seen, state = new ObjectState(this, seen));
        return state;
    }
}

/// <summary>The members that an object has so far: those with known names as bits, and the other names.</summary>
internal sealed class SeenMembers(ulong[] known, byte[][] others) : IEquatable<SeenMembers>
{
    /// <summary>The names, in quotes, in the order of their bytes.</summary>
    public IReadOnlyList<byte[]> Others => others;

    public int Count { get; } = known.Sum(word => System.Numerics.BitOperations.PopCount(word)) + others.Length;

    public bool Has(int member) => (known[member >> 6] >> (member & 63) & 1) != 0;

    public SeenMembers With(int member)
    {
        ulong[] more = [.. known];
        more[member >> 6] |= 1UL << (member & 63);
        return new SeenMembers(more, others);
    }

    public SeenMembers With(byte[] name) => new(known, [.. others.Append(name).Order(ByteOrder.Comparer)]);

    public bool Equals(SeenMembers? other) =>
        other is not null && known.AsSpan().SequenceEqual(other.Known) && others.Length == other.Others.Count
        && others.Zip(other.Others).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second));

    public override bool Equals(object? obj) => Equals(obj as SeenMembers);

    public override int GetHashCode()
    {
        HashCode hash = default;
        foreach (ulong word in known) hash.Add(word);
        foreach (byte[] name in others) hash.AddBytes(name);
        return hash.ToHashCode();
    }

    private ulong[] Known => known;
}
