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

    /// <summary>The shared fixtures' quantised folders, or one case that says that they are absent.</summary>
    public static IEnumerable<TestCaseData> QuantisedCases()
    {
        string? parent = Fixtures.Folder is { } fixtures ? Path.Combine(fixtures, "quantised") : null;
        string[] folders = Directory.Exists(parent) ? Directory.GetDirectories(parent) : ["absent"];
        return folders.Order(StringComparer.Ordinal).Select(folder => new TestCaseData(folder).SetArgDisplayNames(Path.GetFileName(folder)));
    }

    public Decoder Load(IBackend backend, int maxBatchTokens, int maxBatchSequences, Func<ModelConfig, ModelConfig>? change = null)
    {
        TensorSource source = ModelLoader.Open(Folder);
        ModelConfig config = ModelLoader.ReadConfig(source);
        return Decoder.Load(source, change?.Invoke(config) ?? config, backend, maxBatchTokens, maxBatchSequences);
    }
}
