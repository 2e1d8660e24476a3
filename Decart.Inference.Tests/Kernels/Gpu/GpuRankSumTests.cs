using System.Runtime.InteropServices;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Kernels.TensorParallel;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>Sums over several GPUs.</summary>
[TestFixtureSource(typeof(ParallelDevices), nameof(ParallelDevices.Gpus))]
[CancelAfter(120_000)]
internal sealed class GpuRankSumTests(string kind, int count)
{
    private ParallelBackend _backend = null!;

    [OneTimeSetUp]
    public void Open() => _backend = (ParallelBackend)ParallelDevices.Create(kind, count);

    [OneTimeTearDown]
    public void Close() => _backend?.Dispose();

    /// <summary>The last two of one shot are many rows; the last has more pieces than groups.</summary>
    [TestCase(1, 8, false)]
    [TestCase(3, 100, false)]
    [TestCase(5, 128, false)]
    [TestCase(97, 250, false)]
    [TestCase(393, 250, false)]
    [TestCase(1, 8, true)]
    [TestCase(3, 100, true)]
    [TestCase(393, 250, true)]
    public void Every_rank_has_the_sum_in_the_order_of_the_ranks(int rows, int columns, bool twoShot)
    {
        ((GpuRankExchange)_backend.Exchange).TwoShotSums = twoShot;
        if (kind == "cuda") rows *= 48; // groups are larger there
        using ParallelActivations partial = Create(rows, columns), sum = Create(rows, columns);
        float[][] parts = [.. Enumerable.Range(0, count).Select(rank => Values(rows * columns, seed: rank))];
        float[] expected = Values(rows * columns, seed: 100);
        for (int rank = 0; rank < count; rank++)
        {
            Send(partial, rank, parts[rank]);
            Send(sum, rank, expected);
        }
        _backend.BeginStep(Tokens(rows));
        // The same twice, and once more without what was there: slots take turns, counters go on.
        for (int i = 0; i < 3; i++)
        {
            bool accumulate = i < 2;
            _backend.Run(() => _backend.Exchange.Sum(RankTeam.Current, partial[RankTeam.Current], sum[RankTeam.Current], accumulate));
            for (int element = 0; element < expected.Length; element++)
                expected[element] = (accumulate ? expected[element] : 0) + parts.Aggregate(0f, (total, part) => total + (float)(Half)part[element]);
        }
        _backend.Wait();
        for (int rank = 0; rank < count; rank++) Assert.That(Receive(sum, rank), Is.EqualTo(expected), $"rank {rank}");
    }

    /// <summary>Both count how often they have met others, and leave what they send in the same slots.</summary>
    [Test]
    public void Sums_of_one_and_of_two_shots_may_follow_each_other()
    {
        int rows = kind == "cuda" ? 300 : 97;
        const int Columns = 250;
        using ParallelActivations partial = Create(rows, Columns), sum = Create(rows, Columns);
        float[][] parts = [.. Enumerable.Range(0, count).Select(rank => Values(rows * Columns, seed: rank))];
        float[] expected = Values(rows * Columns, seed: 100);
        for (int rank = 0; rank < count; rank++)
        {
            Send(partial, rank, parts[rank]);
            Send(sum, rank, expected);
        }
        _backend.BeginStep(Tokens(rows));
        foreach (bool twoShot in (bool[])[true, false, true, true, false, false, true])
        {
            _backend.Run(() =>
            {
                ((GpuRankExchange)_backend.Exchange).TwoShotSums = twoShot; // the same for all ranks
                _backend.Exchange.Sum(RankTeam.Current, partial[RankTeam.Current], sum[RankTeam.Current], accumulate: true);
            });
            for (int element = 0; element < expected.Length; element++) expected[element] += parts.Aggregate(0f, (total, part) => total + (float)(Half)part[element]);
        }
        _backend.Wait();
        for (int rank = 0; rank < count; rank++) Assert.That(Receive(sum, rank), Is.EqualTo(expected), $"rank {rank}");
    }

    /// <summary>One shot writes R - 1 times what is summed, two shots 3 (R - 1) / R times.</summary>
    [TestCase(2, 1 << 20, false)]
    [TestCase(3, 1 << 20, false)]
    [TestCase(4, 1 << 20, false)]
    [TestCase(8, 1, false)]
    [TestCase(8, 64, true)]
    public void Two_shots_are_taken_where_they_spare_enough(int ranks, int rows, bool pays) => Assert.That(GpuTwoShotSum.Pays(vectors: rows * 1024L, ranks), Is.EqualTo(pays));

