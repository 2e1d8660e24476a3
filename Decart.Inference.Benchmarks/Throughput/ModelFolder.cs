using System.Text.Json;

namespace Decart.Inference.Benchmarks.Throughput;

/// <summary>Where a model is loaded from: its own path, or a folder for a while with its <c>config.json</c> and a tokenizer that it does not bring.</summary>
internal sealed class ModelFolder : IDisposable
{
    private readonly string? _temporary;

    /// <param name="options">What is measured.</param>
    /// <exception cref="ArgumentException">The model has weights, so that no other tokenizer can be put beside it.</exception>
    public ModelFolder(ThroughputOptions options)
    {
        Path = options.Model;
        bool asksForTokenizer = options.Forms.Any(form => form != AnswerForm.Text) && !Tokenizer.FileNames.Any(name => File.Exists(System.IO.Path.Combine(options.Model, name)));
        if (options.Tokenizer is null && !(asksForTokenizer && options.RandomWeights)) return;
        if (!options.RandomWeights) throw new ArgumentException($"{options.Model} has weights: another tokenizer is for models without.", nameof(options));
        Path = _temporary = Directory.CreateTempSubdirectory("decart-tokenizer-").FullName;
        foreach (string file in Directory.EnumerateFiles(options.Model, "*.json")) Copy(file);
        if (options.Tokenizer is { } folder)
        {
            foreach (string file in Tokenizer.FileNames.Append("tokenizer_config.json").Select(name => System.IO.Path.Combine(folder, name)).Where(File.Exists)) Copy(file);
        }
        else
        {
            using JsonDocument config = JsonDocument.Parse(File.ReadAllBytes(System.IO.Path.Combine(Path, "config.json")));
            File.WriteAllText(System.IO.Path.Combine(Path, "tokenizer.json"), MadeUpTokenizer.Json(config.RootElement.GetProperty("vocab_size").GetInt32()));
        }
    }

    public string Path { get; }

    public void Dispose()
    {
        if (_temporary is not null) Directory.Delete(_temporary, recursive: true);
    }

    private void Copy(string file) => File.Copy(file, System.IO.Path.Combine(_temporary!, System.IO.Path.GetFileName(file)), overwrite: true);
}
