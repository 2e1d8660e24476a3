using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models.Quantisation;

/// <summary>
/// A Hugging Face folder whose layers keep quantised weights: <c>NAME.weight</c> is made of what the scheme stores instead, in blocks that kernels read. Owns the
/// folder and the blocks.
/// </summary>
internal sealed class QuantisedTensors : RelaidTensors
{
    private const string WeightEnding = ".weight";

    private readonly IQuantisationScheme _scheme;

    private QuantisedTensors(HuggingFaceFolder folder, IQuantisationScheme scheme)
        : base(folder)
    {
        (Folder, _scheme) = (folder, scheme);
        Warnings.AddRange(folder.Warnings);
        string[] unused = [.. folder.Names.Where(IsScaleOfStates).Order(StringComparer.Ordinal)];
        if (unused.Length > 0) Notes.Add($"{folder.Path}: keys, values and activations are not quantised, so their scales are not used: {Quoted.Names(unused)}.");
    }

    public HuggingFaceFolder Folder { get; }

    public override int MaxBlockLength => WeightPacker.LongestBlock;

    /// <summary>The folder itself if nothing in it is quantised. The folder belongs to what is returned, and is closed if this fails.</summary>
    /// <exception cref="ModelLoadException">The scheme is not supported, or a field is missing or wrong.</exception>
    public static TensorSource Wrap(HuggingFaceFolder folder)
    {
        try
        {
            JsonFields config = new(System.IO.Path.Combine(folder.Path, "config.json"), folder.Config);
            return config.OptionalSection("quantization_config") is { } section ? new QuantisedTensors(folder, QuantisationSchemes.Read(section)) : folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    protected override StoredTensor? Relay(string name, ReadOnlySpan<long> shape)
    {
        if (shape.Length != 2 || !name.EndsWith(WeightEnding, StringComparison.Ordinal)) return null;
        LayerTensors layer = new(Folder, name[..^WeightEnding.Length], checked((int)shape[0]), checked((int)shape[1]));
        return _scheme.Find(layer) is { } weight ? WeightPacker.Pack(Path, weight, Memory) : null;
    }

    /// <summary>Whether a tensor is a scale of keys, of values, or of what goes into or out of a layer.</summary>
    private static bool IsScaleOfStates(string name) =>
        name.EndsWith(".k_scale", StringComparison.Ordinal) || name.EndsWith(".v_scale", StringComparison.Ordinal)
        || name.EndsWith(".input_scale", StringComparison.Ordinal) || name.EndsWith(".output_scale", StringComparison.Ordinal);
}
