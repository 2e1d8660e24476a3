using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Tests.Memory;

namespace Decart.Inference.Tests.Session;

/// <summary>
/// A model whose logits are a function of the tokens so far, read back from the sequence's keys and values: a chunk that the engine leaves
/// out or gives to the wrong sequence, or a page that is not what it should be, changes the answer. Checks what the engine owes a decoder.
/// </summary>
internal sealed class FakeDecoder(int vocabularySize, Action<IReadOnlyList<int>, float[]> logits) : IDecoder
{
    /// <summary>192 bytes for a token, so that some lie on two pages.</summary>
    private static readonly KvLayout SmallLayout = new(Layers: 2, KvHeads: 1, HeadDim: 12, sizeof(int));

    public const int HiddenSize = 8;

    private readonly List<float[]> _lastLogits = [];
    private readonly List<int[]> _lastTokens = []; // for each row those up to it
    private readonly KvMarks _marks = new(new HostMemory());

    public int VocabularySize => vocabularySize;

    public int ContextLength { get; init; } = 1024;

    public KvLayout KvLayout { get; init; } = SmallLayout;

    public int MaxBatchTokens { get; init; } = 512;

    public int MaxBatchSequences { get; init; } = 32;

    /// <summary>Called at the beginning of each step, on the engine's thread.</summary>
    public Action<Batch>? OnForward { get; set; }

    /// <summary>Called when logits of further rows are asked for, on the engine's thread.</summary>
    public Action? OnComputeLogits { get; set; }

    /// <summary>Changes the hidden state that follows from the tokens.</summary>
    public Action<IReadOnlyList<int>, float[]>? Hidden { get; init; }

    /// <summary>Called when the engine waits for a step, on its thread.</summary>
    public Action? OnWait { get; set; }

    public int Steps { get; private set; }

    public int LargestBatch { get; private set; }

    public bool IsDisposed { get; private set; }

    /// <summary>The token of the script at each place of the completion; tokens are told apart from the prompt by the script's place alone.</summary>
    public static FakeDecoder Scripted(int vocabularySize, int promptLength, params int[] script) =>
        new(vocabularySize, (tokens, logits) => logits[script[(tokens.Count - promptLength) % script.Length]] = 50); // no sampling strays from so large a lead

    /// <summary>Logits that look random and depend on every token so far.</summary>
    public static FakeDecoder Hashed(int vocabularySize, int contextLength = 1024, KvLayout? layout = null) => new(vocabularySize, (tokens, logits) =>
    {
        uint hash = 2166136261;
        foreach (int token in tokens) hash = (hash ^ (uint)token) * 16777619;
        for (int i = 0; i < logits.Length; i++)
        {
            hash = hash * 1664525 + 1013904223;
            logits[i] = (hash >> 16) / 16384f;
        }
    })
    { ContextLength = contextLength, KvLayout = layout ?? SmallLayout };

    public void Forward(Batch batch)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        OnForward?.Invoke(batch);
        Assert.That(batch.TokenCount, Is.InRange(1, MaxBatchTokens));
        Assert.That(batch.LogitRows.Length, Is.LessThanOrEqualTo(MaxBatchSequences));
        Steps++;
        LargestBatch = Math.Max(LargestBatch, batch.TokenCount);
        _lastTokens.Clear();
        foreach (BatchChunk chunk in batch.Chunks)
        {
            Assert.That(chunk.FirstPosition + chunk.Length, Is.LessThanOrEqualTo(ContextLength));
            int[] tokens = Store(chunk, batch.TokenIds.Slice(chunk.FirstRow, chunk.Length));
            for (int i = 1; i <= chunk.Length; i++) _lastTokens.Add(tokens[..(chunk.FirstPosition + i)]);
        }
        FillLogits(batch);
    }

    public void ComputeLogits(Batch batch)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        OnComputeLogits?.Invoke();
        Assert.That(batch.LogitRows.Length, Is.InRange(1, MaxBatchSequences));
        Assert.That(batch.TokenCount, Is.EqualTo(_lastTokens.Count));
        FillLogits(batch);
    }

    public void ReadHidden(int row, Span<float> destination)
    {
        float[] hidden = new float[HiddenSize];
        uint hash = 7;
        foreach (int token in _lastTokens[row]) hash = (hash ^ (uint)token) * 16777619;
        for (int i = 0; i < hidden.Length; i++)
        {
            hash = hash * 1664525 + 1013904223;
            hidden[i] = (int)hash / 1e9f;
        }
        Hidden?.Invoke(_lastTokens[row], hidden);
        hidden.CopyTo(destination);
    }

    public void Wait() => OnWait?.Invoke();

    public void ReadLogits(int index, Span<float> destination) => _lastLogits[index].CopyTo(destination);

    public void Dispose() => IsDisposed = true;

    private void FillLogits(Batch batch)
    {
        _lastLogits.Clear();
        foreach (int row in batch.LogitRows)
        {
            float[] values = new float[VocabularySize];
            logits(_lastTokens[row], values);
            _lastLogits.Add(values);
        }
    }

    /// <summary>Writes the chunk's tokens and reads all that the sequence has.</summary>
    private int[] Store(BatchChunk chunk, ReadOnlySpan<int> tokens)
    {
        for (int i = 0; i < tokens.Length; i++) _marks.Write(chunk.Kv, chunk.FirstPosition + i, tokens[i]);
        int[] all = new int[chunk.FirstPosition + chunk.Length];
        for (int i = 0; i < all.Length; i++) all[i] = _marks.Read(chunk.Kv, i);
        return all;
    }
}
