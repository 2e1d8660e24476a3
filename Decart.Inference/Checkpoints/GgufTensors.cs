namespace Decart.Inference.Checkpoints;

/// <summary>The tensors of a GGUF file, which it owns.</summary>
internal sealed class GgufTensors : TensorSource
{
    private readonly MappedFile[] _files;

    private GgufTensors(GgufFile file)
    {
        File = file;
        _files = [file.Table.File];
    }

    public GgufFile File { get; }

    public override string Path => File.Path;

    public override IReadOnlyCollection<string> Names => (IReadOnlyCollection<string>)File.Tensors.Keys;

    protected override IReadOnlyList<MappedFile> Files => _files;

    /// <exception cref="ModelLoadException">The file cannot be read.</exception>
    public static GgufTensors Open(string path) => new(GgufFile.Open(path));

    public override bool TryGet(string name, out StoredTensor tensor) => File.Table.TryGet(name, out tensor);
}
