using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models;

/// <summary>Warns of parts of a checkpoint that its configuration leaves unused: allowed, but rarely intended.</summary>
internal static class CheckpointChecks
{
    /// <summary>Bytes at each end of two matrices that are compared: enough to tell trained matrices apart without reading them.</summary>
    private const long Compared = 4096;

    public static void Warn(TensorSource source, ModelConfig config)
    {
        string next = config.Names.InLayer(config.Layers, "");
        if (source.Names.Any(name => name.StartsWith(next, StringComparison.Ordinal)))
        {
            source.Warnings.Add(
                $"{source.Path}: the configuration has {config.Layers} layers, the weights have more ({next}*): those are not used.");
        }
        if (!config.HasOutput)
            source.Warnings.Add($"{source.Path}: the weights have no {config.Names.Output}.weight, they were saved without their head: texts can be embedded, not generated or scored.");
        if (config.TiedEmbeddings && source.TryGet(config.Names.Output + ".weight", out StoredTensor output)
            && source.TryGet(config.Names.Embedding + ".weight", out StoredTensor embedding) && !AreAlike(output, embedding))
        {
            source.Warnings.Add(
                $"{source.Path}: the configuration ties the output to the embeddings, but the weights have another {config.Names.Output}.weight: that is not used.");
        }
    }

    private static unsafe bool AreAlike(StoredTensor a, StoredTensor b)
    {
        if (a.Type != b.Type || !a.Shape.AsSpan().SequenceEqual(b.Shape.AsSpan())) return false;
        long bytes = a.Rows * a.RowBytes, length = Math.Min(bytes, Compared), last = bytes - length;
        return new ReadOnlySpan<byte>(a.Pointer, (int)length).SequenceEqual(new ReadOnlySpan<byte>(b.Pointer, (int)length))
            && new ReadOnlySpan<byte>(a.Pointer + last, (int)length).SequenceEqual(new ReadOnlySpan<byte>(b.Pointer + last, (int)length));
    }
}
