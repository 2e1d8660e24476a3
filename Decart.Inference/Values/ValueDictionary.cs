using System.Collections.ObjectModel;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Decart.Inference.Values;

/// <summary>A dictionary for records: read-only, equal to dictionaries of equal entries, and printed with its entries.</summary>
internal sealed class ValueDictionary<TKey, TValue> : ReadOnlyDictionary<TKey, TValue>, IEquatable<ValueDictionary<TKey, TValue>>
    where TKey : notnull
{
    private const int Printed = 32;

    private ValueDictionary(Dictionary<TKey, TValue> entries) : base(entries) { }

    /// <summary>A copy of a dictionary; null for null.</summary>
    [return: NotNullIfNotNull(nameof(entries))]
    public static ValueDictionary<TKey, TValue>? Copy(IReadOnlyDictionary<TKey, TValue>? entries) => entries switch
    {
        null => null,
        ValueDictionary<TKey, TValue> dictionary => dictionary,
        _ => new ValueDictionary<TKey, TValue>(new Dictionary<TKey, TValue>(entries)),
    };

    public bool Equals(ValueDictionary<TKey, TValue>? other) =>
        other is not null && Count == other.Count
        && this.All(entry => other.TryGetValue(entry.Key, out TValue? value) && EqualityComparer<TValue>.Default.Equals(entry.Value, value));

    public override bool Equals(object? obj) => Equals(obj as ValueDictionary<TKey, TValue>);

    /// <remarks>Independent of the order of the entries.</remarks>
    public override int GetHashCode() => this.Aggregate(Count, (hash, entry) => hash ^ HashCode.Combine(entry.Key, entry.Value));

    /// <summary>The entries in braces; of a long dictionary some, and how many more there are.</summary>
    public override string ToString()
    {
        string entries = string.Join(", ", this.Take(Printed).Select(entry => string.Create(CultureInfo.InvariantCulture, $"{entry.Key}: {entry.Value}")));
        return Count <= Printed ? $"{{{entries}}}" : string.Create(CultureInfo.InvariantCulture, $"{{{entries}, … {Count - Printed} more}}");
    }
}
