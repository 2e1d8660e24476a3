using System.Net;
using System.Net.Http.Headers;

namespace Decart.Inference.Hub;

/// <summary>Sends requests to the Hub and follows where they lead. The token is shown to the Hub only.</summary>
internal sealed class HubClient(HubName name, HubSettings settings)
{
    private const int MostRedirects = 10, BufferBytes = 64 << 10;
    private const long LongestListing = 64 << 20;

    private static readonly Lazy<HttpClient> Common = new(() => new HttpClient(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        ConnectTimeout = TimeSpan.FromSeconds(15),
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
    })
    { Timeout = Timeout.InfiniteTimeSpan });

    private static readonly ProductInfoHeaderValue Product = new("Decart.Inference", typeof(HubClient).Assembly.GetName().Version?.ToString(3));

    private readonly HttpClient _http = settings.Options.HttpClient ?? Common.Value;
    private readonly Uri _hub = new(settings.Endpoint);

    /// <summary>What the Hub says of the model.</summary>
    /// <param name="retries">The most repetitions.</param>
    /// <param name="cancellationToken">Cancels the request.</param>
    /// <exception cref="ModelHubException">The Hub does not say it.</exception>
    public Task<HubListing> ListAsync(int retries, CancellationToken cancellationToken)
    {
        Uri address = new($"{settings.Endpoint}/api/models/{name.Id}/revision/{Uri.EscapeDataString(settings.Options.Revision)}?blobs=true");
        return new Retries(settings, name.Id, retries).RunAsync(
            async () =>
            {
                using CancellationTokenSource silence = Patience(cancellationToken);
                using HttpResponseMessage response = await SendAsync(HttpMethod.Get, address, null, describes: false, silence.Token).ConfigureAwait(false);
                await RequireSuccessAsync(response, null, silence.Token).ConfigureAwait(false);
                Stream body = await HubBody.OpenAsync(response, silence.Token).ConfigureAwait(false);
                await using (body.ConfigureAwait(false)) return HubListing.Parse(name, await ReadListingAsync(body, silence).ConfigureAwait(false));
            },
            cancellationToken);
    }

    private async Task<ReadOnlyMemory<byte>> ReadListingAsync(Stream body, CancellationTokenSource silence)
    {
        MemoryStream listing = new();
        byte[] buffer = new byte[BufferBytes];
        while (await body.ReadAsync(buffer, silence.Token).ConfigureAwait(false) is > 0 and var read)
        {
            silence.CancelAfter(settings.Options.Timeout);
            listing.Write(buffer, 0, read);
            if (listing.Length > LongestListing) throw Invalid(name.Id, $"expected a description of at most {LongestListing} bytes");
        }
        return listing.GetBuffer().AsMemory(0, (int)listing.Length);
    }

    /// <summary>What the Hub says of one file, for mirrors whose list does not say it.</summary>
    /// <param name="commit">The commit.</param>
    /// <param name="path">The file.</param>
    /// <param name="cancellationToken">Cancels the request.</param>
    /// <exception cref="ModelHubException">The Hub does not say it.</exception>
    public Task<HubFile> DescribeAsync(string commit, string path, CancellationToken cancellationToken) => new Retries(settings, path, settings.Options.MaxRetries).RunAsync(
        async () =>
        {
            using CancellationTokenSource silence = Patience(cancellationToken);
            Uri address = FileAddress(commit, path);
            using HttpResponseMessage head = await SendAsync(HttpMethod.Head, address, null, describes: true, silence.Token).ConfigureAwait(false);
            bool knowsNoHead = head.StatusCode is HttpStatusCode.MethodNotAllowed or HttpStatusCode.NotImplemented;
            using HttpResponseMessage? get = knowsNoHead ? await SendAsync(HttpMethod.Get, address, null, describes: true, silence.Token).ConfigureAwait(false) : null;
            HttpResponseMessage response = get ?? head; // without its content
            if (!IsLinked(response)) await RequireSuccessAsync(response, path, silence.Token).ConfigureAwait(false);
            string? tag = Header(response, "X-Linked-Etag") ?? Header(response, "ETag");
            long? size = long.TryParse(Header(response, "X-Linked-Size"), out long linked) ? linked : response.Content.Headers.ContentLength;
            return BlobHash.TryParse(tag) is { } hash && size is { } bytes
                ? new HubFile(path, bytes, hash)
                : throw Invalid(path, $"expected an ETag that is a hash, and a size, found {(tag is null ? "no ETag" : Checkpoints.Quoted.Value(tag))} and {size?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "no size"}");
        },
        cancellationToken);

    /// <summary>Asks for a file's content, once.</summary>
    /// <param name="commit">The commit.</param>
    /// <param name="path">The file.</param>
    /// <param name="offset">Where the content should start.</param>
    /// <param name="cancellationToken">Cancels the request.</param>
    /// <returns>The answer, without its content: with status 200, 206 or 416.</returns>
    /// <exception cref="ModelHubException">The answer is an error.</exception>
    public async Task<HttpResponseMessage> GetAsync(string commit, string path, long offset, CancellationToken cancellationToken)
    {
        RangeHeaderValue? range = offset > 0 ? new RangeHeaderValue(offset, null) : null;
        HttpResponseMessage response = await SendAsync(HttpMethod.Get, FileAddress(commit, path), range, describes: false, cancellationToken).ConfigureAwait(false);
        try
        {
            if (range is null || response.StatusCode != HttpStatusCode.RequestedRangeNotSatisfiable) await RequireSuccessAsync(response, path, cancellationToken).ConfigureAwait(false);
            return response;
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    /// <summary>A token that is cancelled when the caller's is, or when <see cref="ModelHubOptions.Timeout"/> has passed; whoever receives something sets it back.</summary>
    public CancellationTokenSource Patience(CancellationToken cancellationToken)
    {
        CancellationTokenSource silence = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        silence.CancelAfter(settings.Options.Timeout);
        return silence;
    }

    private Uri FileAddress(string commit, string path) =>
        new($"{settings.Endpoint}/{name.Id}/resolve/{commit}/{string.Join('/', path.Split('/').Select(Uri.EscapeDataString))}");

    /// <param name="method">The method.</param>
    /// <param name="address">What is asked for.</param>
    /// <param name="range">The part of it; null for all.</param>
    /// <param name="describes">Whether an answer is enough that describes a file which another host has.</param>
    /// <param name="cancellationToken">Cancels the request.</param>
    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, Uri address, RangeHeaderValue? range, bool describes, CancellationToken cancellationToken)
    {
        for (int redirects = 0; redirects <= MostRedirects; redirects++)
        {
            using HttpRequestMessage request = new(method, address);
            request.Headers.UserAgent.Add(Product);
            request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity")); // sizes and ranges are those of the file
            request.Headers.Range = range;
            if (settings.Token is { } token && IsHub(address)) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
            if (!IsRedirect(response) || (describes && IsLinked(response))) return response;
            Uri target = new(address, response.Headers.Location!);
            response.Dispose();
            if (target.Scheme is not ("http" or "https") || (address.Scheme == "https" && target.Scheme != "https"))
                throw Invalid(name.Id, $"expected a redirection to an address of https, found one to {Checkpoints.Quoted.Value(target.Scheme)}");
            address = target;
        }
        throw Invalid(name.Id, $"expected at most {MostRedirects} redirections one after the other, found more");
    }

    private bool IsHub(Uri address) => address.Scheme == _hub.Scheme && address.Port == _hub.Port && string.Equals(address.Host, _hub.Host, StringComparison.OrdinalIgnoreCase);

    private static bool IsRedirect(HttpResponseMessage response) =>
        response.Headers.Location is not null
        && response.StatusCode is HttpStatusCode.MovedPermanently or HttpStatusCode.Found or HttpStatusCode.SeeOther or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect;

    /// <summary>Whether an answer describes a file that another host has the content of.</summary>
    private static bool IsLinked(HttpResponseMessage response) => IsRedirect(response) && response.Headers.Contains("X-Linked-Etag");

    private static string? Header(HttpResponseMessage response, string header) =>
        response.Headers.NonValidated.TryGetValues(header, out HeaderStringValues values) ? values.FirstOrDefault() : null; // mirrors write tags without quotation marks

    /// <exception cref="ModelHubException">The answer is an error.</exception>
    private async Task RequireSuccessAsync(HttpResponseMessage response, string? path, CancellationToken cancellationToken)
    {
        if (!response.IsSuccessStatusCode) throw await HubErrors.ReadAsync(name, path, settings, response, cancellationToken).ConfigureAwait(false);
    }

    private static ModelHubException Invalid(string subject, string problem) => new(ModelHubError.InvalidAnswer, subject, problem);
}
