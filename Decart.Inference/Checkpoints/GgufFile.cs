namespace Decart.Inference.Checkpoints;

/// <summary>
/// A file in the GGUF format (versions 2 and 3, little-endian), memory-mapped: opening it reads the metadata and the table of
/// tensors, and the tensors' bytes are read from the map where they are used.
/// </summary>
/// <remarks>
/// <para>The format: the letters <c>GGUF</c>, version, number of tensors, number of metadata entries; the metadata, typed values by key; for
/// each tensor its name, dimensions (innermost first: here they are reversed), encoding and offset; then, aligned to
/// <c>general.alignment</c> (32 by default), the data. The file is checked in full when opened: every count against the bytes that
/// are left, every tensor's size, that tensors lie within the file and do not overlap.</para>
/// <para>Reading is safe from any number of threads. Spans are valid until <see cref="Dispose"/>, which must not run while they are in use; the file must
/// not be truncated meanwhile. The metadata stays valid.</para>
/// </remarks>
public sealed class GgufFile : IDisposable
{
    private readonly TensorTable _table;

    private GgufFile(GgufHeader header, TensorTable table)
    {
        _table = table;
        Version = header.Version;
        Metadata = header.Metadata.AsReadOnly();
    }

    /// <summary>The file's path as it was given.</summary>
    public string Path => _table.File.Path;

    /// <summary>The version of the format: 2 or 3.</summary>
    public int Version { get; }

    /// <summary>The metadata by key.</summary>
    public IReadOnlyDictionary<string, GgufValue> Metadata { get; }

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => _table.Tensors;

    internal TensorTable Table => _table;

    /// <summary>Maps a file and checks its metadata and its table of tensors.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="ModelLoadException">
    /// The file is missing or unreadable, is not a valid GGUF file, or holds a tensor of an encoding that is not supported.
    /// </exception>
    public static GgufFile Open(string path)
    {
        MappedFile file = MappedFile.Open(path);
        try
        {
            GgufHeader header = GgufHeader.Parse(file);
            return new GgufFile(header, new TensorTable(file, header.Tensors));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The metadata value of a key that the file must have.</summary>
    /// <param name="key">The key, such as <c>general.architecture</c>.</param>
    /// <exception cref="ModelLoadException">The file has no such key.</exception>
    public GgufValue Require(string key) =>
        Metadata.TryGetValue(key, out GgufValue? value) ? value : throw _table.File.Error(key, "expected this metadata key, found none");

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

    /// <summary>Closes the file. Spans taken from it become invalid.</summary>
    public void Dispose() => _table.Dispose();
}
