namespace Decart.Inference.Checkpoints;

/// <summary>The tensors of one mapped file by name. Owns the mapping.</summary>
internal sealed unsafe class TensorTable(MappedFile file, Dictionary<string, TensorInfo> tensors) : IDisposable
{
    public MappedFile File => file;

    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; } = tensors.AsReadOnly();

    public TensorInfo this[string name] =>
        tensors.TryGetValue(name, out TensorInfo? info) ? info : throw new KeyNotFoundException($"{file.Path} holds no tensor '{name}'.");

    public ReadOnlySpan<byte> GetBytes(string name)
    {
        TensorInfo info = this[name];
        if (info.ByteLength > int.MaxValue)
            throw new InvalidOperationException($"Tensor '{name}' has {info.ByteLength} bytes, more than a span can hold: read it in parts.");
        return file.Slice(info.Offset, (int)info.ByteLength);
    }

    public ReadOnlySpan<byte> GetBytes(string name, long offset, int length)
    {
        TensorInfo info = this[name];
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, info.ByteLength);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, info.ByteLength - offset);
        return file.Slice(info.Offset + offset, length);
    }

    public bool TryGet(string name, out StoredTensor tensor)
    {
        if (!tensors.TryGetValue(name, out TensorInfo? info))
        {
            tensor = default;
            return false;
        }
        tensor = new StoredTensor(info.Name, info.Type, info.Shape, (nint)(file.Start + info.Offset));
        return true;
    }

    public void Dispose() => file.Dispose();
}
