using System.Text.Json;
using System.Text.RegularExpressions;

namespace Decart.Inference.Checkpoints;

/// <summary>The names of a folder's files, and what they say about a folder that is not a model, or not one that can be read.</summary>
internal sealed partial class FolderContent
{
    private const string AdapterConfig = "adapter_config.json", BaseModel = "base_model_name_or_path";

    private static readonly string[] OtherWeights = [".bin", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".npz", ".ckpt"];

    private readonly string _folder;
    private readonly string[] _names;

    private FolderContent(string folder, string[] names) => (_folder, _names) = (folder, names);

    public IReadOnlyList<string> Safetensors => EndingIn(".safetensors");

    public bool IsAdapter => _names.Contains(AdapterConfig, StringComparer.Ordinal);

    public bool HasConfig => _names.Contains("config.json", StringComparer.Ordinal);

    /// <summary>The GGUF files that a model can be opened from: of a split model the first part; no projectors of images.</summary>
    public IReadOnlyList<string> GgufModels =>
        [.. EndingIn(".gguf").Where(name => !name.Contains("mmproj", StringComparison.OrdinalIgnoreCase) && !LaterPart().IsMatch(name))];

    /// <exception cref="ModelLoadException">The folder cannot be read.</exception>
    public static FolderContent Read(string folder)
    {
        try
        {
            return new FolderContent(folder, [.. Directory.EnumerateFileSystemEntries(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelLoadException(folder, null, $"expected a readable folder: {e.Message.TrimEnd('.')}", e);
        }
    }

    /// <summary>What the folder has instead of the weights that were expected.</summary>
    public string DescribeWeights()
    {
        if (IsAdapter) return DescribeAdapter();
        string found = $"neither and {Safetensors.Count} other safetensors files";
        if (Safetensors.Count > 0) return $"{found} ({Quoted.Names(Safetensors)})";
        if (EndingIn(".gguf") is { Length: > 0 } models) return $"{found}, but GGUF files ({Quoted.Names(models)}): load one of them by its own path";
        return EndingIn(OtherWeights) is { Length: > 0 } others
            ? $"{found}, but {Quoted.Names(others)}, which is not read: convert it to safetensors, in transformers by loading the model and saving it with save_pretrained"
            : found;
    }

    /// <summary>What the folder has instead of the model that was expected.</summary>
    public string Describe()
    {
        if (IsAdapter) return DescribeAdapter();
        if (EndingIn(".gguf") is { Length: > 0 } models) return $"GGUF files ({Quoted.Names(models)}): load one of them by its own path";
        return _names.Length == 0 ? "nothing in it" : Quoted.Names(_names);
    }

    private string DescribeAdapter()
    {
        string model = JsonFile.ReadObject(Path.Combine(_folder, AdapterConfig)).TryGetProperty(BaseModel, out JsonElement name)
            && name.ValueKind == JsonValueKind.String ? $"\"{Quoted.Value(name.GetString()!)}\"" : "another model";
        return $"an adapter ({AdapterConfig}) for {model}, which is no model by itself: load that model, or merge the adapter into it first";
    }

    private string[] EndingIn(params ReadOnlySpan<string> endings)
    {
        List<string> found = [];
        foreach (string name in _names)
        {
            foreach (string ending in endings)
            {
                if (name.EndsWith(ending, StringComparison.OrdinalIgnoreCase)) found.Add(name);
            }
        }
        return [.. found];
    }

    [GeneratedRegex("-(?!00001)[0-9]{5}-of-[0-9]{5}\\.gguf$")]
    private static partial Regex LaterPart();
}
