using System.Buffers.Binary;

namespace Decart.Inference.Checkpoints;

/// <summary>
/// A file in Hugging Face's safetensors format, memory-mapped: opening it reads the header only, and the tensors' bytes are
/// read from the map where they are used.
/// </summary>
/// <remarks>
/// <para>The format: 8 bytes with the header's length (unsigned, little-endian), the header, the data. The header is a JSON object in UTF-8
/// that gives each tensor's <c>dtype</c>, <c>shape</c> and <c>data_offsets</c> (begin and end within the data); its key <c>__metadata__</c>
/// holds strings by name. The file is checked in full when opened: every byte of the data belongs to exactly one tensor, and every
/// tensor's size follows from its type and shape. Tensors need not be aligned.</para>
/// <para>Reading is safe from any number of threads. Spans are valid until <see cref="Dispose"/>, which must not run while they are in use; the file must
/// not be truncated meanwhile.</para>
/// </remarks>
public sealed class SafetensorsFile : IDisposable
{
    private readonly TensorTable _table;

    private SafetensorsFile(TensorTable table, Dictionary<string, string> metadata)
    {
        _table = table;
        Metadata = metadata.AsReadOnly();
    }

    /// <summary>The file's path as it was given.</summary>
    public string Path => _table.File.Path;

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => _table.Tensors;

    /// <summary>The strings under <c>__metadata__</c>; empty when the file has none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    internal TensorTable Table => _table;

    /// <summary>Maps a file and checks its header.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="ModelLoadException">The file is missing or unreadable, or is not a valid safetensors file.</exception>
    public static SafetensorsFile Open(string path)
    {
        MappedFile file = MappedFile.Open(path);
        try
        {
            SafetensorsHeader header = SafetensorsHeader.Parse(file);
            return new SafetensorsFile(new TensorTable(file, header.Tensors), header.Metadata);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The bytes of a tensor of less than 2 GiB, little-endian and row-major, in the mapped file.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <exception cref="KeyNotFoundException">The file holds no such tensor.</exception>
    /// <exception cref="InvalidOperationException">The tensor is larger than a span can be.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public ReadOnlySpan<byte> GetBytes(string name) => _table.GetBytes(name);

    /// <summary>A part of a tensor's bytes, in the mapped file.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="offset">Offset of the part within the tensor, in bytes.</param>
    /// <param name="length">Length of the part in bytes.</param>
    /// <exception cref="KeyNotFoundException">The file holds no such tensor.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The part does not lie within the tensor.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public ReadOnlySpan<byte> GetBytes(string name, long offset, int length) => _table.GetBytes(name, offset, length);

    /// <summary>Widens a tensor of type F32, F16 or BF16 to float32.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="destination">Receives the elements in row-major order; exactly as long as the tensor.</param>
    /// <exception cref="KeyNotFoundException">The file holds no such tensor.</exception>
    /// <exception cref="ArgumentException">The destination's length is not the tensor's number of elements.</exception>
    /// <exception cref="NotSupportedException">The tensor is of another type.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public void ReadAsSingle(string name, Span<float> destination)
    {
        TensorInfo info = _table[name];
        if (destination.Length != info.ElementCount)
            throw new ArgumentException($"Tensor '{name}' has {info.ElementCount} elements, the destination {destination.Length}.", nameof(destination));
        if (info.Type is not (TensorType.F32 or TensorType.F16 or TensorType.BF16))
            throw new NotSupportedException($"Tensor '{name}' is of type {info.Type}; F32, F16 and BF16 can be read as float32.");
        int size = info.Type.BlockBytes();
        for (int i = 0; i < destination.Length; i++)
        {
            ReadOnlySpan<byte> element = _table.File.Slice(info.Offset + (long)i * size, size);
            destination[i] = info.Type switch
            {
                TensorType.F32 => BinaryPrimitives.ReadSingleLittleEndian(element),
                TensorType.F16 => (float)BinaryPrimitives.ReadHalfLittleEndian(element),
                _ => BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(element) << 16),
            };
        }
    }

    /// <summary>Closes the file. Spans taken from it become invalid.</summary>
    public void Dispose() => _table.Dispose();
}
