using System.Runtime.InteropServices;
using Decart.Inference.Memory;

namespace Decart.Inference.Kernels;

/// <summary>Consecutive tokens of one sequence within a batch: a chunk of its prompt, or the one token being decoded.</summary>
/// <param name="Kv">The sequence's keys and values; tokens before <paramref name="FirstPosition"/> are already there.</param>
/// <param name="FirstRow">Row of the chunk's first token in the batch.</param>
/// <param name="Length">Number of tokens, at least 1.</param>
/// <param name="FirstPosition">Position of the chunk's first token in its sequence.</param>
internal readonly record struct BatchChunk(KvView Kv, int FirstRow, int Length, int FirstPosition);

/// <summary>
/// What one forward pass works on: a ragged batch of any mix of prompt chunks and single tokens. Row i of every activation
/// matrix belongs to token i. Reused from step to step; the engine loop's thread owns it.
/// </summary>
internal sealed class Batch
{
    private readonly List<int> _tokenIds = [];
    private readonly List<int> _positions = [];
    private readonly List<BatchChunk> _chunks = [];
    private readonly List<int> _logitRows = [];

    public int TokenCount => _tokenIds.Count;

    public ReadOnlySpan<int> TokenIds => CollectionsMarshal.AsSpan(_tokenIds);

    public ReadOnlySpan<int> Positions => CollectionsMarshal.AsSpan(_positions);

    public ReadOnlySpan<BatchChunk> Chunks => CollectionsMarshal.AsSpan(_chunks);

    /// <summary>The rows whose logits are wanted, ascending.</summary>
    public ReadOnlySpan<int> LogitRows => CollectionsMarshal.AsSpan(_logitRows);

    /// <summary>Number of <see cref="LogitRows"/>.</summary>
    public int LogitRowCount => _logitRows.Count;

    public void Clear()
    {
        _tokenIds.Clear();
        _positions.Clear();
        _chunks.Clear();
        _logitRows.Clear();
    }

    /// <summary>
    /// Appends a chunk; there must already be room for its tokens where the view says. A sequence has one chunk at most: no row may read what another writes,
    /// unless they are of one chunk.
    /// </summary>
    /// <param name="kv">Where the sequence's keys and values lie during the step.</param>
    /// <param name="tokenIds">The chunk's tokens.</param>
    /// <param name="firstPosition">Position of the first of them.</param>
    /// <param name="wantsLogits">Whether the logits after the chunk's last token are wanted.</param>
    public void Add(KvView kv, ReadOnlySpan<int> tokenIds, int firstPosition, bool wantsLogits)
    {
        _chunks.Add(new BatchChunk(kv, TokenCount, tokenIds.Length, firstPosition));
        for (int i = 0; i < tokenIds.Length; i++)
        {
            _tokenIds.Add(tokenIds[i]);
            _positions.Add(firstPosition + i);
        }
        if (wantsLogits) _logitRows.Add(TokenCount - 1);
    }

    /// <summary>
    /// Appends the token that the latest <see cref="IKernels.Sample"/> chooses for a row of the logits, which the host need not know yet. Its id in
    /// <see cref="TokenIds"/> is negative.
    /// </summary>
    /// <param name="kv">Where the sequence's keys and values lie during the step.</param>
    /// <param name="previousLogitRow">The row of the logits.</param>
    /// <param name="position">The token's position.</param>
    /// <param name="wantsLogits">Whether the logits after it are wanted.</param>
    public void AddChosen(KvView kv, int previousLogitRow, int position, bool wantsLogits = true) => Add(kv, [-1 - previousLogitRow], position, wantsLogits);

    /// <summary>The row of the logits that a negative token id stands for.</summary>
    public static int PreviousLogitRow(int tokenId) => -1 - tokenId;
}
