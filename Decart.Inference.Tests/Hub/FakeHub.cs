using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Decart.Inference.Tests.Hub;

/// <summary>
/// A server that answers as the Hub does, for one model: small files are sent by itself, large ones by another host that it redirects to. Tests answer instead of it where they
/// want to see what a failure does.
/// </summary>
internal sealed class FakeHub : IDisposable
{
    public const string Model = "acme/tiny", Token = "hf_secret";

    private readonly Dictionary<string, (byte[] Content, bool IsLarge)> _files = new(StringComparer.Ordinal);

    public FakeHub()
    {
        Site = new HttpServer(request => Intercept?.Invoke(request) ?? Answer(request));
        Storage = new HttpServer(request => InterceptStorage?.Invoke(request) ?? Content(request, _files.Values.First(file => request.Path == $"/{Sha256(file.Content)}").Content));
    }

    /// <summary>The commit that main is.</summary>
    public string Commit { get; init; } = new('a', 40);

    /// <summary>The Hub itself.</summary>
    public HttpServer Site { get; }

    /// <summary>The other host, with the large files.</summary>
    public HttpServer Storage { get; }

    /// <summary>What the Hub answers instead, or null for what it always does.</summary>
    public Func<HttpRequest, HttpReply?>? Intercept { get; set; }

    /// <inheritdoc cref="Intercept"/>
    public Func<HttpRequest, HttpReply?>? InterceptStorage { get; set; }

    /// <summary>Whether the list of files has their sizes and hashes; mirrors leave them out.</summary>
    public bool DescribesFiles { get; init; } = true;

    public void Add(string path, string content) => _files[path] = (Encoding.UTF8.GetBytes(content), false);

    public void AddLarge(string path, byte[] content) => _files[path] = (content, true);

    /// <summary>Bytes that look random and are the same each time.</summary>
    public static byte[] Bytes(int count, int seed = 1)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>A model with weights in two shards, and files that nobody needs to load it.</summary>
    public FakeHub WithShards(int bytes = 1 << 20)
    {
        Add("config.json", """{"model_type":"llama"}""");
        Add("tokenizer.json", "{ }");
        Add("tokenizer.model", "not needed beside tokenizer.json");
        Add("additional_chat_templates/tools.jinja", "{{ messages }}");
        Add("README.md", "words");
        Add("model.safetensors.index.json", """{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}""");
        AddLarge("model-00001-of-00002.safetensors", Bytes(bytes, 1));
        AddLarge("model-00002-of-00002.safetensors", Bytes(bytes, 2));
        AddLarge("consolidated.safetensors", Bytes(100, 3));
        AddLarge("pytorch_model.bin", Bytes(100, 4));
        return this;
    }

    public static string Sha256(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));

    public static string GitHash(byte[] content)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
        hash.AppendData(Encoding.ASCII.GetBytes($"blob {content.Length}\0"));
        hash.AppendData(content);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>The name of a file's content in the cache.</summary>
    public string HashOf(string path) => _files[path].IsLarge ? Sha256(_files[path].Content) : GitHash(_files[path].Content);

    public byte[] ContentOf(string path) => _files[path].Content;

    /// <summary>An answer with a content, or with the part of it that is asked for.</summary>
    public static HttpReply Content(HttpRequest request, byte[] content)
    {
        if (request["Range"] is null) return new HttpReply(200, content);
        if (request.Offset >= content.Length) return new HttpReply(416);
        return new HttpReply(206, content[request.Offset..]) { Headers = { ["Content-Range"] = $"bytes {request.Offset}-{content.Length - 1}/{content.Length}" } };
    }

    public void Dispose()
    {
        Site.Dispose();
        Storage.Dispose();
    }

    private HttpReply Answer(HttpRequest request)
    {
        string resolve = $"/{Model}/resolve/{Commit}/";
        string revision = $"/api/models/{Model}/revision/";
        if (request.Path is var path && (path == $"{revision}main?blobs=true" || path == $"{revision}refs%2Fpr%2F1?blobs=true" || path == $"{revision}{Commit}?blobs=true")) return new HttpReply(200, List());
        if (!request.Path.StartsWith(resolve, StringComparison.Ordinal)) return new HttpReply(404) { Headers = { ["X-Error-Code"] = "RepoNotFound", ["X-Error-Message"] = "Repository not found" } };
        if (!_files.TryGetValue(Uri.UnescapeDataString(request.Path[resolve.Length..]), out var file)) return new HttpReply(404) { Headers = { ["X-Error-Code"] = "EntryNotFound" } };
        if (!file.IsLarge)
        {
            HttpReply small = Content(request, file.Content);
            small.Headers["ETag"] = $"\"{GitHash(file.Content)}\"";
            small.Headers["X-Repo-Commit"] = Commit;
            return small;
        }
        return new HttpReply(302)
        {
            Headers =
            {
                ["Location"] = $"{Storage.Address}/{Sha256(file.Content)}",
                ["X-Linked-Etag"] = $"\"{Sha256(file.Content)}\"",
                ["X-Linked-Size"] = file.Content.Length.ToString(CultureInfo.InvariantCulture),
            },
        };
    }

    /// <summary>What the Hub says of the model.</summary>
    public string List() => new JsonObject { ["id"] = Model, ["sha"] = Commit, ["siblings"] = new JsonArray([.. _files.Select(file => Describe(file.Key, file.Value.Content, file.Value.IsLarge))]) }.ToJsonString();

    private JsonObject Describe(string path, byte[] content, bool isLarge)
    {
        JsonObject described = new() { ["rfilename"] = path };
        if (!DescribesFiles) return described;
        described["size"] = content.Length;
        described["blobId"] = GitHash(isLarge ? Encoding.UTF8.GetBytes("a pointer") : content);
        if (isLarge) described["lfs"] = new JsonObject { ["sha256"] = Sha256(content), ["size"] = content.Length, ["pointerSize"] = 134 };
        return described;
    }
}
