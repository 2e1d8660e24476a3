using BenchmarkDotNet.Attributes;

namespace Decart.Inference.Benchmarks;

/// <summary>
/// Time to the first token of a prompt of 2,048 tokens that earlier prompts began with and a few of its own, on the CPU: with the keys and values of
/// the 2,048 found on cached pages, and computed again. Weights are made up.
/// </summary>
public class PrefixBenchmarks
{
    private const int PrefixTokens = 2048, OwnTokens = 8, Vocabulary = 4096;

    private const string Config = """
        {
          "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 4096, "hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4,
          "num_attention_heads": 8, "num_key_value_heads": 4, "max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "hidden_act": "silu"
        }
        """;

    private static readonly GenerationOptions OneToken = new() { MaxTokens = 1, Temperature = 0, IgnoreEndOfText = true };

    private readonly int[] _prompt = new int[PrefixTokens + OwnTokens];
    private LlmSession? _session;
    private int _asked;

    [GlobalSetup(Target = nameof(Recomputed))]
    public Task SetupRecomputed() => LoadAsync(prefixCaching: false);

    [GlobalSetup(Target = nameof(Cached))]
    public async Task SetupCached()
    {
        await LoadAsync(prefixCaching: true);
        await AskAsync();
    }

    [GlobalCleanup]
    public void Cleanup() => _session?.Dispose();

    [Benchmark(Baseline = true)]
    public Task<int> Recomputed() => AskAsync();

    [Benchmark]
    public Task<int> Cached() => AskAsync();

    private async Task LoadAsync(bool prefixCaching)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("decart-");
        try
        {
            await File.WriteAllTextAsync(Path.Combine(folder.FullName, "config.json"), Config);
            _session = await LlmSession.LoadAsync(
                folder.FullName, new() { Device = Device.Cpu, RandomWeights = true, PrefixCaching = prefixCaching, MaxConcurrentSequences = 4 });
        }
        finally
        {
            folder.Delete(recursive: true);
        }
        for (int i = 0; i < PrefixTokens; i++) _prompt[i] = i * 7919 % Vocabulary;
    }

    /// <summary>Asks for the first token after the prefix and tokens that were not asked before.</summary>
    /// <returns>How many tokens were found in the cache.</returns>
    private async Task<int> AskAsync()
    {
        int question = _asked++;
        for (int i = 0; i < OwnTokens; i++)
        {
            _prompt[PrefixTokens + i] = question % Vocabulary;
            question /= Vocabulary;
        }
        GenerationResult answer = await _session!.GenerateAsync(_prompt, OneToken);
        return answer.Usage.CachedPromptTokens;
    }
}
