namespace Decart.Inference.Hub;

/// <summary>A file of a repository.</summary>
/// <param name="Path">Its name with the folders that it is in, separated by slashes.</param>
/// <param name="Size">Its size in bytes.</param>
/// <param name="Hash">The hash of its content.</param>
internal sealed record HubFile(string Path, long Size, BlobHash Hash);
