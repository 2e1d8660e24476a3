namespace Decart.Inference;

/// <summary>Progress of a download: of one file, and of all files of the model together. What is on disk already counts as loaded.</summary>
/// <param name="File">The file's name in the repository.</param>
/// <param name="FileBytesLoaded">Bytes of this file that are on disk. Fewer than before when a damaged part is loaded again.</param>
/// <param name="FileBytesTotal">Bytes of this file.</param>
/// <param name="BytesLoaded">Bytes of all files that are on disk.</param>
/// <param name="BytesTotal">Bytes of all files.</param>
public readonly record struct DownloadProgress(string File, long FileBytesLoaded, long FileBytesTotal, long BytesLoaded, long BytesTotal)
{
    /// <summary>The fraction of all bytes that are on disk, from 0 to 1.</summary>
    public double Fraction => BytesTotal > 0 ? Math.Clamp((double)BytesLoaded / BytesTotal, 0, 1) : 0;
}
