using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace Decart.Inference.Checkpoints;

/// <summary>
/// A whole file mapped read-only. The mapping is released by <see cref="Dispose"/> alone, never by a finaliser, so that an
/// address taken from it cannot dangle because the garbage collector ran.
/// </summary>
/// <remarks>A file that another process truncates while it is mapped cannot be guarded against: reading there ends the process.</remarks>
internal sealed unsafe class MappedFile : IDisposable
{
    private const long TouchStride = 4096;
    private const long TouchChunk = 16 << 20;

    private readonly MemoryMappedFile _mapping;
    private readonly MemoryMappedViewAccessor _view;
    private byte* _start;

    private MappedFile(string path, long length, MemoryMappedFile mapping, MemoryMappedViewAccessor view)
    {
        Path = path;
        Length = length;
        _mapping = mapping;
        _view = view;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        _start += _view.PointerOffset;
    }

    public string Path { get; }

    public long Length { get; }

    /// <summary>Address of the first byte.</summary>
    public byte* Start
    {
        get
        {
            ObjectDisposedException.ThrowIf(_start is null, this);
            return _start;
        }
    }

    /// <exception cref="ModelLoadException">The file is missing, empty, a folder or unreadable.</exception>
    public static MappedFile Open(string path)
    {
        using SafeFileHandle handle = CheckpointFile.Open(path, out long length);
        MemoryMappedFile? mapping = null;
        try
        {
            mapping = MemoryMappedFile.CreateFromFile(handle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            return new MappedFile(path, length, mapping, mapping.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            mapping?.Dispose();
            throw new ModelLoadException(path, null, $"expected a file that can be mapped: {e.Message.TrimEnd('.')}", e);
        }
    }

    /// <summary>A part of the file, which the caller has checked to lie within it.</summary>
    public ReadOnlySpan<byte> Slice(long offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length - offset);
        return new ReadOnlySpan<byte>(Start + offset, length);
    }

    /// <summary>An error in this file.</summary>
    public ModelLoadException Error(string? field, string problem, Exception? inner = null) => new(Path, field, problem, inner);

    /// <summary>Reads one byte of each page, in order, so that the system brings the file into memory.</summary>
    /// <param name="advanced">Told the number of bytes after each chunk.</param>
    /// <param name="cancellationToken">Checked between chunks of 16 MiB.</param>
    public void Touch(Action<long> advanced, CancellationToken cancellationToken) => Touch(Start, Length, advanced, cancellationToken);

    /// <summary>The same for a part of a mapped file.</summary>
    /// <inheritdoc cref="Touch(Action{long}, CancellationToken)"/>
    public static void Touch(byte* start, long length, Action<long> advanced, CancellationToken cancellationToken)
    {
        for (long chunk = 0; chunk < length; chunk += TouchChunk)
        {
            cancellationToken.ThrowIfCancellationRequested();
            long end = Math.Min(length, chunk + TouchChunk);
            for (long offset = chunk; offset < end; offset += TouchStride) Volatile.Read(ref start[offset]);
            advanced(end - chunk);
        }
    }

    public void Dispose()
    {
        if (_start is null) return;
        _start = null;
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _mapping.Dispose();
    }
}
