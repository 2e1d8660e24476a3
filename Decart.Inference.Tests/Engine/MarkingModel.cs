using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Tests.Memory;

namespace Decart.Inference.Tests.Engine;

/// <summary>
/// A model whose next token follows from the marks that it has left for all tokens before. A step is computed when somebody waits for it, as late as a device
/// may, and then finds what is still there.
/// </summary>
/// <param name="layout">The layout of a token.</param>
/// <param name="marks">Writes and reads them.</param>
/// <param name="geometry">How tokens lie on pages.</param>
/// <param name="recorded">What is mapped; null with a page table.</param>
/// <param name="maxSequences">The most rows of logits.</param>
/// <param name="random">Decides which steps fail.</param>
/// <param name="failing">The share of steps that cannot be started.</param>
internal sealed class MarkingModel(
    KvLayout layout, KvMarks marks, PageGeometry geometry, RecordedVirtualMemory? recorded, int maxSequences, Random random, double failing) : IDecoder
{
    public const int Context = 240;

    /// <summary>The message of the error of a step that cannot be started.</summary>
    public const string Injected = "injected";

    private readonly Queue<Action> _started = [];
    private readonly List<uint> _rowHashes = []; // for each row of the step computed last, over the tokens up to it
    private readonly List<uint> _hashes = []; // for each row of its logits

    public int VocabularySize => 4;

    public int ContextLength => Context;

    public KvLayout KvLayout => layout;

    public int MaxBatchTokens => 48;

    public int MaxBatchSequences => maxSequences;

    public int Steps { get; private set; }

    /// <summary>Steps that were started before the one before them was waited for.</summary>
    public int Overlapping { get; private set; }

    /// <summary>The token that follows others: what every answer is checked against.</summary>
    public static int Next(uint hash) => (int)((hash & 0xFFFF) % 5);

    public static uint Hash(uint hash, int token) => (hash ^ (uint)token) * 16777619 + 40503;

    public void Forward(Batch batch)
    {
        Steps++;
        if (random.NextDouble() < failing) throw new InvalidOperationException(Injected);
        if (_started.Count > 0) Overlapping++;
        BatchChunk[] chunks = [.. batch.Chunks];
        int[] tokens = [.. batch.TokenIds], logitRows = [.. batch.LogitRows];
        _started.Enqueue(() => Compute(chunks, tokens, logitRows));
    }

    public void ReadLogits(int index, Span<float> destination)
    {
        Wait();
        destination[0] = _hashes[index] & 0xFFFF;
    }

    public void ComputeLogits(Batch batch)
    {
        Wait();
        Assert.That(batch.LogitRows.Length, Is.InRange(1, MaxBatchSequences));
        _hashes.Clear();
        foreach (int row in batch.LogitRows) _hashes.Add(_rowHashes[row]);
    }

    public void ReadHidden(int row, Span<float> destination)
    {
        Wait();
        destination[0] = _rowHashes[row] & 0xFFFF;
    }

    public void Wait()
    {
        while (_started.TryDequeue(out Action? step)) step();
    }

    public SampledTokens Sample(ReadOnlySpan<SampledRow> rows)
    {
        Tokens tokens = new(this);
        int[] sampled = new int[rows.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            sampled[i] = rows[i].LogitRow;
            ((Sampler)rows[i].Sampler).Next(rows[i].Index);
        }
        _started.Enqueue(() => tokens.Sampled = [.. _hashes.Select((hash, row) => sampled.Contains(row) ? Next(hash) : int.MinValue)]);
        return tokens;
    }

    public void Dispose()
    {
    }

    private void Compute(BatchChunk[] chunks, int[] tokens, int[] logitRows)
    {
        uint[] before = [.. _hashes];
        _hashes.Clear();
        _rowHashes.Clear();
        foreach (BatchChunk chunk in chunks)
        {
            if (recorded is not null) CheckMapped(chunk);
            for (int i = 0; i < chunk.Length; i++)
            {
                int token = tokens[chunk.FirstRow + i];
                marks.Write(chunk.Kv, chunk.FirstPosition + i, token >= 0 ? token : Next(before[Batch.PreviousLogitRow(token)]));
            }
            uint hash = 17;
            for (int i = 0; i < chunk.FirstPosition + chunk.Length; i++)
            {
                hash = Hash(hash, marks.Read(chunk.Kv, i));
                if (i >= chunk.FirstPosition) _rowHashes.Add(hash);
            }
            if (logitRows.Contains(chunk.FirstRow + chunk.Length - 1)) _hashes.Add(hash);
        }
    }

    /// <summary>What a step in flight reads and writes must not have been taken away since it was started.</summary>
    private void CheckMapped(BatchChunk chunk)
    {
        int pages = geometry.PagesFor(chunk.FirstPosition + chunk.Length);
        for (int i = 0; i < pages; i++)
        {
            if (!recorded!.Mapped.ContainsKey(chunk.Kv.Address + (nint)(i * geometry.PageBytes))) throw new InvalidOperationException("a page that a step uses is not there");
        }
    }

    /// <summary>Must be given every token of a completion, each once.</summary>
    public sealed class Sampler : SequenceSampler
    {
        private int _next;

        public bool IsDisposed { get; private set; }

        public void Next(int index) => Assert.That((index, IsDisposed), Is.EqualTo((_next++, false)));

        public override void Dispose() => IsDisposed = true;
    }

    private sealed class Tokens(MarkingModel device) : SampledTokens
    {
        public int[]? Sampled { get; set; }

        public override ReadOnlySpan<int> Wait()
        {
            while (Sampled is null) device._started.Dequeue()();
            return Sampled;
        }
    }
}
