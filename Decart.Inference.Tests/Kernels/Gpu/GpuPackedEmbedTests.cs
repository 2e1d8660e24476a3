using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.TensorParallel;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>Embeddings that stay in the bits of their file, beside the same ones as halves.</summary>
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuPackedEmbedTests(string device)
{
    private const int TableRows = 37;

    private static TensorType[] Types => [.. PackedFormat.All.Select(format => format.Type)];

    /// <summary>Rows of all parts of a tile and of several tiles; a last group with few pieces, or half of one.</summary>
    [Test]
    public void Rows_have_the_bits_of_a_widened_table([ValueSource(nameof(Types))] TensorType type)
    {
        int columns = type.BlockLength() switch
        {
            32 => 1056,
            64 => 1088,
            _ => 2816,
        };
        using GpuBench bench = Open();
        (Weight packed, Weight widened) = CreateTables(bench, type, TableRows, columns);
        Begin(bench, [[0, 7, 8, 15, 16, 30, 36, 36, 9]]);
        AssertSameRows(bench, packed, widened, scale: 5.5f, rows: 9);
    }

    /// <summary>A recorded step has room for more rows than there are.</summary>
    [Test]
    public void Rows_that_are_not_there_stay_as_they_are()
    {
        using GpuBench bench = Open();
        (Weight packed, Weight widened) = CreateTables(bench, TensorType.Q4_K, TableRows, 512);
        Begin(bench, [[3], [36], [20]]);
        AssertSameRows(bench, packed, widened, scale: 1, rows: 3);
    }

    /// <summary>A table that is the output matrix too: all of it on one device, some blocks of rows on each of several.</summary>
    [TestCase(0, 300)]
    [TestCase(0, 128)]
    [TestCase(128, 172)]
    public void Products_with_rows_of_a_table_have_the_bits_of_a_widened_one(int firstRow, int rowCount)
    {
        const int Columns = 256, Tokens = 3;
        using GpuBench bench = Open();
        (Weight packed, Weight widened) = CreateTables(bench, TensorType.Q6_K, 300, Columns);
        bench.Begin(Tokens);
        GpuActivationsPair x = bench.Activations(Tokens, Columns, operand: true);
        GpuActivations found = bench.Activations(Tokens + 1, rowCount, poisoned: true).Gpu, expected = bench.Activations(Tokens + 1, rowCount, poisoned: true).Gpu;

        bench.Gpu.Kernels.MatMul(x.Gpu, null, packed.Slice(firstRow, rowCount)!, new Epilogue(), found);
        bench.Gpu.Kernels.MatMul(x.Gpu, null, widened.Slice(firstRow, rowCount)!, new Epilogue(), expected);

        AssertSame(bench, found, expected, Tokens);
    }

    [Test]
    public void A_table_is_divided_between_blocks_of_rows_only()
    {
        using GpuBench bench = Open();
        (Weight packed, _) = CreateTables(bench, TensorType.Q8_0, 300, 64);
        Assert.That(packed.Slice(64, 128), Is.Null);
        Assert.That(packed.Slice(128, 100), Is.Null);
        Assert.That(packed.Slice(128, 172), Is.Not.Null);
    }

    /// <summary>Each device has the whole table, and multiplies some blocks of its rows.</summary>
    [Test]
    public void Several_devices_share_a_table_that_is_the_output()
    {
        using GpuBench first = Open(), second = Open();
        using RankTeam team = new(2);
        using ParallelTensorFactory tensors = new(team, [first.Gpu.Tensors, second.Gpu.Tensors]) { Division = new Division(new ModelShape(8, 8, 16, 32), 2) };
        using Weight table = tensors.CreateWeight(new WeightParts("test", first.Tensor(TensorType.Q8_0, 300, 32)) { IsTable = true });
        IReadOnlyList<Weight> outputs = ((ParallelWeight)table).Outputs!;
        Assert.That(outputs, Is.All.TypeOf<GpuPackedWeight>());
        Assert.That(outputs.Select(output => output.Rows), Is.EqualTo((int[])[128, 172]).Or.EqualTo((int[])[172, 128]).Or.EqualTo((int[])[256, 44]));
    }

    private static void AssertSameRows(GpuBench bench, Weight packed, Weight widened, float scale, int rows)
    {
        GpuActivations found = bench.Activations(rows + 1, packed.Columns, poisoned: true).Gpu, expected = bench.Activations(rows + 1, packed.Columns, poisoned: true).Gpu;
        bench.Gpu.Kernels.Embed(packed, scale, found);
        bench.Gpu.Kernels.Embed(widened, scale, expected);
        AssertSame(bench, found, expected, rows);
    }

    private static void AssertSame(GpuBench bench, GpuActivations found, GpuActivations expected, int rows)
    {
        for (int row = 0; row < rows; row++)
        {
            float[] values = bench.Row(found, row);
            Assert.That(values, Is.EqualTo(bench.Row(expected, row)), $"row {row}");
            Assert.That(values, Has.None.NaN.And.Some.Not.Zero);
        }
        bench.AssertUntouched(found, rows);
    }

    private GpuBench Open() => new(GpuDevices.Create(device, tensorCores: true, hopper: true, packs: true));

    private static (Weight Packed, Weight Widened) CreateTables(GpuBench bench, TensorType type, int rows, int columns)
    {
        StoredTensor blocks = bench.Tensor(type, rows, columns);
        Weight packed = bench.Keep(bench.Gpu.Tensors.CreateWeight(new WeightParts("test", blocks) { IsTable = true }));
        Weight widened = bench.Keep(bench.Gpu.Tensors.CreateWeight(new WeightParts("test", blocks) { IsTable = true, MustBeWidened = true }));
        Assert.That(packed, Is.TypeOf<GpuPackedWeight>());
        Assert.That(widened, Is.TypeOf<GpuWeight>());
        return (packed, widened);
    }

    /// <summary>Begins a step of a sequence for each list of tokens.</summary>
    private static void Begin(GpuBench bench, int[][] sequences)
    {
        Batch batch = new();
        foreach (int[] tokens in sequences)
            batch.Add(bench.Kv(1, new AttentionShape(1, 1, 1, 1), tokens.Length).Gpu.View, tokens, 0, wantsLogits: true);
        bench.Gpu.BeginStep(batch);
    }
}
