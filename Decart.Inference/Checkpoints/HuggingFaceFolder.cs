using System.Text.Json;

namespace Decart.Inference.Checkpoints;

/// <summary>
/// A checkpoint in the layout of the Hugging Face Hub: <c>config.json</c>, perhaps <c>generation_config.json</c>, and the weights in
/// <c>model.safetensors</c> or in the shards that <c>model.safetensors.index.json</c> lists. Owns the mapped files.
/// </summary>
internal sealed class HuggingFaceFolder : TensorSource
{
    private const string ConfigName = "config.json";
    private const string GenerationConfigName = "generation_config.json";
    private const string WeightsName = "model.safetensors";
    private const string IndexName = "model.safetensors.index.json";

    private readonly Dictionary<string, TensorTable> _tensors;
    private readonly MappedFile[] _files;

    private HuggingFaceFolder(string path, JsonElement config, JsonElement? generationConfig, Weights weights)
    {
        Path = path;
        Config = config;
        GenerationConfig = generationConfig;
        _tensors = weights.Tensors;
        _files = [.. weights.Files.Select(table => table.File)];
    }

    public override string Path { get; }

    /// <summary>The root of config.json, an object.</summary>
    public JsonElement Config { get; }

    /// <summary>The root of generation_config.json, an object, if the folder has one.</summary>
    public JsonElement? GenerationConfig { get; }

    public override IReadOnlyCollection<string> Names => _tensors.Keys;

    protected override IReadOnlyList<MappedFile> Files => _files;

    /// <exception cref="ModelLoadException">The folder or one of its files is missing or damaged.</exception>
    public static HuggingFaceFolder Open(string path)
    {
        JsonElement config = ReadConfig(path);
        JsonElement? generationConfig = ReadGenerationConfig(path);
        return new HuggingFaceFolder(path, config, generationConfig, OpenWeights(path));
    }

    /// <summary>config.json alone, for models without weights.</summary>
    /// <exception cref="ModelLoadException">The folder or the file is missing or damaged.</exception>
    public static JsonElement ReadConfig(string path)
    {
        if (!Directory.Exists(path)) throw new ModelLoadException(path, null, File.Exists(path) ? "expected a folder, found a file" : "expected a folder, found nothing at this path");
        return JsonFile.ReadObject(System.IO.Path.Combine(path, ConfigName));
    }

    /// <summary>generation_config.json, or <see langword="null"/> if the folder has none.</summary>
    /// <exception cref="ModelLoadException">The file is damaged.</exception>
    public static JsonElement? ReadGenerationConfig(string path)
    {
        string file = System.IO.Path.Combine(path, GenerationConfigName);
        return File.Exists(file) ? JsonFile.ReadObject(file) : null;
    }

    public override bool TryGet(string name, out StoredTensor tensor)
    {
        tensor = default;
        return _tensors.TryGetValue(name, out TensorTable? table) && table.TryGet(name, out tensor);
    }

    private static Weights OpenWeights(string folder)
    {
        string single = System.IO.Path.Combine(folder, WeightsName);
        if (File.Exists(single)) return OpenSingle(single);
        string index = System.IO.Path.Combine(folder, IndexName);
        if (File.Exists(index)) return OpenShards(folder, index);
        string[] others = FindSafetensors(folder);
        return others.Length == 1
            ? OpenSingle(others[0])
            : throw new ModelLoadException(folder, null, $"expected {WeightsName} or {IndexName}, found neither and {others.Length} other safetensors files");
    }

    private static string[] FindSafetensors(string folder)
    {
        try
        {
            return Directory.GetFiles(folder, "*.safetensors");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelLoadException(folder, null, $"expected a readable folder: {e.Message.TrimEnd('.')}", e);
        }
    }

    private static Weights OpenSingle(string file)
    {
        TensorTable table = SafetensorsFile.Open(file).Table;
        return new Weights([table], table.Tensors.Keys.ToDictionary(name => name, _ => table, StringComparer.Ordinal));
    }

    private static Weights OpenShards(string folder, string indexPath)
    {
        Dictionary<string, TensorTable> tensors = new(StringComparer.Ordinal);
        Dictionary<string, TensorTable> shards = new(StringComparer.Ordinal);
        try
        {
            foreach ((string name, string shard) in ReadIndex(indexPath))
            {
                if (!shards.TryGetValue(shard, out TensorTable? table)) shards[shard] = table = OpenShard(folder, indexPath, shard);
                if (!table.Tensors.ContainsKey(name)) throw new ModelLoadException(table.File.Path, name, $"expected this tensor, which {IndexName} lists for this file, found none");
                if (!tensors.TryAdd(name, table)) throw new ModelLoadException(indexPath, name, "expected one entry of this name, found two");
            }
            return new Weights(shards.Values, tensors);
        }
        catch
        {
            foreach (TensorTable shard in shards.Values) shard.Dispose();
            throw;
        }
    }

    private static TensorTable OpenShard(string folder, string indexPath, string shard)
    {
        if (shard.AsSpan().IndexOfAny("/\\:\0") >= 0 || shard is "" or "." or "..")
            throw new ModelLoadException(indexPath, "weight_map", $"expected the name of a file in the same folder, found '{shard}'");
        string path = System.IO.Path.Combine(folder, shard);
        return File.Exists(path)
            ? SafetensorsFile.Open(path).Table
            : throw new ModelLoadException(indexPath, "weight_map", $"expected the shard '{shard}' in the folder, found no such file");
    }

    private static IEnumerable<(string Name, string Shard)> ReadIndex(string path)
    {
        JsonElement root = JsonFile.ReadObject(path);
        if (!root.TryGetProperty("weight_map", out JsonElement map) || map.ValueKind != JsonValueKind.Object)
            throw new ModelLoadException(path, "weight_map", $"expected an object of shards by tensor name, found {(map.ValueKind == JsonValueKind.Undefined ? "none" : map.ValueKind)}");
        foreach (JsonProperty entry in map.EnumerateObject())
        {
            if (entry.Value.ValueKind != JsonValueKind.String) throw new ModelLoadException(path, $"weight_map.{entry.Name}", $"expected a file name, found {entry.Value.ValueKind}");
            yield return (entry.Name, entry.Value.GetString()!);
        }
    }

    /// <summary>The opened files, and for each tensor the one that holds it.</summary>
    private sealed record Weights(IReadOnlyCollection<TensorTable> Files, Dictionary<string, TensorTable> Tensors);
}
