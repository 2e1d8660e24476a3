using System.Collections.Frozen;
using System.Diagnostics;
using Decart.Inference.Chat;
using Decart.Inference.Checkpoints;
using Decart.Inference.Embeddings;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.TensorParallel;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Models.Quantisation;
using Decart.Inference.Tokenization;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Loading;

/// <summary>Loads all that a session needs. If loading fails, whatever has been opened is closed again.</summary>
internal static class SessionLoader
{
    /// <param name="name">What the caller calls the model.</param>
    /// <param name="path">The folder or file.</param>
    /// <param name="options">How to compute.</param>
    /// <param name="progress">Receives progress reports.</param>
    /// <param name="cancellationToken">Cancels loading.</param>
    /// <exception cref="ModelLoadException">The checkpoint or its tokenizer cannot be loaded.</exception>
    /// <exception cref="NotSupportedException">The device cannot be used by this build.</exception>
    public static LoadedModel Load(string name, string path, LlmSessionOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        ILogger logger = options.LoggerFactory?.CreateLogger<LlmSession>() ?? NullLogger<LlmSession>.Instance;
        progress?.Report(new LoadProgress("Opening the checkpoint", 0, 0));
        TensorSource source = options.RandomWeights ? new RandomTensors(path, seed: 0) : ModelLoader.Open(path, cancellationToken);
        TensorSource weights = source;
        IBackend? backend = null;
        Decoder? decoder = null;
        try
        {
            ModelConfig config = ModelLoader.ReadConfig(source);
            if (options.Quantize is { } format) weights = Quantise(source, new WeightTypes(format, config));
            foreach (string warning in source.Warnings) logger.CheckpointWarning(warning);
            foreach (string note in source.Notes) logger.CheckpointNote(note);
            cancellationToken.ThrowIfCancellationRequested();
            progress?.Report(new LoadProgress("Loading the tokenizer", 0, 0));
            ITokenizer? tokenizer = LoadTokenizer(source, config, logger);
            Lazy<ChatTemplate?> chatTemplate = LoadChatTemplate(source, tokenizer, logger);
            cancellationToken.ThrowIfCancellationRequested();
            progress?.Report(new LoadProgress("Opening the device", 0, 0));
            ModelNeed need = ModelNeed.Of(weights, config);
            DeviceChoice choice = DeviceChoice.Open(options, logger, model: need);
            backend = choice.Backend;
            progress?.Report(new LoadProgress("Preparing the weights", 0, 0));
            decoder = LoadDecoder(weights, config, need, choice, options, logger, cancellationToken);
            // Last, so that what is wrong with a checkpoint of many gigabytes is said before they are read.
            if (backend.Tensors.ReadsWeightsInPlace) weights.Prefetch(progress, cancellationToken);
            cancellationToken.ThrowIfCancellationRequested();
            progress?.Report(new LoadProgress("Making room for keys and values", 0, 0));
            KvMemory kv = KvMemoryPlan
                .For(backend.Memory, decoder.KvLayout, decoder.ContextLength, options.MaxConcurrentSequences, options.KvCacheBytes, options.Paging)
                .Create(backend.Memory, options.PrefixCaching, logger);
            return new LoadedModel(decoder, kv, tokenizer, Describe(name, config, choice.Device), config.Generation, EndOfText(config, tokenizer), backend)
            {
                ChatTemplate = chatTemplate,
                HasOutput = config.HasOutput,
                Pooling = new(() => CheckpointPooling.Read(source)),
            };
        }
        catch
        {
            decoder?.Dispose();
            weights.Dispose();
            backend?.Dispose();
            throw;
        }
    }

    /// <summary>The weights in another format. They own the checkpoint.</summary>
    /// <exception cref="ModelLoadException">They are quantised already.</exception>
    private static TensorSource Quantise(TensorSource source, WeightTypes types)
    {
        switch (source)
        {
            case RandomTensors random:
                random.Types = types;
                return random;
            case QuantisedTensors:
                throw new ModelLoadException(source.Path, "quantization_config", $"expected weights of 16 or 32 bits to quantise to {types.Format}, found weights that are quantised already");
            default:
                return new RoundedTensors(source, types);
        }
    }

    /// <summary>The fewest rows of logits that are computed at once, where prompts are scored; steps of so many tokens permitting.</summary>
    private const int LogitRows = 32;

