using System.Net;
using System.Text;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Hub;

/// <summary>The Hub's answers that are errors, as exceptions that say what to do.</summary>
internal static class HubErrors
{
    private const int LongestWords = 300, LongestBody = 4096;

    /// <summary>Reads an answer that is an error.</summary>
    /// <param name="name">The model.</param>
    /// <param name="path">The file that was asked for; null when it was the description of the model.</param>
    /// <param name="settings">How it was asked.</param>
    /// <param name="response">The answer.</param>
    /// <param name="cancellationToken">Cancels reading.</param>
    public static async Task<ModelHubException> ReadAsync(HubName name, string? path, HubSettings settings, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        string? code = Header(response, "X-Error-Code");
        string words = Header(response, "X-Error-Message") ?? await ReadBeginningAsync(response, cancellationToken).ConfigureAwait(false);
        (ModelHubError error, string advice) = Explain(name, path, settings, response.StatusCode, code, words);
        string said = words.Length == 0 ? "" : $" (\"{Quoted.Cut(words, LongestWords)}\")";
        return new ModelHubException(error, path is null ? name.Id : $"{name.Id}/{path}", $"expected an answer of {settings.Endpoint}, found status {(int)response.StatusCode}{said}: {advice}")
        {
            Status = response.StatusCode,
            RetryAfter = Retries.AskedFor(response.Headers),
        };
    }

    private static (ModelHubError Error, string Advice) Explain(HubName name, string? path, HubSettings settings, HttpStatusCode status, string? code, string words)
    {
        string revision = settings.Options.Revision;
        switch (status, code)
        {
            case (_, "GatedRepo"):
                return (ModelHubError.Gated, $"its authors ask for acceptance of their terms: accept them at {settings.Endpoint}/{name.Id} and give the token of that account (HF_TOKEN)");
            case (_, "RepoNotFound"):
                return Missing(name, settings);
            case (_, "RevisionNotFound"):
                return (ModelHubError.NotFound, $"the model has no branch, tag or commit \"{Quoted.Value(revision)}\"");
            case (_, "EntryNotFound"):
                return (ModelHubError.NotFound, "the model has no such file at this revision");
            case (HttpStatusCode.Unauthorized, _):
                return words.Contains("credentials", StringComparison.OrdinalIgnoreCase) || path is not null
                    ? (ModelHubError.Unauthorized, settings.Token is null ? "the model needs an access token (HF_TOKEN)" : "the access token is wrong or has expired: renew it (HF_TOKEN, or the file where \"hf auth login\" keeps it)")
                    : Missing(name, settings);
            case (HttpStatusCode.Forbidden, _):
                return (ModelHubError.Unauthorized, "the access token may not read this model: give it the permission, or the token of another account (HF_TOKEN)");
            case (HttpStatusCode.NotFound, _):
                return path is null ? Missing(name, settings) : (ModelHubError.NotFound, "there is no such file");
            case (HttpStatusCode.TooManyRequests, _):
                return (ModelHubError.RateLimited, "too many requests: try again later, or with a token (HF_TOKEN), which has a limit of its own");
            case ( >= HttpStatusCode.InternalServerError, _):
                return (ModelHubError.ServerFailed, "the server failed: try again later");
            default:
                return (ModelHubError.InvalidAnswer, "the Hub does not answer so: see whether HF_ENDPOINT and the proxies are right");
        }
    }

    /// <summary>The Hub does not tell models that do not exist from those that the caller may not see.</summary>
    private static (ModelHubError Error, string Advice) Missing(HubName name, HubSettings settings) => (
        ModelHubError.NotFound,
        $"there is no model \"{name.Id}\", or it is private and {(settings.Token is null ? "needs an access token (HF_TOKEN)" : "the access token may not see it")}");

    private static string? Header(HttpResponseMessage response, string header) =>
        response.Headers.TryGetValues(header, out IEnumerable<string>? values) && values.FirstOrDefault() is { Length: > 0 } value ? value : null;

    /// <summary>The beginning of a text that explains an error; empty if the answer has none, or a page.</summary>
    private static async Task<string> ReadBeginningAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (response.Content.Headers.ContentType?.MediaType is not ("text/plain" or "application/json")) return "";
        byte[] beginning = new byte[LongestBody];
        Stream body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using (body.ConfigureAwait(false))
        {
            int length = await body.ReadAtLeastAsync(beginning, beginning.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
            return Encoding.UTF8.GetString(beginning, 0, length).Trim();
        }
    }
}