    [Test]
    public void Rows_beyond_the_batch_are_left_alone([Values] bool twoShot)
    {
        ((GpuRankExchange)_backend.Exchange).TwoShotSums = twoShot;
        using ParallelActivations partial = Create(rows: 4, columns: 64), sum = Create(rows: 4, columns: 64);
        float[] before = Values(4 * 64, seed: 7);
        for (int rank = 0; rank < count; rank++)
        {
            Send(partial, rank, Values(4 * 64, rank));
            Send(sum, rank, before);
        }
        _backend.BeginStep(Tokens(3));
        _backend.Run(() => _backend.Exchange.Sum(RankTeam.Current, partial[RankTeam.Current], sum[RankTeam.Current], accumulate: true));
        _backend.Wait();
        for (int rank = 0; rank < count; rank++) Assert.That(Receive(sum, rank)[(3 * 64)..], Is.EqualTo(before[(3 * 64)..]), $"rank {rank}");
    }

    /// <summary>A part of a whole block of rows and one of some, several times, so that inboxes take turns; then one that needs more room.</summary>
    [Test]
    public void Partials_that_are_sent_in_parts_add_up_to_the_sum()
    {
        foreach ((int rows, int columns, int first) in ((int, int, int)[])[(400, 72, 256), (400, 72, 256), (400, 72, 256), (530, 140, 256), (800, 72, 512)])
        {
            using ParallelActivations partial = (ParallelActivations)_backend.Tensors.CreateActivations(rows, columns, operand: true), sum = Create(rows, columns);
            float[][] parts = [.. Enumerable.Range(0, count).Select(rank => Values(rows * columns, seed: rank + rows))];
            float[] expected = Values(rows * columns, seed: 100);
            for (int rank = 0; rank < count; rank++) Send(sum, rank, expected);
            _backend.BeginStep(Chunk(rows));
            _backend.Run(() =>
            {
                int rank = RankTeam.Current;
                IRankExchange exchange = _backend.Exchange;
                ((GpuRankExchange)exchange).LeastPartedRows = 1;
                IReadOnlyList<RowPart> shares = exchange.Parts(rank);
                Assert.That(shares.Select(part => (part.First, part.Count)), Is.EqualTo(((int, int)[])[(0, first), (first, rows - first)]));
                exchange.BeginParts(rank, partial[rank]);
                SendOperand(partial, rank, parts[rank]);
                foreach (RowPart part in shares) exchange.Send(rank, partial[rank], part);
                foreach (RowPart part in shares) exchange.AddSent(rank, partial[rank], sum[rank], part);
            });
            _backend.Wait();
            for (int element = 0; element < expected.Length; element++) expected[element] += parts.Aggregate(0f, (total, part) => total + (float)(Half)part[element]);
            for (int rank = 0; rank < count; rank++) Assert.That(Receive(sum, rank), Is.EqualTo(expected), $"{rows} rows, rank {rank}");
        }
    }

    private static Batch Chunk(int count)
    {
        Batch batch = new();
        batch.Add(default, new int[count], firstPosition: 0, wantsLogits: false);
        return batch;
    }

    private static Batch Tokens(int count)
    {
        Batch batch = new();
        for (int i = 0; i < count; i++) batch.Add(default, tokenId: 0, position: 0, wantsLogits: false);
        return batch;
    }

    /// <summary>So far apart that sums are rounded, and another order gives other bits.</summary>
    private static float[] Values(int count, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => MathF.ScaleB((random.NextSingle() * 4) - 2, random.Next(-12, 13)))];
    }

    private ParallelActivations Create(int rows, int columns) => (ParallelActivations)_backend.Tensors.CreateActivations(rows, columns);

    private void Send(ParallelActivations activations, int rank, float[] values)
    {
        GpuActivations own = (GpuActivations)activations[rank];
        for (int row = 0; row < own.Rows; row++)
            Device(rank).Upload(own.Address + (nint)(row * own.RowBytes), MemoryMarshal.AsBytes(values.AsSpan(row * own.Columns, own.Columns)));
    }

    private void SendOperand(ParallelActivations activations, int rank, float[] values)
    {
        GpuActivations own = (GpuActivations)activations[rank];
        byte[] bytes = new byte[GpuActivations.OperandBytes(own.Rows, own.Columns)];
        for (int i = 0; i < values.Length; i++)
            MemoryMarshal.Write(bytes.AsSpan((int)CoreTiles.OperandOffset(i / own.Columns, i % own.Columns, own.Stride, CoreTiles.MaxBlockRows)), (Half)values[i]);
        Device(rank).Upload(own.Address, bytes);
    }

    private float[] Receive(ParallelActivations activations, int rank)
    {
        GpuActivations own = (GpuActivations)activations[rank];
        float[] values = new float[own.Rows * own.Columns];
        for (int row = 0; row < own.Rows; row++)
            Device(rank).Download(own.Address + (nint)(row * own.RowBytes), MemoryMarshal.AsBytes(values.AsSpan(row * own.Columns, own.Columns)));
        return values;
    }

    private IGpuDevice Device(int rank) => ((GpuBackend)_backend.Ranks[rank]).Device;
}