    private static Decoder LoadDecoder(
        TensorSource source, ModelConfig config, ModelNeed need, DeviceChoice choice, LlmSessionOptions options, ILogger logger, CancellationToken cancellationToken)
    {
        string free = DescribeFree(choice.Backend);
        if (choice.Backend.Tensors.ReadsWeightsInPlace)
        {
            try
            {
                return Load();
            }
            catch (OutOfMemoryException error) when (error is not InsufficientMemoryException)
            {
                throw new InsufficientMemoryException($"What is computed in steps of {options.TokensPerStep} tokens (MaxBatchTokens) does not fit into memory; {free}.", error);
            }
        }

        long stored = source.TotalBytes, needed = need.BytesWhere(choice.PacksWeights), start = Stopwatch.GetTimestamp();
        try
        {
            Decoder decoder = Load();
            TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
            if (stored > 0) logger.WeightsSent(stored, choice.Device, elapsed, stored / 1e9 / elapsed.TotalSeconds);
            return decoder;
        }
        catch (OutOfMemoryException error)
        {
            throw new InsufficientMemoryException(
                $"The model does not fit into the memory of {choice.Device}: its weights need about {needed} bytes there, and steps of {options.TokensPerStep} tokens come on top; {free}. {error.Message}",
                error);
        }

        Decoder Load() => Decoder.Load(source, config, choice.Backend, options.TokensPerStep, Math.Max(options.MaxConcurrentSequences, Math.Min(LogitRows, options.TokensPerStep)), cancellationToken);
    }

    /// <summary>How many bytes are free, on each of several devices.</summary>
    internal static string DescribeFree(IBackend backend)
    {
        if (backend is not ParallelBackend parallel) return $"{backend.Memory.MeasureFree()} bytes were free";
        string[] devices = [.. parallel.Ranks.Zip(parallel.Names, (rank, name) => $"{rank.Memory.MeasureFree()} on {name}")];
        return $"each of {devices.Length} devices takes a part; bytes were free: {string.Join(", ", devices)}";
    }

    /// <summary>The checkpoint's tokenizer, or null if it has none.</summary>
    private static ITokenizer? LoadTokenizer(TensorSource source, ModelConfig config, ILogger logger)
    {
        ITokenizer? tokenizer = source switch
        {
            GgufTensors gguf => gguf.File.Metadata.ContainsKey("tokenizer.ggml.model") ? Tokenizer.FromGguf(gguf.File) : null,
            _ => Tokenizer.FileNames.Any(name => CheckpointFile.Exists(Path.Combine(source.Path, name))) ? Tokenizer.Load(source.Path) : null,
        };
        if (tokenizer is null) logger.NoTokenizer(source.Path, Tokenizer.UnreadFiles(source.Path) ?? "none");
        foreach (string warning in (tokenizer as TextTokenizer)?.Warnings ?? []) logger.TokenizerWarning(warning);
        if (tokenizer?.VocabularySize > config.VocabularySize) logger.TokensBeyondModel(source.Path, tokenizer.VocabularySize - 1, config.VocabularySize - 1);
        return tokenizer;
    }

    /// <summary>The checkpoint's chat template. One that cannot be read fails those who ask for it: the model still completes texts.</summary>
    private static Lazy<ChatTemplate?> LoadChatTemplate(TensorSource source, ITokenizer? tokenizer, ILogger logger)
    {
        Lazy<ChatTemplate?> template = new(() => source switch
        {
            GgufTensors gguf => ChatTemplateLoader.FromGguf(gguf.File, tokenizer),
            _ when Directory.Exists(source.Path) => ChatTemplateLoader.FromFolder(source.Path, tokenizer is null ? null : new Lazy<ITokenizer>(tokenizer)),
            _ => null,
        });
        try
        {
            if (template.Value is { Source: ChatTemplateSource.Family } family) logger.FamilyTemplate(source.Path, family.Origin);
        }
        catch (ChatTemplateException error)
        {
            logger.UnreadableTemplate(source.Path, error.Message);
        }
        return template;
    }

    private static ModelInfo Describe(string name, ModelConfig config, Device device) => new()
    {
        Source = name,
        Architecture = config.Architecture,
        VocabularySize = config.VocabularySize,
        HiddenSize = config.HiddenSize,
        ContextLength = config.ContextLength,
        Device = device,
    };

    private static FrozenSet<int> EndOfText(ModelConfig config, ITokenizer? tokenizer) => [.. config.EosTokenIds, .. tokenizer?.EosTokenIds ?? []];
}
