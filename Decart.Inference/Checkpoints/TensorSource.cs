namespace Decart.Inference.Checkpoints;

/// <summary>
/// The tensors of a checkpoint, whatever its files. Owns the files: the tensors are views of them and valid until
/// <see cref="Dispose()"/>. Reading is safe from any number of threads.
/// </summary>
internal abstract class TensorSource : IDisposable
{
    /// <summary>The folder or file, as it was given.</summary>
    public abstract string Path { get; }

    public abstract IReadOnlyCollection<string> Names { get; }

    /// <summary>What looked wrong while the checkpoint and its configuration were read, but could be passed over: whole sentences, for the log.</summary>
    public List<string> Warnings { get; } = [];

    /// <summary>What is left unused for a reason: whole sentences, for the log's details.</summary>
    public List<string> Notes { get; } = [];

    /// <summary>The size of all files together.</summary>
    public virtual long TotalBytes => Files.Sum(file => file.Length);

    protected abstract IReadOnlyList<MappedFile> Files { get; }

    /// <summary>What more to say of a tensor that is not there, behind "none of this name".</summary>
    protected virtual string HintAt(string name) => "";

    public abstract bool TryGet(string name, out StoredTensor tensor);

    /// <summary>A tensor that the model needs.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="shape">Its dimensions, outermost first; none if any shape will do.</param>
    /// <exception cref="ModelLoadException">The tensor is missing or has another shape.</exception>
    public virtual StoredTensor Require(string name, params ReadOnlySpan<long> shape)
    {
        if (!TryGet(name, out StoredTensor tensor))
        {
            string expected = shape.IsEmpty ? "this tensor" : $"a tensor of shape {Describe(shape)}";
            throw new ModelLoadException(Path, name, $"expected {expected}, found none of this name{HintAt(name)}");
        }
        if (!shape.IsEmpty && !tensor.Shape.AsSpan().SequenceEqual(shape))
            throw new ModelLoadException(Path, name, $"expected shape {Describe(shape)}, found {Describe(tensor.Shape.AsSpan())}");
        return tensor;
    }

    /// <summary>Elements of the longest blocks that tensors are stored in, where that is known before they are read.</summary>
    public virtual int MaxBlockLength => Names.Select(name => TryGet(name, out StoredTensor tensor) ? tensor.Type.BlockLength() : 1).DefaultIfEmpty(1).Max();

    /// <summary>Says that no tensor given so far is read any more: a source that made them may use their memory for others.</summary>
    public virtual void Recycle()
    {
    }

    /// <summary>Brings the files into memory, so that the first tokens do not wait for the disk.</summary>
    /// <param name="progress">Told the bytes read after each 16 MiB.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public virtual void Prefetch(IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        long loaded = 0, total = TotalBytes;
        foreach (MappedFile file in Files)
        {
            file.Touch(bytes => progress?.Report(new LoadProgress("Reading weights", loaded += bytes, total)), cancellationToken);
        }
    }

    public virtual void Dispose()
    {
        foreach (MappedFile file in Files) file.Dispose();
    }

    /// <summary>A shape for error messages: <c>[32000, 4096]</c>.</summary>
    public static string Describe(ReadOnlySpan<long> shape)
    {
        const int Shown = 8;
        string dimensions = string.Join(", ", shape[..Math.Min(shape.Length, Shown)].ToArray());
        return shape.Length > Shown ? $"[{dimensions}, ...] of {shape.Length} dimensions" : $"[{dimensions}]";
    }
}
