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
    private readonly Dictionary<string, string> _missing;
    private readonly MappedFile[] _files;

    private HuggingFaceFolder(string path, JsonElement config, JsonElement? generationConfig, Weights weights)
    {
        Path = path;
        Config = config;
        GenerationConfig = generationConfig;
        _tensors = weights.Tensors;
        _missing = weights.Missing;
        _files = [.. weights.Files.Select(table => table.File)];
    }

    public override string Path { get; }

    /// <summary>The root of config.json, an object.</summary>
    public JsonElement Config { get; }

    /// <summary>The root of generation_config.json, an object, if the folder has one.</summary>
    public JsonElement? GenerationConfig { get; }

    public override IReadOnlyCollection<string> Names => _tensors.Keys;

    protected override IReadOnlyList<MappedFile> Files => _files;

    /// <summary>Quantised folders have other tensors in the place of a weight; one whose configuration does not say so is read as any other.</summary>
    protected override string HintAt(string name)
    {
        const string Weight = ".weight";
        if (!name.EndsWith(Weight, StringComparison.Ordinal)) return "";
        string stem = name[..^Weight.Length];
        string? instead = ((string[])[$"{stem}.qweight", $"{stem}.weight_packed"]).FirstOrDefault(_tensors.ContainsKey);
        return instead is null ? "" : $", but {Quoted.Name(instead)}, which {ConfigName}'s quantization_config must describe";
    }

    /// <exception cref="ModelLoadException">The folder or one of its files is missing or damaged.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled between two files.</exception>
    public static HuggingFaceFolder Open(string path, CancellationToken cancellationToken = default)
    {
        JsonElement config = ReadConfig(path);
        JsonElement? generationConfig = ReadGenerationConfig(path);
        HuggingFaceFolder folder = new(path, config, generationConfig, OpenWeights(path, cancellationToken));
        if (folder._missing.Count > 0)
            folder.Warnings.Add($"{path}: {IndexName} lists tensors that the shards do not have: {Quoted.Names([.. folder._missing.Keys])}. They count as absent.");
        return folder;
    }

    /// <summary>config.json alone, for models without weights.</summary>
    /// <exception cref="ModelLoadException">The folder or the file is missing or damaged.</exception>
    public static JsonElement ReadConfig(string path)
    {
        if (!Directory.Exists(path))
            throw new ModelLoadException(path, null, $"expected a folder, found {(File.Exists(path) ? "a file" : "nothing at this path")}");
        string file = System.IO.Path.Combine(path, ConfigName);
        return CheckpointFile.Exists(file)
            ? JsonFile.ReadObject(file)
            : throw new ModelLoadException(file, null, $"expected a file, found nothing at this path; the folder has {FolderContent.Read(path).Describe()}");
    }

    /// <summary>generation_config.json, or <see langword="null"/> if the folder has none.</summary>
    /// <exception cref="ModelLoadException">The file is damaged.</exception>
    public static JsonElement? ReadGenerationConfig(string path)
    {
        string file = System.IO.Path.Combine(path, GenerationConfigName);
        return CheckpointFile.Exists(file) ? JsonFile.ReadObject(file) : null;
    }

    /// <summary>The files that an index lists, each once.</summary>
    /// <exception cref="ModelLoadException">The index cannot be read, or lists something else than files in its folder.</exception>
    public static IReadOnlyList<string> ShardNames(string indexPath)
    {
        string[] shards = [.. ReadIndex(indexPath).Select(entry => entry.Shard).Distinct(StringComparer.Ordinal)];
        foreach (string shard in shards) RequireFileName(indexPath, shard);
        return shards;
    }

    public override bool TryGet(string name, out StoredTensor tensor)
    {
        tensor = default;
        return _tensors.TryGetValue(name, out TensorTable? table) && table.TryGet(name, out tensor);
    }

    /// <remarks>What only the index knows is named with the shard that should have it.</remarks>
    public override StoredTensor Require(string name, params ReadOnlySpan<long> shape) =>
        _missing.TryGetValue(name, out string? shard)
            ? throw new ModelLoadException(shard, name, $"expected this tensor, which {IndexName} lists for this file, found none")
            : base.Require(name, shape);

    private static Weights OpenWeights(string folder, CancellationToken cancellationToken)
    {
        string single = System.IO.Path.Combine(folder, WeightsName), index = System.IO.Path.Combine(folder, IndexName);
        if (CheckpointFile.Exists(single)) return OpenSingle(single);
        if (CheckpointFile.Exists(index)) return OpenShards(folder, index, cancellationToken);
        FolderContent content = FolderContent.Read(folder);
        return content.Safetensors is [var only] && !content.IsAdapter
            ? OpenSingle(System.IO.Path.Combine(folder, only))
            : throw new ModelLoadException(folder, null, $"expected {WeightsName} or {IndexName}, found {content.DescribeWeights()}");
    }

    private static Weights OpenSingle(string file)
    {
        TensorTable table = SafetensorsFile.Open(file).Table;
        return new Weights([table], table.Tensors.Keys.ToDictionary(name => name, _ => table, StringComparer.Ordinal), []);
    }

    /// <summary>Opens the shards that the index lists. What they hold counts, as in transformers: what the index says beyond that is not needed, or missed later.</summary>
    private static Weights OpenShards(string folder, string indexPath, CancellationToken cancellationToken)
    {
        Dictionary<string, string> listed = new(StringComparer.Ordinal);
        Dictionary<string, TensorTable> tensors = new(StringComparer.Ordinal), shards = new(StringComparer.Ordinal);
        try
        {
            foreach ((string name, string shard) in ReadIndex(indexPath))
            {
                if (!listed.TryAdd(name, shard)) throw new ModelLoadException(indexPath, name, "expected one entry of this name, found two");
                if (shards.ContainsKey(shard)) continue;
                cancellationToken.ThrowIfCancellationRequested();
                shards[shard] = OpenShard(folder, indexPath, shard);
            }
            foreach ((string shard, TensorTable table) in shards)
            {
                foreach (string name in table.Tensors.Keys)
                {
                    if (!tensors.TryAdd(name, table) && listed.TryGetValue(name, out string? chosen) && chosen == shard) tensors[name] = table;
                }
            }
            return new Weights(
                shards.Values, tensors, listed.Where(entry => !tensors.ContainsKey(entry.Key)).ToDictionary(entry => entry.Key, entry => shards[entry.Value].File.Path));
        }
        catch
        {
            foreach (TensorTable shard in shards.Values) shard.Dispose();
            throw;
        }
    }

    private static TensorTable OpenShard(string folder, string indexPath, string shard)
    {
        RequireFileName(indexPath, shard);
        string path = System.IO.Path.Combine(folder, shard);
        return CheckpointFile.Exists(path)
            ? SafetensorsFile.Open(path).Table
            : throw new ModelLoadException(indexPath, "weight_map", $"expected the shard '{Quoted.Value(shard)}' in the folder, found no such file");
    }

    private static void RequireFileName(string indexPath, string shard)
    {
        if (shard.AsSpan().IndexOfAny("/\\:\0") >= 0 || shard is "" or "." or "..")
            throw new ModelLoadException(indexPath, "weight_map", $"expected the name of a file in the same folder, found '{Quoted.Value(shard)}'");
    }

    private static IEnumerable<(string Name, string Shard)> ReadIndex(string path)
    {
        JsonElement root = JsonFile.ReadObject(path);
        const string Expected = "expected an object of shards by tensor name, found";
        if (!root.TryGetProperty("weight_map", out JsonElement map)) throw new ModelLoadException(path, "weight_map", $"{Expected} none");
        if (map.ValueKind != JsonValueKind.Object) throw new ModelLoadException(path, "weight_map", $"{Expected} {map.ValueKind}");
        foreach (JsonProperty entry in map.EnumerateObject())
        {
            if (entry.Value.ValueKind != JsonValueKind.String)
                throw new ModelLoadException(path, $"weight_map.{Quoted.Name(entry.Name)}", $"expected a file name, found {entry.Value.ValueKind}");
            yield return (entry.Name, entry.Value.GetString()!);
        }
    }

    /// <summary>The opened files, for each tensor the one that holds it, and for each that none holds the shard that the index names.</summary>
    private sealed record Weights(IReadOnlyCollection<TensorTable> Files, Dictionary<string, TensorTable> Tensors, Dictionary<string, string> Missing);
}
