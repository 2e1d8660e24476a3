using System.Collections.Frozen;

namespace Decart.Inference.Chat.Jinja;

/// <summary>A filter: what it makes of a value.</summary>
internal delegate Value Filter(Value value, Value?[] arguments, Rendering rendering);

/// <summary>The filters that stand after a bar.</summary>
internal static class Filters
{
    private static readonly FrozenDictionary<string, (Signature Signature, Filter Body)> All =
        TextFilters.Table().Concat(NumberFilters.Table()).Concat(SequenceFilters.Table()).ToFrozenDictionary(entry => entry.Signature.Name);

    /// <summary>Filters that take the names of other filters or tests, and their arguments.</summary>
    private static readonly FrozenDictionary<string, Func<Value, CallArguments, Value>> HigherOrder = new Dictionary<string, Func<Value, CallArguments, Value>>
    {
        ["map"] = Selection.Map,
        ["select"] = (value, arguments) => Selection.Select(value, arguments, byAttribute: false, chosen: true),
        ["reject"] = (value, arguments) => Selection.Select(value, arguments, byAttribute: false, chosen: false),
        ["selectattr"] = (value, arguments) => Selection.Select(value, arguments, byAttribute: true, chosen: true),
        ["rejectattr"] = (value, arguments) => Selection.Select(value, arguments, byAttribute: true, chosen: false),
        ["format"] = (value, arguments) => PercentFormat.ApplyFilter(value.ToText(arguments.Rendering), arguments),
    }.ToFrozenDictionary();

    /// <summary>Filters of Jinja that are for web pages, or give another result each time.</summary>
    private static readonly FrozenSet<string> Refused = ["random", "urlize", "xmlattr", "striptags", "wordwrap", "pprint", "filesizeformat", "urlencode"];

    /// <summary>Says why a filter cannot be used; null if it can.</summary>
    public static string? ProblemWith(string name) => Exists(name) ? null
        : Refused.Contains(name) ? $"the filter '{name}' is not supported"
        : $"no filter named '{name}'";

    public static bool Exists(string name) => All.ContainsKey(name) || HigherOrder.ContainsKey(name);

    public static Value Apply(string name, Value value, CallArguments arguments)
    {
        if (All.TryGetValue(name, out (Signature Signature, Filter Body) filter)) return filter.Body(value, arguments.Bind(filter.Signature), arguments.Rendering);
        return HigherOrder.TryGetValue(name, out Func<Value, CallArguments, Value>? body) ? body(value, arguments) : throw new JinjaException(ProblemWith(name)!);
    }
}
