using System.Text.Json;

namespace Decart.Inference.Grammars.Schemas;

/// <summary>The types of JSON values.</summary>
[Flags]
internal enum JsonTypes
{
    None = 0,
    Null = 1,
    Boolean = 2,
    Number = 4,
    String = 8,
    Array = 16,
    Object = 32,
    All = Null | Boolean | Number | String | Array | Object,
}

/// <summary>What one schema says of the items of an array.</summary>
/// <param name="Prefix">The schemas of the first items.</param>
/// <param name="Rest">The schema of every further one; null for anything.</param>
internal sealed record ItemConstraints(IReadOnlyList<Schema> Prefix, Schema? Rest)
{
    /// <summary>The schema of an item; null for anything.</summary>
    public Schema? Of(int index) => index < Prefix.Count ? Prefix[index] : Rest;
}

/// <summary>What one schema says of the members of an object.</summary>
/// <param name="Known">The schemas of members by their names.</param>
/// <param name="Patterns">The schemas of members whose names match a regular expression.</param>
/// <param name="Rest">The schema of all others; null for anything.</param>
internal sealed record MemberConstraints(IReadOnlyDictionary<string, Schema> Known, IReadOnlyList<(string Pattern, Schema Schema)> Patterns, Schema? Rest);

/// <summary>Several lists of schemas: a value must match all schemas of one of them.</summary>
/// <param name="Schema">Where they stand.</param>
/// <param name="Options">The lists.</param>
internal sealed record Alternatives(Schema Schema, IReadOnlyList<IReadOnlyList<Schema>> Options);

/// <summary>What a value must be to match several schemas at once.</summary>
internal sealed class Constraints
{
    /// <summary>The schemas that have been read, without those that they refer to.</summary>
    public List<Schema> Own { get; } = [];

    public List<Alternatives> Alternatives { get; } = [];

    /// <summary>Where they stand, for messages.</summary>
    public required string Path { get; init; }

    public JsonTypes Types { get; set; } = JsonTypes.All;

    /// <summary>The values that it may be; null for any.</summary>
    public List<JsonElement>? Values
    {
        get;
        set
        {
            field = value;
            Listed = null;
        }
    }

    /// <summary>The same, to be asked for one.</summary>
    public ValueSet? Listed
    {
        get => Values is null ? null : field ??= new ValueSet(Values);
        private set;
    }

    public NumberBounds Numbers { get; } = new();

    public int MinLength { get; set; }

    public int MaxLength { get; set; } = int.MaxValue;

    public List<(string Pattern, string Path)> Patterns { get; } = [];

    public List<(string Pattern, string Path)> ExcludedPatterns { get; } = [];

    public List<string> ExcludedTexts { get; } = [];

    public List<(string Format, string Path)> Formats { get; } = [];

    public List<ItemConstraints> Items { get; } = [];

    public int MinItems { get; set; }

    public int MaxItems { get; set; } = int.MaxValue;

    /// <summary>Where it is said that no two items may be the same; null where it is not.</summary>
    public string? UniqueItems { get; set; }

    public List<MemberConstraints> Members { get; } = [];

    public HashSet<string> Required { get; } = [];

    public Dictionary<string, HashSet<string>> DependentRequired { get; } = [];

    public List<Schema> Names { get; } = [];

    public int MinProperties { get; set; }

    public int MaxProperties { get; set; } = int.MaxValue;

    /// <summary>Whether a value may have any of some types.</summary>
    public bool Has(JsonTypes types) => (Types & types) != 0;

    /// <summary>The names that members are mentioned by.</summary>
    public IEnumerable<string> KnownNames =>
        Members.SelectMany(members => members.Known.Keys)
            .Concat(Required)
            .Concat(DependentRequired.Values.SelectMany(names => names))
            .Concat(DependentRequired.Keys)
            .Distinct();
}
