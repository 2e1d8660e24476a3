using System.Buffers;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace Decart.Inference.Hub;

/// <summary>
/// A content that is being downloaded: written in order, hashed as it is written. Every byte is written at its own place, so that even two processes which write the same content
/// to the same file, because the file system does not know locks, do no harm.
/// </summary>
internal sealed class PartialFile : IDisposable
{
    private const int ReadChunk = 1 << 20;

    private readonly HubFile _file;
    private readonly SafeFileHandle _handle;
    private IncrementalHash _hash;

    private PartialFile(HubFile file, SafeFileHandle handle)
    {
        _file = file;
        _handle = handle;
        _hash = file.Hash.Begin(file.Size);
    }

    /// <summary>Bytes that are there, from the beginning.</summary>
    public long Length { get; private set; }

    public long Missing => _file.Size - Length;

    /// <summary>Opens or creates the file and reads what is there.</summary>
    public static PartialFile Open(string path, HubFile file, CancellationToken cancellationToken)
    {
        PartialFile part = new(file, File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read));
        try
        {
            part.ReadExisting(cancellationToken);
            return part;
        }
        catch
        {
            part.Dispose();
            throw;
        }
    }

    /// <summary>Adds what was received.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        RandomAccess.Write(_handle, bytes, Length);
        _hash.AppendData(bytes);
        Length += bytes.Length;
    }

    /// <summary>Begins again.</summary>
    public void Restart()
    {
        _hash.Dispose();
        _hash = _file.Hash.Begin(_file.Size);
        Length = 0;
    }

    /// <summary>The hash of all that is there.</summary>
    public BlobHash ReadHash() => new(Convert.ToHexStringLower(_hash.GetCurrentHash()));

    public void Dispose()
    {
        _handle.Dispose();
        _hash.Dispose();
    }

    private void ReadExisting(CancellationToken cancellationToken)
    {
        long there = RandomAccess.GetLength(_handle);
        if (there > _file.Size) RandomAccess.SetLength(_handle, there = 0);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(ReadChunk);
        try
        {
            while (Length < there && RandomAccess.Read(_handle, buffer, Length) is > 0 and var read)
            {
                cancellationToken.ThrowIfCancellationRequested();
                _hash.AppendData(buffer, 0, read);
                Length += read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
