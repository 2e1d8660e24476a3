using System.IO.Compression;

namespace Decart.Inference.Hub;

/// <summary>Contents of answers. They are asked for as they are, but some proxies compress them all the same.</summary>
internal static class HubBody
{
    /// <summary>Whether what an answer carries is something else than the bytes of the file.</summary>
    public static bool IsEncoded(HttpResponseMessage response) => response.Content.Headers.ContentEncoding.Any(encoding => !IsPlain(encoding));

    /// <summary>The content of an answer, decompressed. The caller disposes it.</summary>
    /// <exception cref="HttpRequestException">It is encoded in a way that is not known.</exception>
    public static async Task<Stream> OpenAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        Stream body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        return response.Content.Headers.ContentEncoding.Reverse().Aggregate(body, Decode); // the encoding that was applied last stands last
    }

    private static Stream Decode(Stream body, string encoding) => encoding.ToUpperInvariant() switch
    {
        "GZIP" or "X-GZIP" => new GZipStream(body, CompressionMode.Decompress),
        "BR" => new BrotliStream(body, CompressionMode.Decompress),
        "DEFLATE" => new ZLibStream(body, CompressionMode.Decompress),
        _ when IsPlain(encoding) => body,
        _ => throw new HttpRequestException($"The content is encoded as \"{Checkpoints.Quoted.Value(encoding)}\", which was not asked for."),
    };

    private static bool IsPlain(string encoding) => encoding.Equals("identity", StringComparison.OrdinalIgnoreCase);
}
