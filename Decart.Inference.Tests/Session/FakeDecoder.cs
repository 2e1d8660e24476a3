using Decart.Inference.Engine;
using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Models;

namespace Decart.Inference.Tests.Session;

/// <summary>
/// A model whose logits are a function of the tokens so far, read back from the sequence's own range: a chunk that the engine computes
/// twice, leaves out or gives to the wrong sequence changes the answer. Checks what the engine owes a decoder.
/// </summary>
internal sealed class FakeDecoder(int vocabularySize, Action<IReadOnlyList<int>, float[]> logits) : IDecoder, IPlainKvObserver
{
    private readonly List<float[]> _lastLogits = [];
    private int _liveRanges;

    public int VocabularySize => vocabularySize;

    public int ContextLength { get; init; } = 1024;

    /// <summary>A token's key is its id.</summary>
    public KvLayout KvLayout => new(1, 1, 1, sizeof(int));

    public int MaxBatchTokens { get; init; } = 512;

    public int MaxBatchSequences { get; init; } = 32;

    /// <summary>Called at the beginning of each step, on the engine's thread.</summary>
    public Action<Batch>? OnForward { get; set; }

    /// <summary>Called when a range is created, with the tokens asked for.</summary>
    public Action<int>? OnCreateKvRange { get; set; }

    /// <summary>Called when a range is being freed, on the engine's thread.</summary>
    public Action? OnDisposeKvRange { get; set; }

    public int LiveRanges => Volatile.Read(ref _liveRanges);

    public int Steps { get; private set; }

    public int LargestBatch { get; private set; }

    public bool IsDisposed { get; private set; }

    /// <summary>The token of the script at each place of the completion; tokens are told apart from the prompt by the script's place alone.</summary>
    public static FakeDecoder Scripted(int vocabularySize, int promptLength, params int[] script) =>
        new(vocabularySize, (tokens, logits) => logits[script[(tokens.Count - promptLength) % script.Length]] = 50); // no sampling strays from so large a lead

    /// <summary>Logits that look random and depend on every token so far.</summary>
    public static FakeDecoder Hashed(int vocabularySize) => new(vocabularySize, (tokens, logits) =>
    {
        uint hash = 2166136261;
        foreach (int token in tokens) hash = (hash ^ (uint)token) * 16777619;
        for (int i = 0; i < logits.Length; i++)
        {
            hash = hash * 1664525 + 1013904223;
            logits[i] = (hash >> 16) / 16384f;
        }
    });

    public void Forward(Batch batch)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        OnForward?.Invoke(batch);
        Assert.That(batch.TokenCount, Is.InRange(1, MaxBatchTokens));
        Assert.That(batch.LogitRows.Length, Is.LessThanOrEqualTo(MaxBatchSequences));
        Steps++;
        LargestBatch = Math.Max(LargestBatch, batch.TokenCount);
        _lastLogits.Clear();
        foreach (BatchChunk chunk in batch.Chunks)
        {
            Assert.That(chunk.FirstPosition + chunk.Length, Is.LessThanOrEqualTo(ContextLength));
            int[] tokens = Store(chunk, batch.TokenIds.Slice(chunk.FirstRow, chunk.Length));
            if (!batch.LogitRows.Contains(chunk.FirstRow + chunk.Length - 1)) continue;
            float[] row = new float[VocabularySize];
            logits(tokens, row);
            _lastLogits.Add(row);
        }
    }

    public void ReadLogits(int index, Span<float> destination) => _lastLogits[index].CopyTo(destination);

    public void Dispose()
    {
        Assert.That(LiveRanges, Is.Zero, "ranges are freed before the decoder");
        IsDisposed = true;
    }

    /// <summary>Writes the chunk's tokens and reads all that the sequence has.</summary>
    private static unsafe int[] Store(BatchChunk chunk, ReadOnlySpan<int> tokens)
    {
        int* keys = (int*)chunk.Kv.Address;
        for (int i = 0; i < tokens.Length; i++) keys[(chunk.FirstPosition + i) * chunk.Kv.TokenStride] = tokens[i];
        int[] all = new int[chunk.FirstPosition + chunk.Length];
        for (int i = 0; i < all.Length; i++) all[i] = keys[i * chunk.Kv.TokenStride];
        return all;
    }

    void IPlainKvObserver.Created(int tokens)
    {
        OnCreateKvRange?.Invoke(tokens);
        Interlocked.Increment(ref _liveRanges);
    }

    void IPlainKvObserver.Freed()
    {
        try
        {
            OnDisposeKvRange?.Invoke();
        }
        finally
        {
            Interlocked.Decrement(ref _liveRanges);
        }
    }
}
