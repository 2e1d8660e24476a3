using System.Buffers;
using System.Net;

namespace Decart.Inference.Hub;

/// <summary>Brings files of a commit into the cache.</summary>
internal sealed class FileDownload(HubSettings settings, HubClient client, HubCache cache, string commit, DownloadTally tally)
{
    private const int BufferBytes = 256 << 10;
    private const long Progress = 1 << 20; // received bytes after which earlier failures are forgotten
    private const int DiskFullLinux = 28, QuotaLinux = 122, QuotaMacOS = 69, DiskFullWindows = unchecked((int)0x80070070), HandleDiskFullWindows = unchecked((int)0x80070027);

    /// <summary>Downloads a file unless it is there.</summary>
    /// <exception cref="ModelHubException">It could not be downloaded, or not be written.</exception>
    public async Task RunAsync(HubFile file, CancellationToken cancellationToken)
    {
        if (!cache.HasFile(commit, file))
        {
            try
            {
                cache.CreateFolders(commit, file);
                using IDisposable owned = await cache.LockAsync(file, cancellationToken).ConfigureAwait(false);
                if (!cache.HasFile(commit, file))
                {
                    bool isNew = !cache.HasBlob(file);
                    if (isNew) await FetchAsync(file, cancellationToken).ConfigureAwait(false);
                    cache.Link(commit, file, isNew);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw OfDisk(file, e);
            }
        }
        tally.Report(file, file.Size);
    }

    private async Task FetchAsync(HubFile file, CancellationToken cancellationToken)
    {
        for (bool isLast = false; ; isLast = true)
        {
            bool isPieced;
            BlobHash found;
            using (PartialFile part = PartialFile.Open(cache.PartPath(file.Hash), file, cancellationToken))
            {
                isPieced = part.Length > 0;
                Retries retries = new(settings, file.Path, settings.Options.MaxRetries);
                while (part.Missing > 0) await retries.RunAsync(Receive, cancellationToken).ConfigureAwait(false);
                found = part.ReadHash();

                Task<bool> Receive()
                {
                    isPieced |= part.Length > 0;
                    return ReceiveAsync(file, part, retries, cancellationToken);
                }
            }
            if (found == file.Hash)
            {
                cache.Complete(file);
                return;
            }
            File.Delete(cache.PartPath(file.Hash));
            if (isLast || !isPieced) throw Damaged(file, $"expected a content with {file.Hash}, found {found}", file.Hash.Hex, found.Hex);
            settings.Logger.PartDamaged(file.Path);
        }
    }

    /// <summary>Receives the rest of a file, or as much of it as the connection gives.</summary>
    private async Task<bool> ReceiveAsync(HubFile file, PartialFile part, Retries retries, CancellationToken cancellationToken)
    {
        using CancellationTokenSource silence = client.Patience(cancellationToken);
        using HttpResponseMessage response = await client.GetAsync(commit, file.Path, part.Length, silence.Token).ConfigureAwait(false);
        if (!IsRest(response, part.Length, file.Size))
        {
            part.Restart();
            if (response.StatusCode != HttpStatusCode.OK) throw new HttpRequestException($"The server does not send the part of the file that was asked for (status {(int)response.StatusCode}).");
        }
        if (!HubBody.IsEncoded(response) && response.Content.Headers.ContentLength is { } announced && announced > part.Missing) throw TooLong(file, part.Length + announced);

        Stream body = await HubBody.OpenAsync(response, silence.Token).ConfigureAwait(false);
        await using (body.ConfigureAwait(false))
        {
            byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
            try
            {
                long forgiven = part.Length + Progress;
                while (await body.ReadAsync(buffer, silence.Token).ConfigureAwait(false) is > 0 and var read)
                {
                    silence.CancelAfter(settings.Options.Timeout);
                    if (read > part.Missing) throw TooLong(file, part.Length + read);
                    Write(file, part, buffer.AsSpan(0, read));
                    tally.Report(file, part.Length);
                    if (part.Length >= forgiven) retries.Reset();
                }
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }
        return part.Missing == 0 ? true : throw new HttpRequestException($"The answer ended after {part.Length} of {file.Size} bytes.");
    }

    /// <summary>Whether an answer has the rest of a file that was asked for, not the whole of it or something else.</summary>
    private static bool IsRest(HttpResponseMessage response, long offset, long size) =>
        response.StatusCode == HttpStatusCode.PartialContent
        && !HubBody.IsEncoded(response) // the part of something else
        && response.Content.Headers.ContentRange is { From: { } from } range && from == offset && (range.Length ?? size) == size;

    /// <summary>What goes wrong with the disk must not look like what goes wrong with the connection.</summary>
    private static void Write(HubFile file, PartialFile part, ReadOnlySpan<byte> bytes)
    {
        try
        {
            part.Append(bytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OfDisk(file, e);
        }
    }

    private static ModelHubException OfDisk(HubFile file, Exception e) => e.HResult is DiskFullLinux or QuotaLinux or QuotaMacOS or DiskFullWindows or HandleDiskFullWindows
        ? new ModelHubException(ModelHubError.DiskFull, file.Path, $"expected room for {file.Size} bytes in the cache, found the disk full: make room, or set another folder (CacheFolder, HF_HUB_CACHE)", e)
        : new ModelHubException(ModelHubError.CacheUnusable, file.Path, $"expected a cache that can be written (CacheFolder, HF_HUB_CACHE): {e.Message.TrimEnd('.')}", e);

    private static ModelHubException TooLong(HubFile file, long found) => Damaged(
        file,
        $"expected {file.Size} bytes, found at least {found}",
        file.Size.ToString(System.Globalization.CultureInfo.InvariantCulture),
        found.ToString(System.Globalization.CultureInfo.InvariantCulture));

    private static ModelHubException Damaged(HubFile file, string problem, string expected, string found) =>
        new(ModelHubError.Damaged, file.Path, $"{problem}: something between here and the Hub changes files") { Expected = expected, Found = found };
}
