using Decart.Inference.Kernels;
using Decart.Inference.Memory;

namespace Decart.Inference.Models;

/// <summary>A loaded decoder-only language model: turns a ragged batch into logits. Called by one thread, the engine loop's.</summary>
internal interface IDecoder : IDisposable
{
    int VocabularySize { get; }

    /// <summary>The most tokens a sequence can hold, prompt and completion together.</summary>
    int ContextLength { get; }

    /// <summary>The most tokens in one batch.</summary>
    int MaxBatchTokens { get; }

    /// <summary>The most rows of logits asked for in one batch.</summary>
    int MaxBatchSequences { get; }

    /// <summary>How the keys and values of a sequence's tokens lie, one token after the other.</summary>
    KvLayout KvLayout { get; }

    /// <summary>Runs the batch: writes the tokens' keys and values and computes the logits of <see cref="Batch.LogitRows"/>.</summary>
    void Forward(Batch batch);

    /// <summary>Copies the logits of the i-th of <see cref="Batch.LogitRows"/> of the last forward pass.</summary>
    void ReadLogits(int index, Span<float> destination);
}
