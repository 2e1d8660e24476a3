using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models;

/// <summary>The metadata of a GGUF file under one prefix, such as an architecture's name.</summary>
internal sealed class GgufFields(GgufTensors tensors, string prefix) : ConfigFields(tensors.Path, tensors.Warnings)
{
    /// <summary>Longer arrays (vocabularies) are not configuration and are not converted.</summary>
    private const int LongestList = ModelLimits.Layers;

    public GgufTensors Tensors => tensors;

    public string Prefix => prefix;

    public override string NameOf(string field) => $"{prefix}.{field}";

    public bool HasTensor(string name) => tensors.TryGet(name, out _);

    /// <summary>Number of elements of an array, or null when the field is absent.</summary>
    public int? Count(string field) => tensors.File.Metadata.TryGetValue(NameOf(field), out GgufValue? value) ? value.Count : null;

    protected override object? Find(string field) => tensors.File.Metadata.TryGetValue(NameOf(field), out GgufValue? value) ? Convert(value) : null;

    private static object Convert(GgufValue value) => value.Kind switch
    {
        GgufValueKind.Boolean => value.AsBoolean(),
        GgufValueKind.String => value.AsString(),
        GgufValueKind.Single or GgufValueKind.Double => value.AsDouble(),
        GgufValueKind.Array => value.Count <= LongestList ? ConvertList(value) : value,
        _ => value.AsInt64(),
    };

    private static object ConvertList(GgufValue list) => list.ElementKind switch
    {
        GgufValueKind.String => list.AsStrings().ToArray<object>(),
        GgufValueKind.Boolean => Array.ConvertAll(list.AsBooleanArray(), value => (object)value),
        GgufValueKind.Single or GgufValueKind.Double => Array.ConvertAll(list.AsSingleArray(), value => (object)value),
        GgufValueKind.Array => list,
        _ => Array.ConvertAll(list.AsInt64Array(), value => (object)value),
    };
}
