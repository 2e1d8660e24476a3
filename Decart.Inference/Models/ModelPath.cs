using System.Text.RegularExpressions;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models;

/// <summary>Finds the folder or file that a caller means. If that is not certain, the exception says what to do.</summary>
internal static partial class ModelPath
{
    private const string Snapshots = "snapshots";

    /// <summary>Files that stand for the folder they are in.</summary>
    private static readonly string[] FolderFiles = ["config.json", "model.safetensors", "model.safetensors.index.json"];

    /// <exception cref="ModelLoadException">There is nothing that could be opened.</exception>
    public static string Resolve(string path)
    {
        if (Directory.Exists(path)) return ResolveFolder(path);
        return CheckpointFile.Exists(path) ? ResolveFile(path) : throw Nothing(path);
    }

    private static string ResolveFolder(string folder)
    {
        FolderContent content = FolderContent.Read(folder);
        if (content.HasConfig && (content.Safetensors.Count > 0 || content.GgufModels.Count == 0)) return folder;
        if (content.GgufModels is [var model]) return Path.Combine(folder, model);
        return !content.HasConfig && FindSnapshot(folder) is { } snapshot ? ResolveFolder(snapshot) : folder;
    }

    /// <summary>The one snapshot in a folder of the Hugging Face cache (<c>models--ORG--NAME</c>), or the one that <c>refs/main</c> names.</summary>
    private static string? FindSnapshot(string folder)
    {
        string snapshots = Path.GetFileName(Path.TrimEndingDirectorySeparator(folder)) == Snapshots ? folder : Path.Combine(folder, Snapshots);
        if (!Directory.Exists(snapshots)) return null;
        string[] all = Directory.GetDirectories(snapshots);
        string main = Path.Combine(folder, "refs", "main");
        string? chosen = all is [var only] ? only : File.Exists(main) ? all.FirstOrDefault(one => Path.GetFileName(one) == ReadReference(main)) : null;
        string found = all.Length == 0 ? "which is empty" : Quoted.Names([.. all.Select(one => Path.Combine(Snapshots, Path.GetFileName(one)))]);
        return chosen is not null && FolderContent.Read(chosen) is var content && (content.HasConfig || content.GgufModels.Count > 0)
            ? chosen
            : throw new ModelLoadException(folder, null, $"expected a model's folder, found one of the Hugging Face cache: the model is in a folder below {Snapshots} ({found})");
    }

    private static string ReadReference(string file)
    {
        const int Longest = 256;
        return System.Text.Encoding.UTF8.GetString(CheckpointFile.ReadAllBytes(file, Longest)).Trim();
    }

    private static string ResolveFile(string path)
    {
        string name = Path.GetFileName(path), folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        bool inModel = File.Exists(Path.Combine(folder, "config.json"));
        if (inModel && FolderFiles.Contains(name, StringComparer.Ordinal)) return folder;
        if (name.EndsWith(".safetensors", StringComparison.Ordinal) || name.EndsWith(".json", StringComparison.Ordinal))
        {
            string there = inModel ? "" : $", which has {FolderContent.Read(folder).Describe()}";
            throw new ModelLoadException(path, null, $"expected a folder with config.json or a GGUF file, found a file of such a folder: give its folder{there}");
        }
        return path;
    }

    private static ModelLoadException Nothing(string path)
    {
        string advice = "";
        if (path.StartsWith('~'))
        {
            string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), expanded = Path.Combine(home, path[1..].TrimStart('/', '\\'));
            advice = $"; \"~\" is a shell's name for the home folder and is not expanded here: write {Quoted.Name(expanded)}";
        }
        else if (path.StartsWith("http://", StringComparison.OrdinalIgnoreCase) || path.StartsWith("https://", StringComparison.OrdinalIgnoreCase))
        {
            advice = "; of a model on the Hugging Face Hub give the name (org/name), of others download the files and give the path";
        }
        else if (HubId().IsMatch(path))
        {
            advice = "; if this is the name of a model on the Hugging Face Hub: download it with ModelHub.DownloadAsync (a trimmed program does so by itself if its project sets DecartInferenceHub to true)";
        }
        return new ModelLoadException(path, null, $"expected a folder with config.json or a GGUF file, found nothing at this path{advice}");
    }

    [GeneratedRegex(@"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}(:[^/]+)?$")]
    private static partial Regex HubId();
}
