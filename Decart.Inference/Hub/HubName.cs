using System.Text.RegularExpressions;

namespace Decart.Inference.Hub;

/// <summary>A model's name on the Hub, and of a repository with GGUF files perhaps which of them.</summary>
/// <param name="Id"><c>org/name</c>.</param>
/// <param name="File">A file's name or a quantisation; null when none is named.</param>
internal readonly partial record struct HubName(string Id, string? File)
{
    /// <summary>Endings of files: what ends so is a path that leads nowhere, not a model's name.</summary>
    private static readonly string[] FileEndings = [Gguf, ".safetensors", ".json", ".bin", ".git"];

    private const string Gguf = ".gguf";

    /// <summary>The name that a text is, <c>org/name</c> or <c>org/name:file</c>; null if it is none.</summary>
    public static HubName? TryParse(string text)
    {
        Match match = Pattern().Match(text);
        if (!match.Success) return null;
        string id = match.Groups["id"].Value;
        if (id.Contains("--", StringComparison.Ordinal) || id.Contains("..", StringComparison.Ordinal)) return null;
        if (FileEndings.Any(ending => id.EndsWith(ending, StringComparison.OrdinalIgnoreCase))) return null;
        return new HubName(id, match.Groups["file"] is { Success: true } file ? file.Value : null);
    }

    /// <summary>Whether a text can name a GGUF file, or be the quantisation that a name ends with.</summary>
    public static bool IsFile(string text) =>
        HubListing.IsSafe(text) && !FileEndings.Any(ending => ending != Gguf && text.EndsWith(ending, StringComparison.OrdinalIgnoreCase));

    public override string ToString() => File is null ? Id : $"{Id}:{File}";

    [GeneratedRegex(@"\A(?<id>[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95})(:(?<file>[^\s:\\][^:\\\0]{0,511}))?\z", RegexOptions.ExplicitCapture)]
    private static partial Regex Pattern();
}
