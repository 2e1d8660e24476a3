using System.Collections.Immutable;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>Weights of 8 bits, floats or integers, or of integers of 4 bits, and activations of 8, beside sums in double precision of the numbers that they stand for.</summary>
[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed partial class GpuCodeMatMulTests(string device)
{
    private const int Piece = 128;

    /// <summary>Every kernel, with rows and columns that fill no tile and no piece.</summary>
    [Test, Pairwise]
    public void Products_are_those_of_the_codes(
        [Values(1, 7, 13, 30, 60, 100)] int rows, [Values] Scales scales, [Values(64, 192, 640)] int columns, [Values(TensorType.E4M3x32, TensorType.E4M3x64)] TensorType type) =>
        Check(rows, new Shape(37, columns, Gated: false, scales, type));

    [Test]
    public void Gates_and_ups_are_products_of_the_codes([Values(1, 70)] int rows, [Values(Scales.Rows, Scales.Blocks, Scales.Integers, Scales.Nibbles, Scales.Zeros)] Scales scales) =>
        Check(rows, new Shape(2 * 52, 384, Gated: true, scales, TensorType.E4M3x64));

    /// <summary>More tiles than a pass has, shared by several groups.</summary>
    [Test]
    public void Tiles_are_divided_among_groups([Values(3, 40)] int rows, [Values(Scales.Pieces, Scales.Integers, Scales.Nibbles)] Scales scales) =>
        Check(rows, new Shape(300, 256, Gated: false, scales, TensorType.E4M3x64));

    /// <summary>Three quarters of a block, a block, and passes in turn over several.</summary>
    [Test]
    public void Many_rows_are_products_of_the_codes([Values(150, 200, 300)] int rows, [Values(Scales.Rows, Scales.Pieces, Scales.Integers, Scales.Nibbles, Scales.Zeros)] Scales scales) =>
        Check(rows, new Shape(150, 256, Gated: false, scales, TensorType.E4M3x64));

    /// <summary>A row of which threads hold a part, and read the rest twice.</summary>
    [Test]
    public void Long_rows_are_products_of_the_codes([Values(Scales.Pieces, Scales.Integers, Scales.Nibbles)] Scales scales) => Check(2, new Shape(16, 4352, Gated: false, scales, TensorType.E4M3x64));

    /// <summary>Stages of the ring are used again, by warps that have tiles in a pass and by those that have none.</summary>
    [Test]
    public void Passes_of_some_tiles_use_stages_again([Values(12, 200)] int rows, [Values(Scales.Nibbles, Scales.Zeros)] Scales scales) =>
        Check(rows, rows == 12 ? new Shape(307, 640, Gated: false, scales, TensorType.E4M3x64) : new Shape(150, 1024, Gated: false, scales, TensorType.E4M3x64), multiprocessors: 1);

    /// <summary>Few rows and few tiles: warp groups take stages in turn, more than there are, the last with one piece.</summary>
    [Test]
    public void Warp_groups_take_turns_at_few_tiles([Values(3, 12, 24)] int rows, [Values(Scales.Nibbles, Scales.Zeros)] Scales scales) =>
        Check(rows, new Shape(45, 4736, Gated: false, scales, TensorType.E4M3x64), multiprocessors: 1);

    /// <summary>Groups are scattered over the columns, which are stored group by group; a norm in front makes halves first, which are brought into that order.</summary>
    [Test]
    public void Columns_in_another_order_are_multiplied_with_their_activations([Values(3, 20)] int rows, [Values(Scales.Rows, Scales.Nibbles)] Scales scales)
    {
        Shape shape = new(37, 192, Gated: false, scales, TensorType.E4M3x64);
        using GpuBench bench = Open(shape);
        using Stored stored = new(shape);
        ImmutableArray<int> order = Reversed(shape.Columns);
        Weight weight = bench.Keep(bench.Gpu.Tensors.CreateWeight(new WeightParts("test", [stored.Tensor() with { ColumnOrder = order }])));
        Assert.That(weight, Is.TypeOf<GpuCodeWeight>());
        bench.Begin(rows);
        GpuActivationsPair x = bench.Activations(rows, shape.Columns, operand: true);
        GpuActivations y = bench.Activations(rows, shape.Rows, poisoned: true).Gpu;
        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight, default, y);
        for (int row = 0; row < rows; row++)
        {
            float[] values = Floats(x.Reference.Row(row)), found = bench.Row(y, row);
            double[] rounded = shape.Rounded([.. order.Select(column => values[column])]);
            for (int column = 0; column < shape.Rows; column++)
            {
                (double expected, double tolerance) = Product(stored, rounded, column);
                Assert.That(found[column], Is.EqualTo(expected).Within(tolerance + (1e-5 * Math.Abs(expected)) + 1e-6), $"row {row}, column {column}");
            }
        }
        GpuActivations floats = bench.Activations(rows, shape.Columns).Gpu, normalised = bench.Activations(rows, shape.Columns, operand: true, poisoned: true).Gpu;
        GpuActivations together = bench.Activations(rows, shape.Rows, poisoned: true).Gpu;
        Norm norm = bench.Norm(shape.Columns, removeMean: false, bias: false).Gpu;
        bench.Gpu.Kernels.Normalise(norm, floats, normalised);
        bench.Gpu.Kernels.MatMul(normalised, null, weight, default, y);
        bench.Gpu.Kernels.MatMul(floats, norm, weight, default, together);
        for (int row = 0; row < rows; row++) Assert.That(bench.Row(together, row), Is.EqualTo(bench.Row(y, row)), $"row {row}");
    }

    /// <summary>What comes of it is an operand, with padding, or is added to what is there.</summary>
    [Test]
    public void Products_are_stored_as_halves_or_added([Values(5, 70)] int rows, [Values] bool gated, [Values(Scales.Rows, Scales.Integers, Scales.Nibbles)] Scales scales)
    {
        Shape shape = new(gated ? 104 : 52, 256, gated, scales, TensorType.E4M3x64);
        using GpuBench bench = Open(shape);
        using Stored stored = new(shape);
        Weight weight = bench.Keep(stored.Create(bench));
        bench.Begin(rows);
        GpuActivationsPair x = bench.Activations(rows, shape.Columns, operand: true);
        Epilogue epilogue = new(null, gated ? ActivationFunction.Silu : ActivationFunction.None, gated);
        GpuActivations plain = bench.Activations(rows, 52, poisoned: true).Gpu, halves = bench.Activations(rows, 52, operand: true, poisoned: true).Gpu;
        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight, epilogue, plain);
        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight, epilogue, halves);
        GpuActivations sum = bench.Activations(rows, 52).Gpu;
        float[][] before = [.. Enumerable.Range(0, rows).Select(row => bench.Row(sum, row))];
        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight, epilogue with { Accumulate = true }, sum);
        for (int row = 0; row < rows; row++)
        {
            float[] expected = bench.Row(plain, row);
            Assert.That(bench.Row(halves, row), Is.EqualTo(expected.Select(value => (float)(Half)value)), $"row {row}");
            Assert.That(bench.Row(sum, row), Is.EqualTo(expected.Zip(before[row], (value, old) => value + old)), $"row {row}");
        }
    }

    [Test]
    public void A_row_has_the_same_bits_alone_and_among_others([Values] Scales scales, [Values(9, 33, 65, 129)] int rows)
    {
        Shape shape = new(150, 384, Gated: false, scales, TensorType.E4M3x64);
        using GpuBench bench = Open(shape);
        using Stored stored = new(shape);
        Weight weight = bench.Keep(stored.Create(bench));
        GpuActivations whole = bench.Activations(rows, shape.Rows, poisoned: true).Gpu, alone = bench.Activations(1, shape.Rows, poisoned: true).Gpu;
        bench.Begin(rows);
        GpuActivationsPair x = bench.Activations(rows, shape.Columns, operand: true);
        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight, default, whole);
        float[][] found = [.. Enumerable.Range(0, rows).Select(row => bench.Row(whole, row))];
        foreach (int row in (int[])[0, rows / 2, rows - 1])
        {
            bench.Begin(1);
            GpuActivationsPair one = bench.Activations(1, shape.Columns, operand: true);
            bench.Write(one, 0, Floats(x.Reference.Row(row)));
            bench.Gpu.Kernels.MatMul(one.Gpu, null, weight, default, alone);
            Assert.That(bench.Row(alone, 0), Is.EqualTo(found[row]), $"row {row} of {rows}");
        }
    }

    /// <summary>Few rows, and so many that groups take pairs of them in turn; columns that fill no piece.</summary>
    [Test]
    public void Norms_make_codes([Values(3, 7)] int rows, [Values(192, 512, 1152)] int columns, [Values] bool removeMean, [Values(Scales.Rows, Scales.Integers, Scales.Nibbles)] Scales scales)
    {
        // Longer rows than an emulated group's threads hold are normalised to halves first.
        Shape shape = new(40, columns, Gated: false, scales, TensorType.E4M3x64);
        using GpuBench bench = Open(shape);
        using Stored stored = new(shape);
        Weight weight = bench.Keep(stored.Create(bench));
        bench.Begin(rows);
        GpuActivationsPair x = bench.Activations(rows, columns);
        (Norm Gpu, Norm Reference) norm = bench.Norm(columns, removeMean, bias: removeMean);
        GpuActivations y = bench.Activations(rows + 1, shape.Rows, poisoned: true).Gpu;
        bench.Gpu.Kernels.MatMul(x.Gpu, norm.Gpu, weight, default, y);
        float[] scale = new float[columns], bias = new float[columns];
        bench.Gpu.Read(norm.Gpu.Scale, scale);
        if (norm.Gpu.Bias is { } shift) bench.Gpu.Read(shift, bias);
        for (int row = 0; row < rows; row++)
        {
            double[] values = x.Reference.Row(row).ToArray();
            double mean = removeMean ? values.Average() : 0;
            for (int i = 0; i < columns; i++) values[i] -= mean;
            double factor = 1 / Math.Sqrt((values.Sum(value => value * value) / columns) + norm.Gpu.Epsilon);
            float[] normalised = [.. values.Select((value, i) => ((float)(value * factor) * scale[i]) + bias[i])];
            if (!GpuNorm.MakesCodes(bench.Device, columns)) normalised = [.. normalised.Select(value => (float)(Half)value)];
            double[] rounded = shape.Rounded(normalised);
            // A number between two codes may become either.
            double neighbours = shape.HasIntegers ? 2 * rounded.Max(Math.Abs) / 127 * 128 * Stored.LargestScale : 0;
            float[] found = bench.Row(y, row);
            for (int column = 0; column < shape.Rows; column++)
            {
                (double expected, double tolerance) = Product(stored, rounded, column);
                Assert.That(found[column], Is.EqualTo(expected).Within((2 * tolerance) + neighbours + 1e-3), $"row {row}, column {column}");
            }
        }
        bench.AssertUntouched(y, rows);
    }

    [Test]
    public void What_is_no_number_stays_so_and_keeps_to_its_row([Values(Scales.Rows, Scales.Integers, Scales.Nibbles)] Scales scales)
    {
        Shape shape = new(20, 256, Gated: false, scales, TensorType.E4M3x64);
        using GpuBench bench = Open(shape);
        using Stored stored = new(shape);
        Weight weight = bench.Keep(stored.Create(bench));
        bench.Begin(2);
        GpuActivationsPair x = bench.Activations(2, shape.Columns, operand: true);
        float[] values = Floats(x.Reference.Row(1));
        values[130] = float.NaN;
        bench.Write(x, 1, values);
        GpuActivations y = bench.Activations(2, shape.Rows, poisoned: true).Gpu;
        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight, default, y);
        Assert.That(bench.Row(y, 0), Has.None.NaN);
        Assert.That(bench.Row(y, 1), Has.All.NaN);
    }

    [Test]
    public void Other_weights_are_multiplied_as_always()
    {
        using GpuBench bench = Open(new Shape(16, 128, Gated: false, Scales.Rows, TensorType.E4M3x64));
        using Stored several = new(new Shape(16, 128, Gated: false, Scales.Rows, TensorType.E4M3x32), scaleOf: (row, column) => 1 + (column / 32 % 2));
        Assert.That(bench.Keep(several.Create(bench)), Is.TypeOf<GpuPackedWeight>(), "a piece with two scales");
        using Stored rows = new(new Shape(16, 128, Gated: false, Scales.Rows, TensorType.E4M3x64));
        Assert.That(bench.Keep(rows.Create(bench, isTable: true)), Is.TypeOf<GpuPackedWeight>(), "rows are read by themselves");
        Assert.That(bench.Keep(rows.Create(bench)), Is.TypeOf<GpuCodeWeight>());
        Shape integers = new(16, 128, Gated: false, Scales.Integers, TensorType.E4M3x64);
        using Stored pieces = new(integers, scaleOf: (row, column) => 1 + (column / 64)), shifted = new(integers, zero: 127);
        Assert.That(bench.Keep(pieces.Create(bench)), Is.TypeOf<GpuPackedWeight>(), "a row of integers with two scales");
        Assert.That(bench.Keep(shifted.Create(bench)), Is.TypeOf<GpuPackedWeight>(), "integers whose zero is not in their middle");
        Shape nibbles = new(16, 128, Gated: false, Scales.Nibbles, TensorType.E4M3x64);
        using Stored halves = new(nibbles, scaleOf: (row, column) => 1 + (column / 64)), zeros = new(nibbles, zeroOf: (row, column) => column / 64);
        Assert.That(bench.Keep(halves.Create(bench)), Is.TypeOf<GpuPackedWeight>(), "a piece with two scales");
        Assert.That(bench.Keep(zeros.Create(bench)), Is.TypeOf<GpuPackedWeight>(), "a piece with two zeros");
        using Stored small = new(nibbles), large = new(nibbles with { Type = TensorType.E4M3x32 });
        Assert.That(Create(new WeightParts("test", [small.Tensor(), large.Tensor()])), Is.TypeOf<GpuPackedWeight>(), "blocks of two lengths");
        Assert.That(Create(new WeightParts("test", [small.Tensor() with { ColumnOrder = Reversed(128) }, small.Tensor()])), Is.TypeOf<GpuWeight>(), "parts in different orders");
        Assert.That(Create(new WeightParts("test", [small.Tensor()]) { IsTable = true }), Is.TypeOf<GpuPackedWeight>(), "rows are read by themselves");
        Assert.That(Create(new WeightParts("test", [small.Tensor()]) { IsExpert = true }), Is.TypeOf<GpuPackedWeight>(), "an expert");
        Assert.That(Create(new WeightParts("test", [small.Tensor()])), Is.TypeOf<GpuCodeWeight>());
        using GpuBench old = new(GpuDevices.Create(device, tensorCores: true, architecture: 80, packs: true), eightBitActivations: true);
        Assert.That(old.Keep(rows.Create(old)), Is.TypeOf<GpuWeight>(), "no such tensor cores");

        Weight Create(WeightParts parts) => bench.Keep(bench.Gpu.Tensors.CreateWeight(parts));
    }

    private void Check(int rows, Shape shape, int? multiprocessors = null)
    {
        using GpuBench bench = Open(shape, multiprocessors);
        using Stored stored = new(shape);
        Weight weight = bench.Keep(stored.Create(bench));
        Assert.That(weight, Is.TypeOf<GpuCodeWeight>().And.Property(nameof(GpuCodeWeight.Scaling)).EqualTo(shape.Scales switch
        {
            Scales.Integers => CodeScaling.IntegerRows,
            Scales.Nibbles => CodeScaling.NibblePieces,
            Scales.Zeros => CodeScaling.NibbleZeros,
            Scales.Pieces or Scales.Blocks when shape.Columns > Piece => CodeScaling.FloatPieces,
            _ => CodeScaling.FloatRows,
        }));
        bench.Begin(rows);
        GpuActivationsPair x = bench.Activations(rows, shape.Columns, operand: true);
        // Rows of different scales.
        for (int row = 0; row < rows; row++) bench.Write(x, row, [.. Floats(x.Reference.Row(row)).Select(value => value * (1 << (row / 3 % 4)))]);
        int outputs = shape.Gated ? shape.Rows / 2 : shape.Rows;
        var bias = bench.Vector(bench.Tensor(TensorType.F32, shape.Rows));
        GpuActivations y = bench.Activations(rows + 1, outputs, poisoned: true).Gpu;
        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight, new Epilogue(bias.Gpu, shape.Gated ? ActivationFunction.Silu : ActivationFunction.None, shape.Gated), y);
        float[] biases = new float[shape.Rows];
        bench.Gpu.Read(bias.Gpu, biases);
        for (int row = 0; row < rows; row++)
        {
            double[] rounded = shape.Rounded(Floats(x.Reference.Row(row)));
            float[] found = bench.Row(y, row);
            for (int column = 0; column < outputs; column++)
            {
                (double expected, double tolerance) = Product(stored, rounded, column);
                expected += biases[column];
                if (shape.Gated)
                {
                    (double up, double upTolerance) = Product(stored, rounded, outputs + column);
                    up += biases[outputs + column];
                    tolerance = (tolerance * 1.1 * Math.Abs(up)) + (upTolerance * Math.Abs(expected)) + (tolerance * upTolerance);
                    expected = expected / (1 + Math.Exp(-expected)) * up;
                }
                Assert.That(found[column], Is.EqualTo(expected).Within(tolerance + (1e-5 * Math.Abs(expected)) + 1e-6), $"row {row}, column {column}");
            }
        }
        bench.AssertUntouched(y, rows);
    }

    /// <summary>A sum, and by how much it may differ: tensor cores cut sums of products of floats to 13 bits behind the largest.</summary>
    private static (double Sum, double Tolerance) Product(Stored stored, double[] x, int row)
    {
        double sum = 0, tolerance = 0;
        for (int first = 0; first < x.Length; first += Piece)
        {
            double largest = 0;
            for (int i = first; i < Math.Min(first + Piece, x.Length); i++)
            {
                double term = x[i] * stored[row, i];
                sum += term;
                largest = Math.Max(largest, Math.Abs(term));
            }
            if (!stored.HasIntegers) tolerance += largest * Piece / 4096;
        }
        return (sum, tolerance);
    }

    /// <summary>Groups have as many threads as a GPU's, so that a norm's sums have the same order.</summary>
    private GpuBench OpenForLongNorms() => new(
        device == GpuDevices.Emulated
            ? new EmulatedDevice(tensorCores: true) { IsHopper = true, PacksWeights = true, MaxGroupSize = 512 }
            : GpuDevices.Create(device, multiprocessors: 1, tensorCores: true, packs: true),
        eightBitActivations: true);

    private GpuBench Open(Shape shape, int? multiprocessors = null) =>
        new(GpuDevices.Create(device, multiprocessors ?? (shape.Rows > 128 ? 3 : 1), tensorCores: true, hopper: true, packs: true), eightBitActivations: true);

    private static ImmutableArray<int> Reversed(int columns) => [.. Enumerable.Range(0, columns).Reverse()];

    private static float[] Floats(ReadOnlySpan<double> values)
    {
        float[] floats = new float[values.Length];
        for (int i = 0; i < floats.Length; i++) floats[i] = (float)values[i];
        return floats;
    }
}
