using Microsoft.Win32.SafeHandles;

namespace Decart.Inference.Checkpoints;

/// <summary>
/// Opens the files of checkpoints and tokenizers. What bears a file's name without being one (a folder, a pipe, a device, a dangling link, the pointer that
/// Git LFS leaves) is refused before anything waits for it.
/// </summary>
internal static class CheckpointFile
{
    private const int LongestPointer = 1024, ReadChunk = 1 << 20;

    /// <summary>Whether anything has this name. What is not a file is refused when it is opened, not treated as absent.</summary>
    public static bool Exists(string path) => File.Exists(path) || Directory.Exists(path) || new FileInfo(path).LinkTarget is not null;

    /// <summary>Opens a regular file, which is not empty.</summary>
    /// <exception cref="ModelLoadException">There is no such file, or it cannot be read.</exception>
    public static SafeFileHandle Open(string path, out long length)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        SafeFileHandle? handle = null;
        try
        {
            CheckRegular(path);
            handle = File.OpenHandle(path);
            length = RandomAccess.GetLength(handle);
            if (length == 0) throw Empty(path);
            CheckDownloaded(path, handle, length);
            return handle;
        }
        catch (Exception e)
        {
            handle?.Dispose();
            throw e switch
            {
                FileNotFoundException or DirectoryNotFoundException => new ModelLoadException(path, null, "expected a file, found nothing at this path", e),
                IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException => Unreadable(path, e),
                _ => e,
            };
        }
    }

    /// <summary>The content of a file of at most <paramref name="maxBytes"/> bytes.</summary>
    /// <exception cref="ModelLoadException">There is no such file, it is too large, or it cannot be read.</exception>
    public static byte[] ReadAllBytes(string path, long maxBytes)
    {
        using SafeFileHandle handle = Open(path, out long length);
        if (length > maxBytes) throw new ModelLoadException(path, null, $"expected at most {maxBytes} bytes, found {length}");
        byte[] bytes = new byte[length];
        try
        {
            for (int done = 0, read; done < bytes.Length; done += read)
            {
                read = RandomAccess.Read(handle, bytes.AsSpan(done, Math.Min(ReadChunk, bytes.Length - done)), done);
                if (read == 0) throw new ModelLoadException(path, null, $"expected {length} bytes, found the end of the file after {done}");
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Unreadable(path, e);
        }
        return bytes;
    }

    /// <summary>Checks the length before the file is opened: pipes and devices have none, and opening a pipe waits for a writer.</summary>
    private static void CheckRegular(string path)
    {
        FileSystemInfo target = File.ResolveLinkTarget(path, returnFinalTarget: true) ?? new FileInfo(path);
        if (Directory.Exists(target.FullName)) throw new ModelLoadException(path, null, "expected a file, found a folder");
        FileInfo file = new(target.FullName);
        if (!file.Exists && target.FullName != Path.GetFullPath(path))
            throw new ModelLoadException(path, null, $"expected a file, found a link to {Quoted.Name(target.FullName)}, where there is nothing");
        if (file.Length == 0) throw Empty(path);
    }

    private static void CheckDownloaded(string path, SafeFileHandle handle, long length)
    {
        if (length > LongestPointer) return;
        Span<byte> beginning = stackalloc byte[64];
        beginning = beginning[..RandomAccess.Read(handle, beginning, 0)];
        if (FileSignature.IsLfsPointer(beginning))
        {
            throw new ModelLoadException(
                path, null, "expected the file itself, found a Git LFS pointer: the file was not downloaded (run \"git lfs pull\" in its folder, or download it again)");
        }
    }

    private static ModelLoadException Empty(string path) => new(path, null, "expected a file with content, found an empty file, or a pipe or a device");

    private static ModelLoadException Unreadable(string path, Exception e) => new(path, null, $"expected a readable file: {e.Message.TrimEnd('.')}", e);
}
