using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Tests.Kernels.Formats;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>Weights that stay in the bits of their file, beside the same weights as halves.</summary>
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuPackedMatMulTests(string device)
{
    private static TensorType[] Types => [.. PackedFormat.All.Select(format => format.Type)];

    /// <summary>Formats whose scales are halves have other stages with few rows.</summary>
    private static IEnumerable<object[]> TypesWithRows =>
        PackedFormat.All.SelectMany(format => format.Scalings.Count > 1 ? (object[][])[[format.Type, 1], [format.Type, 20]] : [[format.Type, 5]]);

    [TestCaseSource(nameof(TypesWithRows))]
    public void Products_have_the_bits_of_widened_weights(TensorType type, int rows) =>
        AssertSameBits(rows, gated: false, columns: 512, (type, 37));

    /// <summary>The kernels for other numbers of rows, and more tiles than a block of the weight has.</summary>
    [Test]
    public void Products_of_more_rows_have_the_bits_of_widened_weights([Values(TensorType.Q4_K, TensorType.Q8_0)] TensorType type, [Values(9, 40, 100, 150, 200)] int rows) =>
        AssertSameBits(rows, gated: false, columns: 256, (type, 150));

    /// <summary>One pair of pieces and no more, and last stages with two, four and six pieces, of few tiles, which groups hand on, and of more.</summary>
    [Test]
    public void Products_with_parts_of_stages_have_the_bits_of_widened_weights(
        [Values(TensorType.Q4_0, TensorType.Q8_0, TensorType.Int4x64)] TensorType type, [Values(1, 16)] int rows, [Values(128, 640, 1280, 1536)] int columns, [Values(37, 200)] int outputs) =>
        AssertSameBits(rows, gated: false, columns, (type, outputs));

    /// <summary>More stages than the ring has, of few tiles and of more.</summary>
    [Test]
    public void Long_products_have_the_bits_of_widened_weights([Values(TensorType.Q8_0, TensorType.Int4x64)] TensorType type, [Values(37, 230)] int outputs) =>
        AssertSameBits(rows: 1, gated: false, columns: outputs == 37 ? 4480 : 3200, (type, outputs));

    /// <summary>Passes one after the other: full ones and a last one for which some warp groups have no tile, in rings that are filled several times.</summary>
    [TestCase(TensorType.Q8_0, 1, 1280, 600)]
    [TestCase(TensorType.TQ1_0, 1, 512, 282)]
    [TestCase(TensorType.Int4x64, 12, 896, 400)]
    [TestCase(TensorType.Q4_K, 40, 768, 400)]
    [TestCase(TensorType.Int8x32, 40, 640, 500)]
    public void Products_of_several_passes_have_the_bits_of_widened_weights(TensorType type, int rows, int columns, int outputs)
    {
        int tiles = CoreTiles.PaddedRows(outputs) / CoreTiles.TileRows;
        GpuRingPlan plan = GpuRingPlan.Best(rows, CoreTiles.PaddedRows(outputs), CoreTiles.PaddedColumns(columns), multiprocessors: 1, PackedFormat.Of(type));
        Assert.That(tiles, Is.GreaterThan(plan.TilesPerPass));
        AssertSameBits(rows, gated: false, columns, (type, outputs));
    }

    /// <summary>Gates and ups are kept in turn; three groups share the tiles, and stages have fewer pieces at the end.</summary>
    [Test]
    public void Gates_and_ups_have_the_bits_of_widened_weights([Values(TensorType.Q5_K, TensorType.Q4_0)] TensorType type, [Values(1, 13)] int rows) =>
        AssertSameBits(rows, gated: true, columns: 1792, (type, 52), (type, 52));

    /// <summary>Queries and keys are often stored in fewer bits than values.</summary>
    [Test]
    public void A_weight_of_several_formats_has_the_bits_of_widened_parts([Values(1, 13)] int rows) =>
        AssertSameBits(rows, gated: false, columns: 256, (TensorType.Q4_K, 32), (TensorType.Q4_K, 16), (TensorType.Q6_K, 29));

    /// <summary>Weights beyond the finite halves, scales that are no halves, small ones, the largest for fused operations and the next: how they are scaled, and that it makes no difference.</summary>
    [TestCase(TensorType.Q4_0, 60_000f, PackedScaling.Floats)]
    [TestCase(TensorType.Q4_0, 0.5f, PackedScaling.Floats)]
    [TestCase(TensorType.Q4_0, 0.49975586f, PackedScaling.FusedHalves)]
    [TestCase(TensorType.Q4_0, -0.49975586f, PackedScaling.FusedHalves)]
    [TestCase(TensorType.Q4_0, 1023f / (1 << 24), PackedScaling.FusedHalves)]
    [TestCase(TensorType.Q4_0, 1f / (1 << 24), PackedScaling.FusedHalves)]
    [TestCase(TensorType.Q8_0, 2000f, PackedScaling.Floats)]
    [TestCase(TensorType.IQ4_NL, -3000f, PackedScaling.Floats)]
    [TestCase(TensorType.Int4x64, 1e-6f, PackedScaling.Floats)]
    [TestCase(TensorType.Int4x64, 0.25f, PackedScaling.Halves)]
    [TestCase(TensorType.Int8x32, 0.1f, PackedScaling.Floats)]
    [TestCase(TensorType.Int8x64, 400f, PackedScaling.Floats)]
    [TestCase(TensorType.E4M3x64, 1f / (1 << 20), PackedScaling.Halves)]
    [TestCase(TensorType.E4M3x64, 1f / (1 << 25), PackedScaling.Floats)]
    [TestCase(TensorType.E4M3x64, 146f, PackedScaling.Halves)]
    [TestCase(TensorType.E4M3x64, 147f, PackedScaling.Floats)]
    [TestCase(TensorType.MXFP4, 1f / (1 << 27), PackedScaling.Floats)]
    [TestCase(TensorType.MXFP4, 32768f, PackedScaling.Floats)]
    public void Products_of_unusual_scales_have_the_bits_of_widened_weights(TensorType type, float scale, PackedScaling scaling) =>
        AssertSameBits(rows: 1, gated: false, columns: 256, (block, stored) => Rescale(type, stored, scale, zero: 7), scaling, (type, 16));

    /// <summary>Most integers of 4 bits in folders have 8 taken away from all of them; one group that has not is enough for another way.</summary>
    [Test]
    public void Integers_around_eight_have_the_bits_of_widened_weights([Values(TensorType.Int4x32, TensorType.Int4x64)] TensorType type, [Values(1, 11, 40, 100)] int rows, [Values] bool oneIsNot) =>
        AssertSameBits(
            rows,
            gated: false,
            columns: 640,
            (block, stored) => Rescale(type, stored, (float)(Half)(MathF.Sin(block) / 4), zero: oneIsNot && block == 77 ? 9 : 8),
            oneIsNot ? PackedScaling.Halves : PackedScaling.FusedHalves,
            (type, 40));

    /// <summary>Groups that are scattered over the columns are stored one after another, and activations are brought into that order: products have the bits of a weight that is stored so, with activations that lie so.</summary>
    [Test]
    public void Scattered_columns_are_multiplied_in_the_order_in_which_they_are_stored([Values(1, 11, 70)] int rows, [Values(192, 512)] int columns)
    {
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: true, hopper: true, packs: true));
        bench.Begin(rows);
        int[] order = [.. Enumerable.Range(0, columns)];
        new Random(columns).Shuffle(order);
        (TensorType Type, int Rows)[] parts = [(TensorType.Int4x64, 16), (TensorType.Int4x64, 21)];
        Weight scattered = Create(bench, [.. order], columns, parts), plain = Create(bench, packed: true, gated: false, columns, parts);
        Assert.That(((GpuPackedWeight)scattered).ColumnOrder, Is.Not.Zero);
        GpuActivationsPair x = bench.Activations(rows, columns, operand: true), ordered = bench.Activations(rows, columns, operand: true);
        for (int row = 0; row < rows; row++) bench.Write(ordered, row, [.. order.Select(column => (float)x.Reference.Row(row)[column])]);
        GpuActivations found = bench.Activations(rows + 1, 37, poisoned: true).Gpu, expected = bench.Activations(rows + 1, 37, poisoned: true).Gpu;

        bench.Gpu.Kernels.MatMul(x.Gpu, null, scattered, default, found);
        bench.Gpu.Kernels.MatMul(ordered.Gpu, null, plain, default, expected);

        for (int row = 0; row < rows; row++) Assert.That(bench.Row(found, row), Is.EqualTo(bench.Row(expected, row)).And.None.NaN.And.Some.Not.Zero, $"row {row}");
        bench.AssertUntouched(found, rows);
    }

    [Test]
    public void Columns_that_cannot_be_brought_into_order_are_widened()
    {
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: true, hopper: true, packs: true));
        ImmutableArray<int> order = [.. Enumerable.Range(0, 256).Reverse()], other = [.. Enumerable.Range(0, 256)];
        (TensorType Type, int Rows) part = (TensorType.Int4x64, 16);
        Assert.That(Create(bench, order, 256, part), Is.TypeOf<GpuPackedWeight>());
        Assert.That(Create(bench, order, 256, tensors => new WeightParts("test", tensors) { IsTable = true }, part), Is.TypeOf<GpuWeight>(), "an embedding");
        Assert.That(Create(bench, order, 256, tensors => new WeightParts("test", tensors) { IsExpert = true }, part), Is.TypeOf<GpuWeight>(), "an expert");
        Assert.That(Create(bench, order, 256, tensors => new WeightParts("test", tensors[0], tensors[1] with { ColumnOrder = other }), part, part), Is.TypeOf<GpuWeight>(), "scattered differently");
        Assert.That(Create(bench, order, 256, tensors => new WeightParts("test", tensors[0], tensors[1] with { ColumnOrder = default }), part, part), Is.TypeOf<GpuWeight>(), "one part of two");
    }

    [Test]
    public void What_is_not_packed_is_widened()
    {
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: true, hopper: true, packs: true));
        Assert.That(Create(bench, packed: true, gated: false, 256, (TensorType.Q4_K, 16), (TensorType.BF16, 16)), Is.TypeOf<GpuWeight>(), "a part without a packed format");
        Assert.That(Create(bench, packed: true, gated: true, 256, (TensorType.Q4_K, 16), (TensorType.Q5_K, 16)), Is.TypeOf<GpuWeight>(), "gates unlike ups");
        Assert.That(Create(bench, packed: true, gated: false, 256, (TensorType.Q4_K, 8), (TensorType.Q5_K, 16)), Is.TypeOf<GpuWeight>(), "parts that are not whole tiles");
        Assert.That(Create(bench, packed: false, gated: false, 256, (TensorType.Q4_K, 16)), Is.TypeOf<GpuWeight>(), "experts that are not alike");
        Assert.That(Create(bench, packed: true, gated: false, 256, (TensorType.Q4_K, 16)), Is.TypeOf<GpuPackedWeight>());
    }

    [Test]
    public void A_device_without_the_kernels_widens_everything([Values] bool tensorCores)
    {
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: tensorCores, architecture: 80, packs: true));
        Assert.That(Create(bench, packed: true, gated: false, 256, (TensorType.Q4_K, 16)), Is.TypeOf<GpuWeight>());
    }

    /// <summary>Points of grids take 4 bits and scales, whatever their numbers take in a file.</summary>
    [Test]
    public void Weights_take_the_bytes_of_their_file([ValueSource(nameof(Types))] TensorType type)
    {
        using GpuBench bench = new(GpuDevices.Create(device, tensorCores: true, hopper: true, packs: true));
        GpuPackedWeight weight = (GpuPackedWeight)Create(bench, packed: true, gated: false, 1024, (type, 256));
        double stored = 256 * 1024 / type.BlockLength() * type.BlockBytes();
        bool isGrid = weight.Segments.Single().Format.Recode is not null;
        Assert.That(weight.Segments.Single().Bytes / stored, type == TensorType.TQ1_0 ? Is.InRange(1, 1.5) : isGrid ? Is.InRange(1, 3.1) : Is.InRange(0.95, 1.25));
    }

    private void AssertSameBits(int rows, bool gated, int columns, params (TensorType Type, int Rows)[] parts) => AssertSameBits(rows, gated, columns, change: null, scaling: null, parts);

    private void AssertSameBits(int rows, bool gated, int columns, BlockChange? change, PackedScaling? scaling, params (TensorType Type, int Rows)[] parts)
    {
        using GpuBench bench = new(GpuDevices.Create(device, multiprocessors: gated ? 3 : 1, tensorCores: true, hopper: true, packs: true));
        bench.Begin(rows);
        int outputs = parts.Sum(part => part.Rows) / (gated ? 2 : 1);
        Weight packed = Create(bench, packed: true, gated, columns, change, parts), widened = Create(bench, packed: false, gated, columns, change, parts);
        Assert.That(packed, Is.TypeOf<GpuPackedWeight>());
        if (scaling is not null) Assert.That(((GpuPackedWeight)packed).Segments.Single().Scaling, Is.EqualTo(scaling));
        var bias = bench.Vector(bench.Tensor(TensorType.F32, parts.Sum(part => part.Rows)));
        Epilogue epilogue = new(bias.Gpu, gated ? ActivationFunction.Silu : ActivationFunction.None, gated);
        GpuActivationsPair x = bench.Activations(rows, columns, operand: true);
        GpuActivations found = bench.Activations(rows + 1, outputs, poisoned: true).Gpu, expected = bench.Activations(rows + 1, outputs, poisoned: true).Gpu;

        bench.Gpu.Kernels.MatMul(x.Gpu, null, packed, epilogue, found);
        bench.Gpu.Kernels.MatMul(x.Gpu, null, widened, epilogue, expected);

        for (int row = 0; row < rows; row++)
        {
            float[] values = bench.Row(found, row);
            Assert.That(values, Is.EqualTo(bench.Row(expected, row)), $"row {row}");
            Assert.That(values, Has.None.NaN.And.Some.Not.Zero);
        }
        bench.AssertUntouched(found, rows);
    }

    private static Weight Create(GpuBench bench, bool packed, bool gated, int columns, params (TensorType Type, int Rows)[] parts) =>
        Create(bench, packed, gated, columns, change: null, parts);

    private static Weight Create(GpuBench bench, ImmutableArray<int> order, int columns, params (TensorType Type, int Rows)[] parts) =>
        Create(bench, order, columns, tensors => new WeightParts("test", tensors), parts);

    /// <summary>Random blocks whose columns stand in another order.</summary>
    private static Weight Create(GpuBench bench, ImmutableArray<int> order, int columns, Func<StoredTensor[], WeightParts> make, params (TensorType Type, int Rows)[] parts) =>
        Create(bench, columns, change: null, tensors => make([.. tensors.Select(tensor => tensor with { ColumnOrder = order })]), parts);

    /// <summary>Random blocks, the same ones for the same arguments, which are changed then.</summary>
    private static Weight Create(GpuBench bench, bool packed, bool gated, int columns, BlockChange? change, params (TensorType Type, int Rows)[] parts) =>
        Create(bench, columns, change, tensors => new WeightParts("test", tensors) { Gated = gated, MustBeWidened = !packed }, parts);

    private static unsafe Weight Create(GpuBench bench, int columns, BlockChange? change, Func<StoredTensor[], WeightParts> make, params (TensorType Type, int Rows)[] parts)
    {
        Random random = new(columns + parts.Length);
        List<GCHandle> pinned = [];
        List<StoredTensor> tensors = [];
        foreach ((TensorType type, int rows) in parts)
        {
            byte[] blocks = new byte[rows * columns / type.BlockLength() * type.BlockBytes()];
            ReferenceWeights.Fill(type, blocks, random);
            for (int block = 0; change is not null && block < blocks.Length / type.BlockBytes(); block++) change(block, blocks.AsSpan(block * type.BlockBytes()));
            pinned.Add(GCHandle.Alloc(blocks, GCHandleType.Pinned));
            tensors.Add(new StoredTensor("blocks", type, [rows, columns], pinned[^1].AddrOfPinnedObject()));
        }
        Weight weight = bench.Keep(bench.Gpu.Tensors.CreateWeight(make([.. tensors])));
        foreach (GCHandle handle in pinned) handle.Free();
        return weight;
    }

    /// <summary>Blocks begin with their scale: a half, in those of quantised folders a float32, of MXFP4 an exponent.</summary>
    private static void Rescale(TensorType type, Span<byte> block, float scale, int zero)
    {
        if (type == TensorType.MXFP4) block[0] = (byte)(128 + (int)MathF.Log2(scale));
        else if (type is TensorType.Int8x32 or TensorType.Int8x64) MemoryMarshal.Write(block, scale);
        else if (type is TensorType.E4M3x64) MemoryMarshal.Write(block, scale * E4M3Header.Factor);
        else if (type is TensorType.Int4x32 or TensorType.Int4x64) MemoryMarshal.Write(block, Int4Header.Compose(Int4Header.Round(scale), zero));
        else MemoryMarshal.Write(block, (Half)scale);
    }

    private delegate void BlockChange(int block, Span<byte> stored);
}
