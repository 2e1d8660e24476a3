using System.Collections.ObjectModel;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Decart.Inference.Values;

/// <summary>A list for records: read-only, equal to lists of equal items, and printed with its items.</summary>
internal sealed class ValueList<T> : ReadOnlyCollection<T>, IEquatable<ValueList<T>>
{
    private const int Printed = 32;

    private ValueList(T[] items) : base(items) { }

    /// <summary>A copy of a list; null for null.</summary>
    [return: NotNullIfNotNull(nameof(items))]
    public static ValueList<T>? Copy(IReadOnlyList<T>? items) => items switch
    {
        null => null,
        ValueList<T> list => list,
        _ => new ValueList<T>([.. items]),
    };

    public bool Equals(ValueList<T>? other) => other is not null && this.SequenceEqual(other);

    public override bool Equals(object? obj) => Equals(obj as ValueList<T>);

    public override int GetHashCode()
    {
        HashCode hash = default;
        foreach (T item in Items) hash.Add(item);
        return hash.ToHashCode();
    }

    /// <summary>The items in brackets; of a long list the first, and how many more there are.</summary>
    public override string ToString()
    {
        string items = string.Join(", ", Items.Take(Printed).Select(item => Convert.ToString(item, CultureInfo.InvariantCulture)));
        return Count <= Printed ? $"[{items}]" : string.Create(CultureInfo.InvariantCulture, $"[{items}, … {Count - Printed} more]");
    }
}
