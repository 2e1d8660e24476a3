using System.Text.Json;

namespace Decart.Inference.Hub;

/// <summary>What the Hub says of a repository at one revision.</summary>
/// <param name="Commit">The commit that the revision is: 40 hexadecimal digits.</param>
/// <param name="Files">The files by name; null for those whose size and hash it does not say.</param>
internal sealed record HubListing(string Commit, IReadOnlyDictionary<string, HubFile?> Files)
{
    private const int CommitLength = 40;

    public static bool IsCommit(string revision) => revision.Length == CommitLength && revision.All(char.IsAsciiHexDigitLower);

    /// <summary>Reads what the Hub says. Names are as they came: what is done with one needs <see cref="RequireSafe"/> first.</summary>
    /// <exception cref="ModelHubException">The answer is not a description of a model.</exception>
    public static HubListing Parse(HubName name, ReadOnlyMemory<byte> json)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            string commit = document.RootElement.GetProperty("sha").GetString() ?? "";
            if (!IsCommit(commit)) throw Invalid(name, $"expected a commit of {CommitLength} hexadecimal digits as \"sha\", found \"{Checkpoints.Quoted.Value(commit)}\"");
            Dictionary<string, HubFile?> files = new(StringComparer.Ordinal);
            foreach (JsonElement file in document.RootElement.GetProperty("siblings").EnumerateArray())
            {
                string path = file.GetProperty("rfilename").GetString() ?? "";
                files[path] = ReadFile(path, file);
            }
            return new HubListing(commit, files);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw Invalid(name, $"expected a description of the model in JSON with \"sha\" and \"siblings\", found something else: {e.Message.TrimEnd('.')}", e);
        }
    }

    /// <summary>Refuses a name of a file that could lead out of its folder.</summary>
    /// <exception cref="ModelHubException">It could.</exception>
    public static void RequireSafe(HubName name, string path)
    {
        if (!IsSafe(path)) throw Invalid(name, $"expected names of files below the model's folder, found \"{Checkpoints.Quoted.Name(path)}\", which is refused");
    }

    /// <summary>Whether a name of a file or of a revision stays in its folder, on all systems.</summary>
    public static bool IsSafe(string path) => path.Split('/').All(part => part.Length > 0 && part[^1] is not ('.' or ' ') && !part.Any(IsUnsafe));

    private static bool IsUnsafe(char character) => character is '\\' or ':' or '<' or '>' or '|' or '"' or '?' or '*' || char.IsControl(character);

    private static HubFile? ReadFile(string path, JsonElement file)
    {
        bool isLarge = file.TryGetProperty("lfs", out JsonElement lfs) && lfs.ValueKind == JsonValueKind.Object;
        JsonElement described = isLarge ? lfs : file;
        return described.TryGetProperty("size", out JsonElement size) && size.ValueKind == JsonValueKind.Number && size.TryGetInt64(out long bytes) && bytes >= 0
            && described.TryGetProperty(isLarge ? "sha256" : "blobId", out JsonElement id) && id.ValueKind == JsonValueKind.String && BlobHash.TryParse(id.GetString()) is { } hash
                ? new HubFile(path, bytes, hash)
                : null;
    }

    private static ModelHubException Invalid(HubName name, string problem, Exception? cause = null) => new(ModelHubError.InvalidAnswer, name.Id, problem, cause);
}
