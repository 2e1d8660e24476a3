using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models.Quantisation;

/// <summary>
/// A Hugging Face folder whose layers keep quantised weights: <c>NAME.weight</c> is made of what the scheme stores instead, in blocks that kernels read. Owns the
/// folder and the blocks.
/// </summary>
internal sealed unsafe class QuantisedTensors : TensorSource
{
    /// <summary>Of the blocks that weights are re-laid in.</summary>
    private const int LongestBlock = 64;

    private const string WeightEnding = ".weight";

    private readonly IQuantisationScheme _scheme;
    private readonly TensorMemory _memory = new();
    private readonly List<StoredTensor> _inPlace = [];

    private QuantisedTensors(HuggingFaceFolder folder, IQuantisationScheme scheme)
    {
        (Folder, _scheme) = (folder, scheme);
        Warnings.AddRange(folder.Warnings);
        string[] unused = [.. folder.Names.Where(IsScaleOfStates).Order(StringComparer.Ordinal)];
        if (unused.Length > 0) Notes.Add($"{folder.Path}: keys, values and activations are not quantised, so their scales are not used: {Quoted.Names(unused)}.");
    }

    public HuggingFaceFolder Folder { get; }

    public override string Path => Folder.Path;

    public override IReadOnlyCollection<string> Names => Folder.Names;

    public override long TotalBytes => Folder.TotalBytes;

    protected override IReadOnlyList<MappedFile> Files => [];

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

    public override int MaxBlockLength => LongestBlock;

    public override bool TryGet(string name, out StoredTensor tensor) => Folder.TryGet(name, out tensor);

    public override StoredTensor Require(string name, params ReadOnlySpan<long> shape)
    {
        if (shape.Length == 2 && name.EndsWith(WeightEnding, StringComparison.Ordinal))
        {
            LayerTensors layer = new(Folder, name[..^WeightEnding.Length], checked((int)shape[0]), checked((int)shape[1]));
            if (_scheme.Find(layer) is { } weight) return WeightPacker.Pack(Path, weight, _memory);
        }
        StoredTensor tensor = Folder.Require(name, shape);
        _inPlace.Add(tensor);
        return tensor;
    }

    /// <remarks>What has been re-laid is in memory: the rest is brought there.</remarks>
    public override void Prefetch(IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        long loaded = 0, total = _inPlace.Sum(Bytes);
        foreach (StoredTensor tensor in _inPlace)
        {
            MappedFile.Touch(tensor.Pointer, Bytes(tensor), bytes => progress?.Report(new LoadProgress("Reading weights", loaded += bytes, total)), cancellationToken);
        }

        static long Bytes(StoredTensor tensor) => tensor.Rows * tensor.RowBytes;
    }

    public override void Recycle()
    {
        _inPlace.Clear();
        _memory.Recycle();
    }

    public override void Dispose()
    {
        _memory.Dispose();
        Folder.Dispose();
        base.Dispose();
    }

    /// <summary>Whether a tensor is a scale of keys, of values, or of what goes into or out of a layer.</summary>
    private static bool IsScaleOfStates(string name) =>
        name.EndsWith(".k_scale", StringComparison.Ordinal) || name.EndsWith(".v_scale", StringComparison.Ordinal)
        || name.EndsWith(".input_scale", StringComparison.Ordinal) || name.EndsWith(".output_scale", StringComparison.Ordinal);
}
