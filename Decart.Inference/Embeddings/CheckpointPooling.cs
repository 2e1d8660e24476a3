using System.Text.Json;
using Decart.Inference.Checkpoints;
using Decart.Inference.Models;
using Decart.Inference.Models.Quantisation;

namespace Decart.Inference.Embeddings;

/// <summary>
/// What a checkpoint says of how its embeddings are pooled. A folder of sentence-transformers lists its modules in <c>modules.json</c>, and the folder of its pooling has a
/// <c>config.json</c> that names the kind; llama.cpp's converter writes the number of a kind into GGUF files.
/// </summary>
internal static class CheckpointPooling
{
    private const string ModulesName = "modules.json", ConfigName = "config.json", PoolingFolder = "1_Pooling", ModePrefix = "pooling_mode_", ModeField = "pooling_mode";
    private const string Advice = "Give EmbeddingOptions.Pooling to pool the hidden states that there are.";

    /// <summary>The kind that a checkpoint asks for; the mean where it asks for none.</summary>
    /// <exception cref="NotSupportedException">It asks for what is not there, or its files cannot be read.</exception>
    public static EmbeddingPooling Read(TensorSource source)
    {
        try
        {
            return source switch
            {
                GgufTensors gguf => FromGguf(gguf),
                HuggingFaceFolder folder => FromFolder(folder.Path, folder.Config),
                QuantisedTensors { Folder: var folder } => FromFolder(folder.Path, folder.Config),
                _ => EmbeddingPooling.Mean,
            };
        }
        catch (ModelLoadException error)
        {
            throw new NotSupportedException($"The checkpoint does not say how its embeddings are pooled: {error.Message} {Advice}", error);
        }
    }

    private static EmbeddingPooling FromGguf(GgufTensors gguf)
    {
        GgufFields fields = new(gguf, new GgufFields(gguf, "general").OptionalText("architecture") ?? "");
        RequireCausal(gguf.Path, fields.Flag("attention.causal", fallback: true));
        return fields.OptionalInteger("pooling_type", 0, int.MaxValue) switch
        {
            null or 0 or 1 => EmbeddingPooling.Mean, // 0: none
            2 => EmbeddingPooling.Cls,
            3 => EmbeddingPooling.LastToken,
            { } other => throw Unsupported(gguf.Path, $"pooling of type {other}"),
        };
    }

    private static EmbeddingPooling FromFolder(string folder, JsonElement config)
    {
        RequireCausal(folder, new JsonFields(Path.Combine(folder, ConfigName), config).Flag("is_causal", fallback: true));
        string modules = Path.Combine(folder, ModulesName);
        if (CheckpointFile.Exists(modules)) return FindPooling(folder, modules) is { } listed ? FromConfig(folder, listed) : EmbeddingPooling.Mean;
        string usual = Path.Combine(folder, PoolingFolder, ConfigName);
        return CheckpointFile.Exists(usual) ? FromConfig(folder, usual) : EmbeddingPooling.Mean;
    }

    /// <summary>The file that describes the pooling; null where there is no such module.</summary>
    private static string? FindPooling(string folder, string modules)
    {
        string? found = null;
        foreach (JsonElement element in JsonFile.ReadArray(modules).EnumerateArray())
        {
            JsonFields module = new(modules, element);
            switch (module.OptionalText("type")?.Split('.')[^1])
            {
                case "Transformer" or "Normalize":
                    break;
                case "Pooling" when found is null:
                    string name = module.OptionalText("path") ?? "";
                    if (name is "" or "." or ".." || name.AsSpan().IndexOfAny("/\\:\0") >= 0)
                        throw new ModelLoadException(modules, "path", $"expected the name of a folder in the same folder, found '{Quoted.Value(name)}'");
                    found = Path.Combine(folder, name, ConfigName);
                    if (!CheckpointFile.Exists(found)) throw new ModelLoadException(found, null, $"expected this file, whose folder {ModulesName} lists, found none");
                    break;
                case var other:
                    throw Unsupported(folder, $"a module of type {Quoted.Value(other ?? "null")}");
            }
        }
        return found;
    }

    private static EmbeddingPooling FromConfig(string folder, string path)
    {
        JsonElement root = JsonFile.ReadObject(path);
        JsonFields fields = new(path, root);
        List<string> modes = [.. root.EnumerateObject().Where(field => field.Name.StartsWith(ModePrefix, StringComparison.Ordinal) && fields.Flag(field.Name, fallback: false)).Select(field => field.Name[ModePrefix.Length..])];
        if (fields.OptionalText(ModeField) is { } mode) modes = [mode];
        return modes switch
        {
            [] or ["mean_tokens" or "mean"] => EmbeddingPooling.Mean,
            ["lasttoken"] => EmbeddingPooling.LastToken,
            ["cls_token" or "cls"] => EmbeddingPooling.Cls,
            _ => throw Unsupported(folder, $"pooling by {Quoted.Names([.. modes])}"),
        };
    }

    private static void RequireCausal(string path, bool isCausal)
    {
        if (!isCausal) throw Unsupported(path, "attention in both directions");
    }

    private static NotSupportedException Unsupported(string path, string what) => new($"{path} asks for {what}, which is not supported for embeddings. {Advice}");
}
