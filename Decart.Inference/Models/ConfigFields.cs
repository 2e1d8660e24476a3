using System.Collections.Immutable;
using System.Globalization;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models;

/// <summary>
/// Typed and range-checked access to the fields of a model's configuration, whatever format holds it. Every refusal is a
/// <see cref="ModelLoadException"/> that names the file, the field, what was expected and what was found.
/// </summary>
internal abstract class ConfigFields(string file, ICollection<string>? warnings = null)
{
    public string File { get; } = file;

    /// <summary>The field's full name in its file, for error messages.</summary>
    public abstract string NameOf(string field);

    /// <summary>
    /// The field's value as <see cref="long"/>, <see cref="double"/>, <see cref="bool"/>, <see cref="string"/> or an array of these;
    /// any other object stands for a value of another kind; null when the field is absent.
    /// </summary>
    protected abstract object? Find(string field);

    public bool Has(string field) => Find(field) is not null;

    public int Integer(string field, int minimum, int maximum) =>
        OptionalInteger(field, minimum, maximum) ?? throw Missing(field, $"an integer from {minimum} to {maximum}");

    public int? OptionalInteger(string field, int minimum, int maximum) => Find(field) switch
    {
        null => null,
        long value when value >= minimum && value <= maximum => (int)value,
        var other => throw Wrong(field, $"an integer from {minimum} to {maximum}", other),
    };

    public double Number(string field, double minimum, double maximum) =>
        OptionalNumber(field, minimum, maximum) ?? throw Missing(field, NumberRange(minimum, maximum));

    public double? OptionalNumber(string field, double minimum, double maximum)
    {
        object? found = Find(field);
        double? value = found switch { null => null, long integer => integer, double real => real, _ => double.NaN };
        return value is null || (value >= minimum && value <= maximum) ? value : throw Wrong(field, NumberRange(minimum, maximum), found);
    }

    public bool Flag(string field, bool fallback) => Find(field) switch
    {
        null => fallback,
        bool value => value,
        var other => throw Wrong(field, "true or false", other),
    };

    public string? OptionalText(string field) => Find(field) switch
    {
        null => null,
        string value => value,
        var other => throw Wrong(field, "a string", other),
    };

    /// <summary>A list of integers, or one integer standing for a list of one; empty when absent.</summary>
    public ImmutableArray<int> Integers(string field, int minimum, int maximum)
    {
        object? found = Find(field);
        if (found is null) return [];
        return [.. (found as object[] ?? [found]).Select(value => value is long integer && integer >= minimum && integer <= maximum
            ? (int)integer
            : throw Wrong(field, $"integers from {minimum} to {maximum}", value))];
    }

    /// <summary>A list of <paramref name="count"/> numbers.</summary>
    public ImmutableArray<double> Numbers(string field, int count, double minimum, double maximum)
    {
        string expected = $"{count} numbers from {minimum.ToString(CultureInfo.InvariantCulture)} to {maximum.ToString(CultureInfo.InvariantCulture)}";
        object found = Find(field) ?? throw Missing(field, expected);
        if (found is not object[] list || list.Length != count) throw Wrong(field, expected, found);
        return [.. list.Select(value => value is long or double && Convert.ToDouble(value, CultureInfo.InvariantCulture) is var number
            && number >= minimum && number <= maximum ? number : throw Wrong(field, expected, value))];
    }

    /// <summary>A list of strings, or null when absent.</summary>
    public ImmutableArray<string>? OptionalTexts(string field) => Find(field) switch
    {
        null => null,
        object[] values => [.. values.Select(value => value as string ?? throw Wrong(field, "a list of strings", value))],
        var other => throw Wrong(field, "a list of strings", other),
    };

    /// <summary>The id of a token; null when the field is absent or no token has the id, as in files whose converter wrote -1: that is warned about.</summary>
    public int? TokenId(string field, int vocabularySize) => Find(field) switch
    {
        null => null,
        long id when id >= 0 && id < vocabularySize => (int)id,
        long id => Ignore<int?>(field, $"an id below {vocabularySize}", id),
        var other => throw Wrong(field, "the id of a token", other),
    };

    /// <summary>The ids of a list, or the one that stands for a list of one; those that no token has are left out and warned about.</summary>
    public ImmutableArray<int> TokenIds(string field, int vocabularySize)
    {
        object? found = Find(field);
        if (found is null) return [];
        object[] values = found as object[] ?? [found];
        long[] ids = [.. values.Select(value => value is long id ? id : throw Wrong(field, "ids of tokens", value))];
        string[] ignored = [.. ids.Where(id => !IsToken(id)).Distinct().Select(id => id.ToString(CultureInfo.InvariantCulture))];
        if (ignored.Length > 0) WarnIgnored(field, $"ids below {vocabularySize}", Quoted.Names(ignored));
        return [.. ids.Where(IsToken).Select(id => (int)id)];

        bool IsToken(long id) => id >= 0 && id < vocabularySize;
    }

    /// <summary>A number that is only recommended: one that cannot be used is warned about and taken for absent.</summary>
    public double? Recommended(string field, double minimum, double maximum)
    {
        object? found = Find(field);
        double? value = found switch { null => null, long integer => integer, double real => real, _ => double.NaN };
        return value is null || (value >= minimum && value <= maximum) ? value : Ignore<double?>(field, NumberRange(minimum, maximum), found);
    }

    /// <summary>A choice that is only recommended: a value of another kind is warned about and taken for absent.</summary>
    public bool? RecommendedFlag(string field) => Find(field) switch
    {
        null => null,
        bool value => value,
        var other => Ignore<bool?>(field, "true or false", other),
    };

    public ModelLoadException Missing(string field, string expected) =>
        new(File, NameOf(field), $"expected {expected}, but the field is missing");

    public ModelLoadException Wrong(string field, string expected, object? found) =>
        new(File, NameOf(field), $"expected {expected}, found {Describe(found)}");

    private T? Ignore<T>(string field, string expected, object? found)
    {
        WarnIgnored(field, expected, Describe(found));
        return default;
    }

    private void WarnIgnored(string field, string expected, string found) =>
        warnings?.Add($"{File}: {NameOf(field)}: expected {expected}, found {found}. It is ignored.");

    private static string NumberRange(double minimum, double maximum) =>
        string.Create(CultureInfo.InvariantCulture, $"a number from {minimum} to {maximum}");

    private static string Describe(object? value) => value switch
    {
        null => "nothing",
        string text => $"\"{Quoted.Value(text)}\"",
        bool flag => flag ? "true" : "false",
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        object[] list => $"a list of {list.Length}",
        _ => "a value of another kind",
    };
}
