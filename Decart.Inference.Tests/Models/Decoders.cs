using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Models;

namespace Decart.Inference.Tests.Models;

/// <summary>Decoders without a session around them.</summary>
internal static class Decoders
{
    /// <summary>Opens a checkpoint and loads its decoder, which owns it.</summary>
    public static Decoder Load(
        string path, IBackend backend, int maxBatchTokens, int maxBatchSequences, CancellationToken cancellationToken = default)
    {
        TensorSource source = ModelLoader.Open(path, cancellationToken);
        ModelConfig config;
        try
        {
            config = ModelLoader.ReadConfig(source);
        }
        catch
        {
            source.Dispose();
            throw;
        }
        return Decoder.Load(source, config, backend, maxBatchTokens, maxBatchSequences, cancellationToken);
    }

    /// <summary>A decoder with random weights in the shape that a folder's config.json describes.</summary>
    public static Decoder LoadRandom(string folder, IBackend backend, int maxBatchTokens, int maxBatchSequences, int seed, CancellationToken cancellationToken = default)
    {
        RandomTensors source = new(folder, seed);
        return Decoder.Load(source, ModelLoader.ReadConfig(source), backend, maxBatchTokens, maxBatchSequences, cancellationToken);
    }
}
