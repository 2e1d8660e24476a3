using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models.Quantisation;

/// <summary>A checkpoint of whose tensors some are re-laid in blocks when they are asked for. Owns the checkpoint and the blocks.</summary>
/// <param name="checkpoint">The checkpoint.</param>
internal abstract unsafe class RelaidTensors(TensorSource checkpoint) : TensorSource
{
    private readonly List<StoredTensor> _inPlace = [];

    /// <summary>The blocks of what is not recycled yet.</summary>
    protected TensorMemory Memory { get; } = new();

    public override string Path => checkpoint.Path;

    public override IReadOnlyCollection<string> Names => checkpoint.Names;

    public override long TotalBytes => checkpoint.TotalBytes;

    protected override IReadOnlyList<MappedFile> Files => [];

    public override bool TryGet(string name, out StoredTensor tensor) => checkpoint.TryGet(name, out tensor);

    public override StoredTensor Require(string name, params ReadOnlySpan<long> shape)
    {
        if (Relay(name, shape) is { } blocks) return blocks;
        StoredTensor tensor = checkpoint.Require(name, shape);
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
        Memory.Recycle();
    }

    public override void Dispose()
    {
        Memory.Dispose();
        checkpoint.Dispose();
        base.Dispose();
    }

    /// <summary>The blocks of a tensor, in <see cref="Memory"/>; null where it is stored as it is read.</summary>
    protected abstract StoredTensor? Relay(string name, ReadOnlySpan<long> shape);
}
