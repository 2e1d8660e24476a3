using System.Text.Json;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Models;

namespace Decart.Inference.Tests.Models;

/// <summary>What transformers answers for a checkpoint (reference.json beside it): prompts, the logits after each, greedy continuations.</summary>
internal sealed record ReferenceAnswers(string Folder, int[][] Prompts, float[][] LogitsLast, int[][] Greedy)
{
    public static ReferenceAnswers Read(string folder)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "reference.json")));
        JsonElement root = document.RootElement;
        return new ReferenceAnswers(
            folder,
            root.GetProperty("prompts").Deserialize<int[][]>()!,
            root.GetProperty("logits_last").Deserialize<float[][]>()!,
            root.GetProperty("greedy").Deserialize<int[][]>()!);
    }

    /// <summary>The folders of the shared fixtures and of the project's own references that hold a reference.json.</summary>
    public static IEnumerable<TestCaseData> Cases()
    {
        string? own = Fixtures.RepositoryRoot() is { } root ? Path.Combine(root, "Decart.Inference.Tests", "References") : null;
        string?[] parents = [Fixtures.Folder, own];
        return parents.Where(Directory.Exists)
            .SelectMany(parent => Directory.GetDirectories(parent!))
            .Where(folder => File.Exists(Path.Combine(folder, "reference.json")))
            .Order(StringComparer.Ordinal)
            .Select(folder => new TestCaseData(folder).SetArgDisplayNames(Path.GetFileName(folder)));
    }

    /// <summary>Loads the checkpoint as the script that answered for it saw it.</summary>
    /// <remarks>
    /// The script of the shared fixtures casts the whole module to the storage type before it widens it again, so that the inverse
    /// frequencies of the rotary embedding are rounded as well. In a checkpoint that transformers has loaded they are float32, and so
    /// they are here; the project's own references are made without that rounding.
    /// </remarks>
    public Decoder Load(IKernels kernels, int maxBatchTokens, int maxBatchSequences)
    {
        TensorSource source = ModelLoader.Open(Folder);
        ModelConfig config = ModelLoader.ReadConfig(source);
        if (Path.GetDirectoryName(Folder) == Fixtures.Folder) config = WithRoundedFrequencies(config, ((HuggingFaceFolder)source).Config);
        return Decoder.Load(source, config, kernels, maxBatchTokens, maxBatchSequences);
    }

    private static ModelConfig WithRoundedFrequencies(ModelConfig config, JsonElement json)
    {
        if (config.Rotary is not { } rotary) return config;
        Func<float, float> round = json.GetProperty("dtype").GetString() switch
        {
            "bfloat16" => RoundToBFloat16,
            "float16" => value => (float)(Half)value,
            _ => value => value,
        };
        return config with { Rotary = rotary with { FrequencyDivisors = [.. rotary.ToParameters().InverseFrequencies.Select(f => f / round(f))] } };
    }

    private static float RoundToBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000);
    }
}
