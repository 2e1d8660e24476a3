using System.Collections.Frozen;
using System.Text.Json;
using Decart.Inference.Checkpoints;
using Decart.Inference.Models.Families;
using Decart.Inference.Models.Quantisation;

namespace Decart.Inference.Models;

/// <summary>From a path to what a decoder is loaded from: opens the checkpoint, recognises the family, reads its configuration.</summary>
internal static class ModelLoader
{
    /// <summary>The families by <c>model_type</c>.</summary>
    private static readonly FrozenDictionary<string, Func<JsonFields, ModelConfig>> HuggingFaceFamilies =
        new Dictionary<string, Func<JsonFields, ModelConfig>>
        {
            ["llama"] = Llama.ReadHuggingFace,
            ["mistral"] = Mistral.ReadHuggingFace,
            ["mixtral"] = Mixtral.ReadHuggingFace,
            ["qwen2"] = Qwen2.ReadHuggingFace,
            ["qwen3"] = Qwen3.ReadHuggingFace,
            ["qwen3_moe"] = Qwen3Moe.ReadHuggingFace,
            ["falcon"] = Falcon.ReadHuggingFace,
            ["RefinedWeb"] = Falcon.ReadHuggingFace,
            ["RefinedWebModel"] = Falcon.ReadHuggingFace,
            ["phi3"] = Phi3.ReadHuggingFace,
            ["gemma2"] = Gemma2.ReadHuggingFace,
        }.ToFrozenDictionary();

    /// <summary>The families by <c>general.architecture</c>.</summary>
    private static readonly FrozenDictionary<string, Func<GgufFields, ModelConfig>> GgufFamilies =
        new Dictionary<string, Func<GgufFields, ModelConfig>>
        {
            ["llama"] = Llama.ReadGguf,
            ["qwen2"] = Qwen2.ReadGguf,
            ["qwen3"] = Qwen3.ReadGguf,
            ["qwen3moe"] = Qwen3Moe.ReadGguf,
            ["falcon"] = Falcon.ReadGguf,
            ["phi3"] = Phi3.ReadGguf,
            ["gemma2"] = Gemma2.ReadGguf,
        }.ToFrozenDictionary();

    /// <summary>Opens a Hugging Face folder or a GGUF file; see <see cref="ModelPath"/> for what else may be named.</summary>
    /// <exception cref="ModelLoadException">There is neither, or it is damaged.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled between two files.</exception>
    public static TensorSource Open(string path, CancellationToken cancellationToken = default)
    {
        string resolved = ModelPath.Resolve(path);
        return Directory.Exists(resolved) ? QuantisedTensors.Wrap(HuggingFaceFolder.Open(resolved, cancellationToken)) : GgufTensors.Open(resolved, cancellationToken);
    }

    /// <summary>Reads and checks the configuration of an opened checkpoint.</summary>
    /// <exception cref="ModelLoadException">The architecture is not supported, or a field is missing or wrong.</exception>
    /// <remarks>What is passed over is added to the source's <see cref="TensorSource.Warnings"/>.</remarks>
    public static ModelConfig ReadConfig(TensorSource source)
    {
        ModelConfig config = source switch
        {
            HuggingFaceFolder folder => ReadFolder(folder, source.Warnings),
            QuantisedTensors quantised => ReadFolder(quantised.Folder, source.Warnings),
            GgufTensors tensors => ReadGguf(tensors),
            RandomTensors random => ReadRandom(random.Path, source.Warnings),
            _ => throw new ArgumentException($"{source.GetType().Name} has no configuration.", nameof(source)),
        };
        CheckpointChecks.Warn(source, config);
        return config;
    }

    /// <summary>Reads the configuration of a Hugging Face folder from its parsed files.</summary>
    /// <exception cref="ModelLoadException">The architecture is not supported, or a field is missing or wrong.</exception>
    public static ModelConfig ReadHuggingFace(string folder, JsonElement config, JsonElement? generationConfig, ICollection<string>? warnings = null)
    {
        JsonFields fields = new(Path.Combine(folder, "config.json"), config, warnings: warnings);
        string type = fields.OptionalText("model_type") ?? throw fields.Missing("model_type", Supported(HuggingFaceFamilies.Keys));
        if (!HuggingFaceFamilies.TryGetValue(type, out Func<JsonFields, ModelConfig>? read))
        {
            throw fields.Wrong("model_type", Supported(HuggingFaceFamilies.Keys), type);
        }
        ModelConfig model = read(fields);
        return generationConfig is { } element ? WithGeneration(model, new JsonFields(Path.Combine(folder, "generation_config.json"), element, warnings: warnings)) : model;
    }

    private static ModelConfig ReadFolder(HuggingFaceFolder folder, ICollection<string> warnings) =>
        WithStoredNames(ReadHuggingFace(folder.Path, folder.Config, folder.GenerationConfig, warnings), folder);

    private static ModelConfig ReadRandom(string folder, List<string> warnings)
    {
        JsonElement config = HuggingFaceFolder.ReadConfig(folder);
        if (config.TryGetProperty("quantization_config", out _)) warnings.Add($"{folder}: random weights are of the format that is asked for, whatever quantization_config says.");
        return ReadHuggingFace(folder, config, HuggingFaceFolder.ReadGenerationConfig(folder), warnings);
    }

    private static ModelConfig WithStoredNames(ModelConfig config, HuggingFaceFolder folder)
    {
        WeightNames names = config.Names.AsStoredIn(folder);
        bool savedWithoutHead = names.Embedding != config.Names.Embedding;
        return config with { Names = names, HasOutput = config.TiedEmbeddings || !savedWithoutHead || folder.Names.Contains(names.Output + ".weight") };
    }

    private static ModelConfig ReadGguf(GgufTensors tensors)
    {
        GgufFields general = new(tensors, "general");
        string architecture = general.OptionalText("architecture") ?? throw general.Missing("architecture", Supported(GgufFamilies.Keys));
        return GgufFamilies.TryGetValue(architecture, out Func<GgufFields, ModelConfig>? read)
            ? read(new GgufFields(tensors, architecture))
            : throw general.Wrong("architecture", Supported(GgufFamilies.Keys), architecture);
    }

    private static ModelConfig WithGeneration(ModelConfig config, JsonFields fields) => config with
    {
        EosTokenIds = fields.TokenIds("eos_token_id", config.VocabularySize) is { IsEmpty: false } ids ? ids : config.EosTokenIds,
        Generation = new GenerationOptions
        {
            Temperature = fields.RecommendedFlag("do_sample") == false ? 0 : (float?)fields.Recommended("temperature", 0, GenerationOptions.MaxTemperature),
            TopK = (int?)fields.Recommended("top_k", 0, int.MaxValue),
            TopP = (float?)fields.Recommended("top_p", float.Epsilon, 1),
            MinP = (float?)fields.Recommended("min_p", 0, 1),
            RepetitionPenalty = (float?)fields.Recommended("repetition_penalty", GenerationOptions.MinRepetitionPenalty, GenerationOptions.MaxRepetitionPenalty),
        },
    };

    private static string Supported(IEnumerable<string> names) => "one of " + string.Join(", ", names.Order(StringComparer.Ordinal));
}
