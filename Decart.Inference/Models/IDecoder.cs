using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Sampling;

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

    /// <summary>
    /// For a request's prompt length and its length now, the length that its keys must be rotated for (<see cref="KvView.RotaryLength"/>); null where one
    /// rotation serves all lengths.
    /// </summary>
    Func<int, int, int>? RotaryLength => null;

    /// <summary>Runs the batch: writes the tokens' keys and values and computes the logits of <see cref="Batch.LogitRows"/>.</summary>
    void Forward(Batch batch);

    /// <summary>Copies the logits of the i-th of <see cref="Batch.LogitRows"/> of the last forward pass.</summary>
    void ReadLogits(int index, Span<float> destination);

    /// <summary>Computes logits of other rows of the last forward pass, in place of those that there are.</summary>
    /// <param name="batch">The same batch; its <see cref="Batch.LogitRows"/>, at most <see cref="MaxBatchSequences"/>, have been changed.</param>
    void ComputeLogits(Batch batch) => throw new NotSupportedException("Only the logits that a batch asks for are computed.");

    /// <summary>Copies the hidden state of a row of the last forward pass, after the final norm.</summary>
    /// <param name="row">Row of the batch.</param>
    /// <param name="destination">As long as hidden states are.</param>
    void ReadHidden(int row, Span<float> destination) => throw new NotSupportedException("Hidden states are not given.");

    /// <summary>Waits until the last forward pass is done.</summary>
    void Wait()
    {
    }

    /// <summary>Prepares sampling a request's tokens where the logits are; null when they must be read and sampled from by the caller.</summary>
    /// <param name="parameters">How to sample.</param>
    /// <param name="prompt">The request's prompt.</param>
    SequenceSampler? CreateSampler(SamplingParameters parameters, ReadOnlySpan<int> prompt) => null;

    /// <summary>
    /// Starts sampling tokens from logits of the last forward pass; the logits of those rows can no longer be read, unless
    /// their requests want log-probabilities. The next forward pass may already be
    /// started, with <see cref="Batch.AddSampled"/> for these tokens, before they are waited for.
    /// </summary>
    /// <param name="rows">At least one, in ascending order: indices of <see cref="Batch.LogitRows"/>.</param>
    SampledTokens Sample(ReadOnlySpan<SampledRow> rows) => throw new NotSupportedException("Tokens are sampled by the caller.");
}
