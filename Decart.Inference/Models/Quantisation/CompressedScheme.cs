using System.Collections.Immutable;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models.Quantisation;

/// <summary>
/// compressed-tensors: groups of layers, each with its own kind of weight: packed integers of 4 or 8 bits, 8-bit floats, or 8-bit integers. Layers that are left out are
/// stored as they are. Activations are not quantised, whatever the groups say of them.
/// </summary>
internal sealed class CompressedScheme : IQuantisationScheme
{
    private const string Packed = "weight_packed", Plain = "weight";

    private readonly ImmutableArray<CompressedGroup> _groups;

    private CompressedScheme(ImmutableArray<CompressedGroup> groups) => _groups = groups;

    public static IQuantisationScheme Read(JsonFields fields)
    {
        const string GroupsField = "config_groups", DenseField = "sparsity_config";
        if (fields.OptionalSection(DenseField)?.OptionalText("format") is { } sparse and not "dense") throw fields.Wrong($"{DenseField}.format", "\"dense\"", sparse);
        if (fields.OptionalSection("transform_config")?.OptionalSection(GroupsField) is { } transforms && transforms.Names.Any())
            throw fields.Wrong("transform_config", "no transforms", "transforms of the weights");
        JsonFields groups = fields.OptionalSection(GroupsField) ?? throw fields.Missing(GroupsField, "groups of layers");
        return new CompressedScheme([.. groups.Names.Select(name => CompressedGroup.Read(groups.OptionalSection(name) ?? throw groups.Missing(name, "a group"), fields)).OfType<CompressedGroup>()]);
    }

    public QuantisedWeight? Find(LayerTensors layer)
    {
        bool packed = layer.Has(Packed);
        if (!packed && !layer.Has(Plain, TensorType.F8E4M3) && !layer.Has(Plain, TensorType.I8)) return null;
        string codes = packed ? Packed : Plain;
        (CompressedGroup? group, _) = _groups.Select(group => (group, Distance: group.Distance(layer.Stem))).Where(pair => pair.Distance is not null).OrderBy(pair => pair.Distance).FirstOrDefault();
        return group?.Find(layer, codes) ?? throw layer.Error(codes, "expected a layer that one of config_groups targets, found none that does");
    }
}
