using System.Runtime.InteropServices;
using Decart.Inference.Kernels;
using Decart.Inference.Models;

namespace Decart.Inference.Engine;

/// <summary>
/// What a step has computed of the tokens of one sequence, until the next step is launched. The logits of all tokens whose sequences read them are computed in
/// groups when they are asked for, so that they need no more memory than the logits of a step. Used by the engine loop's thread.
/// </summary>
/// <param name="decoder">The model.</param>
internal sealed class ComputedRows(IDecoder decoder)
{
    private readonly List<int> _wanted = []; // rows of the batch
    private float[]? _logits; // once logits are read
    private Batch? _batch;
    private BatchChunk _chunk;
    private int _nextWanted, _group, _groupRows; // the group begins at that index of the wanted rows

    /// <summary>Position of the first token in its sequence.</summary>
    public int FirstPosition => _chunk.FirstPosition;

    /// <summary>Position after the last token.</summary>
    public int EndPosition => _chunk.FirstPosition + _chunk.Length;

    /// <summary>Begins with a step that has been computed, whose own logits are no longer needed.</summary>
    public void Begin(EngineStep step)
    {
        _batch = step.Batch;
        _wanted.Clear();
        (_nextWanted, _group, _groupRows) = (0, 0, 0);
        for (int i = 0; i < step.Chunks.Length; i++)
        {
            if (step.Chunks[i].Sequence.Rows != RowOutput.Logits) continue;
            BatchChunk chunk = _batch.Chunks[i];
            for (int row = 0; row < chunk.Length; row++) _wanted.Add(chunk.FirstRow + row);
        }
    }

    /// <summary>Goes on to a chunk of the step, in order.</summary>
    public void Select(int chunk) => _chunk = _batch!.Chunks[chunk];

    /// <summary>Copies the hidden state of the token at a position, after the final norm.</summary>
    public void ReadHidden(int position, Span<float> destination) => decoder.ReadHidden(Row(position), destination);

    /// <summary>The logits after the token at a position, greater than the one that was asked for before; valid until the next call.</summary>
    public ReadOnlySpan<float> Logits(int position)
    {
        int row = Row(position);
        while (_wanted[_nextWanted] < row) _nextWanted++;
        if (_nextWanted >= _group + _groupRows) ComputeGroup();
        _logits ??= new float[decoder.VocabularySize];
        decoder.ReadLogits(_nextWanted - _group, _logits);
        return _logits;
    }

    private int Row(int position) => _chunk.FirstRow + position - _chunk.FirstPosition;

    private void ComputeGroup()
    {
        int rows = Math.Min(decoder.MaxBatchSequences, _wanted.Count - _nextWanted);
        _groupRows = 0;
        _batch!.WantLogits(CollectionsMarshal.AsSpan(_wanted).Slice(_nextWanted, rows));
        decoder.ComputeLogits(_batch);
        (_group, _groupRows) = (_nextWanted, rows);
    }
}
