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
    private const int InitialRows = 16;

    // Arrays rather than lists: at thousands of sequences a step costs what it does for each of them.
    private int[] _tokenIds = new int[InitialRows];
    private int[] _positions = new int[InitialRows];
    private int[] _logitRows = new int[InitialRows];
    private BatchChunk[] _chunks = new BatchChunk[InitialRows];
    private int _chunkCount;

    public int TokenCount { get; private set; }

    public ReadOnlySpan<int> TokenIds => _tokenIds.AsSpan(0, TokenCount);

    public ReadOnlySpan<int> Positions => _positions.AsSpan(0, TokenCount);

    public ReadOnlySpan<BatchChunk> Chunks => _chunks.AsSpan(0, _chunkCount);

    /// <summary>The rows whose logits are wanted, ascending.</summary>
    public ReadOnlySpan<int> LogitRows => _logitRows.AsSpan(0, LogitRowCount);

    /// <summary>Number of <see cref="LogitRows"/>.</summary>
    public int LogitRowCount { get; private set; }

    public void Clear() => (TokenCount, _chunkCount, LogitRowCount) = (0, 0, 0);

    /// <summary>
    /// Appends a chunk; there must already be room for its tokens where the view says. A sequence has one chunk at most: no row may read what another writes,
    /// unless they are of one chunk.
    /// </summary>
    /// <param name="kv">Where the sequence's keys and values lie during the step.</param>
    /// <param name="tokenIds">The chunk's tokens.</param>
    /// <param name="firstPosition">Position of the first of them.</param>
    /// <param name="wantsLogits">Whether the logits after the chunk's last token are wanted.</param>
    public void Add(in KvView kv, ReadOnlySpan<int> tokenIds, int firstPosition, bool wantsLogits)
    {
        int row = AddChunk(kv, tokenIds.Length, firstPosition, wantsLogits);
        tokenIds.CopyTo(_tokenIds.AsSpan(row));
        for (int i = 0; i < tokenIds.Length; i++) _positions[row + i] = firstPosition + i;
    }

    /// <summary>Appends a chunk of one token.</summary>
    /// <param name="kv">Where the sequence's keys and values lie during the step.</param>
    /// <param name="tokenId">The token.</param>
    /// <param name="position">Its position.</param>
    /// <param name="wantsLogits">Whether the logits after it are wanted.</param>
    public void Add(in KvView kv, int tokenId, int position, bool wantsLogits)
    {
        int row = AddChunk(kv, 1, position, wantsLogits);
        _tokenIds[row] = tokenId;
        _positions[row] = position;
    }

    /// <summary>
    /// Appends the token that the latest <see cref="IDeviceSampler.Sample"/> samples from a row of the logits, which the host need not know yet. Its id in
    /// <see cref="TokenIds"/> is negative.
    /// </summary>
    /// <param name="kv">Where the sequence's keys and values lie during the step.</param>
    /// <param name="previousLogitRow">The row of the logits.</param>
    /// <param name="position">The token's position.</param>
    /// <param name="wantsLogits">Whether the logits after it are wanted.</param>
    public void AddSampled(in KvView kv, int previousLogitRow, int position, bool wantsLogits = true) =>
        Add(kv, -1 - previousLogitRow, position, wantsLogits);

    /// <summary>Asks for the logits of these rows instead of those that were asked for.</summary>
    /// <param name="rows">Rows of the batch, ascending.</param>
    public void WantLogits(ReadOnlySpan<int> rows)
    {
        rows.CopyTo(_logitRows);
        LogitRowCount = rows.Length;
    }

    /// <summary>The row of the logits that a negative token id stands for.</summary>
    public static int PreviousLogitRow(int tokenId) => -1 - tokenId;

    /// <returns>The row of its first token.</returns>
    private int AddChunk(in KvView kv, int length, int firstPosition, bool wantsLogits)
    {
        int row = TokenCount, end = row + length;
        if (end > _tokenIds.Length) MakeRoom(end);
        _chunks[_chunkCount++] = new BatchChunk(kv, row, length, firstPosition);
        if (wantsLogits) _logitRows[LogitRowCount++] = end - 1;
        TokenCount = end;
        return row;
    }

    private void MakeRoom(int rows)
    {
        rows = Math.Max(rows, 2 * _tokenIds.Length);
        Array.Resize(ref _tokenIds, rows);
        Array.Resize(ref _positions, rows);
        Array.Resize(ref _logitRows, rows);
        Array.Resize(ref _chunks, rows);
    }
}
