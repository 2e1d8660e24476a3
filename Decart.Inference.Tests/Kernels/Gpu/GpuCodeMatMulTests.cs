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

    /// <summary>
    /// From the second step on what makes an operand raises its rows' maxima, attention of whole rows and of divided ones, too. Layers, and steps, whose rows are smaller than those before, one block after the
    /// other and side by side, with embeddings of both kinds: a maximum that was left would change every code.
    /// </summary>
    [TestCase(1, false, Scales.Nibbles)]
    [TestCase(11, true, Scales.Integers)]
    [TestCase(11, false, Scales.Pieces)]
    public void Steps_of_single_tokens_round_by_maxima_that_were_raised_ahead(int rows, bool parallel, Scales scales)
    {
        const int Hidden = 64, Inner = 136, Layers = 2, Tokens = 10;
        AttentionShape heads = new(2, 1, 64, 0.125f);
        Shape wide = new(Inner, Hidden, Gated: false, scales, TensorType.E4M3x64), gated = wide with { Rows = 2 * Inner, Gated = true };
        Shape narrow = new(Hidden, 192, Gated: false, scales, TensorType.E4M3x64), output = narrow with { Columns = heads.Heads * heads.HeadDim };
        Assert.That(Steps(1, 1, 0.001f), Is.EqualTo(Steps(0.001f)));

        // The results of the last step; the first has no maxima.
        float[][] Steps(params float[] sizes)
        {
            using GpuBench bench = Open(wide, multiprocessors: 2);
            using Stored storedWide = new(parallel ? wide : gated), storedNarrow = new(narrow), storedOutput = new(output);
            Weight up = bench.Keep(storedWide.Create(bench)), down = bench.Keep(storedNarrow.Create(bench)), project = bench.Keep(storedOutput.Create(bench));
            StoredTensor embeddings = bench.Tensor(parallel ? TensorType.Q8_0 : TensorType.F16, Tokens, Hidden);
            Weight table = bench.Keep(bench.Gpu.Tensors.CreateWeight(new WeightParts("test", [embeddings]) { IsTable = true }));
            Assert.That(table, parallel ? Is.TypeOf<GpuPackedWeight>() : Is.TypeOf<GpuWeight>());
            Norm norm = bench.Norm(Hidden, removeMean: false, bias: false).Gpu;
            int keys = rows == 1 ? 450 : 3; // so many that a row of its own is divided
            (GpuKvPair Kv, int First, int Length)[] singles = [.. Enumerable.Range(0, rows).Select(_ => (bench.Kv(1, heads, keys), keys - 1, 1))];
            GpuActivationsPair qkv = bench.Activations(rows, (heads.Heads + (2 * heads.KvHeads)) * heads.HeadDim), residual = bench.Activations(rows, Hidden);
            GpuActivations attended = bench.Activations(rows, output.Columns, operand: true).Gpu, inner = bench.Activations(rows, Inner, operand: true).Gpu;
            float[][] heard = [.. Enumerable.Range(0, rows).Select(row => Floats(qkv.Reference.Row(row)))], before = [.. Enumerable.Range(0, rows).Select(row => Floats(residual.Reference.Row(row)))];
            List<float[]> results = [];
            foreach (float size in sizes)
            {
                foreach (var single in singles) bench.FillKv(single.Kv, keys, seed: 1);
                (bench.Device as EmulatedDevice)?.Launched.Clear();
                bench.Begin(singles);
                bench.Gpu.Kernels.Embed(table, 1, residual.Gpu);
                results.Clear();
                for (int layer = 0; layer < Layers; layer++)
                {
                    float factor = size * (layer == 0 ? 100 : 1);
                    for (int row = 0; row < rows; row++)
                    {
                        bench.Write(qkv, row, [.. heard[row].Select(value => value * factor)]);
                        // A norm takes away what rows are larger by, but for those that it does not move.
                        bench.Write(residual, row, [.. before[row].Select((value, column) => column % 7 == layer ? value * factor : value * 0.001f)]);
                    }
                    GpuActivations one = bench.Activations(rows, Hidden, poisoned: true).Gpu, other = bench.Activations(rows, Hidden, poisoned: true).Gpu;
                    bench.Gpu.Kernels.Attend(qkv.Gpu, 0, heads, null, null, null, attended);
                    if (!parallel) bench.Gpu.Kernels.MatMul(attended, null, project, default, one);
                    bench.Gpu.Kernels.MatMul(residual.Gpu, norm, up, new Epilogue(null, ActivationFunction.Silu, !parallel), inner);
                    if (parallel) bench.Gpu.Kernels.MatMul(attended, null, project, default, one);
                    bench.Gpu.Kernels.MatMul(inner, null, down, default, other);
                    for (int row = 0; row < rows; row++) results.AddRange([bench.Row(one, row), bench.Row(other, row)]);
                }
            }
            if (sizes.Length > 1 && bench.Device is EmulatedDevice { Launched: var launched })
            {
                string[] rounding = [.. launched.Where(name => name.StartsWith("GpuCodeRound", StringComparison.Ordinal))];
                Assert.That(rounding, Has.Length.EqualTo(2 * Layers).And.All.EndWith(".RunKnown"));
            }
            return [.. results];
        }
    }

    /// <summary>Few rows and few tiles: warp groups take stages in turn, more than there are, the last with one piece, and hand sums on.</summary>
    [Test]
    public void A_row_has_the_same_bits_by_turns([Values(Scales.Nibbles, Scales.Zeros)] Scales scales)
    {
        const int Most = 33;
        Shape shape = new(45, 4736, Gated: false, scales, TensorType.E4M3x64);
        using GpuBench bench = Open(shape, multiprocessors: 1);
        using Stored stored = new(shape);
        Weight weight = bench.Keep(stored.Create(bench));
        bench.Begin(Most);
        GpuActivationsPair x = bench.Activations(Most, shape.Columns, operand: true);
        float[][] whole = Products(Most, x.Gpu, "GpuNibbleMatMul");
        foreach (int rows in (int[])[1, 12, 24])
        {
            bench.Begin(rows);
            GpuActivationsPair few = bench.Activations(rows, shape.Columns, operand: true);
            for (int row = 0; row < rows; row++) bench.Write(few, row, Floats(x.Reference.Row(row)));
            Assert.That(Products(rows, few.Gpu, "GpuNibbleRelayMatMul"), Is.EqualTo(whole[..rows]), $"{rows} rows");
        }

        float[][] Products(int rows, GpuActivations operand, string kernel)
        {
            GpuActivations y = bench.Activations(rows, shape.Rows, poisoned: true).Gpu;
            (bench.Device as EmulatedDevice)?.Launched.Clear();
            bench.Gpu.Kernels.MatMul(operand, null, weight, default, y);
            if (bench.Device is EmulatedDevice { Launched: var launched }) Assert.That(launched, Has.Some.StartsWith(kernel + "<"));
            return [.. Enumerable.Range(0, rows).Select(row => bench.Row(y, row))];
        }
    }

    /// <summary>With as many threads as a GPU's groups have.</summary>
    /// <param name="scales">How the weight is scaled; null: halves.</param>
    /// <param name="removeMean">Whether there is a mean to be taken away, and a bias.</param>
    [TestCase(null, false)]
    [TestCase(null, true)]
    [TestCase(Scales.Pieces, false)]
    [TestCase(Scales.Integers, true)]
    [TestCase(Scales.Nibbles, false)]
    public void A_normalised_row_has_the_same_bits_alone_and_among_others(Scales? scales, bool removeMean)
    {
        const int Rows = 9;
        Shape shape = new(45, 2304, Gated: false, scales ?? default, TensorType.E4M3x64);
        using GpuBench bench = OpenForLongNorms();
        using Stored stored = new(shape);
        Weight weight = scales is null ? bench.Weight(bench.Tensor(TensorType.F16, shape.Rows, shape.Columns)).Gpu : bench.Keep(stored.Create(bench));
        Assert.That(weight, scales is null ? Is.TypeOf<GpuWeight>() : Is.TypeOf<GpuCodeWeight>());
        Norm norm = bench.Norm(shape.Columns, removeMean, bias: removeMean).Gpu;
        bench.Begin(Rows);
        GpuActivationsPair x = bench.Activations(Rows, shape.Columns);
        GpuActivations whole = bench.Activations(Rows, shape.Rows, poisoned: true).Gpu, alone = bench.Activations(2, shape.Rows, poisoned: true).Gpu;
        bench.Gpu.Kernels.MatMul(x.Gpu, norm, weight, default, whole);
        float[][] found = [.. Enumerable.Range(0, Rows).Select(row => bench.Row(whole, row))];
        foreach (int row in (int[])[0, Rows - 1])
        {
            bench.Begin(1);
            GpuActivationsPair one = bench.Activations(1, shape.Columns);
            bench.Write(one, 0, Floats(x.Reference.Row(row)));
            bench.Gpu.Kernels.MatMul(one.Gpu, norm, weight, default, alone);
            Assert.That(bench.Row(alone, 0), Is.EqualTo(found[row]), $"row {row}");
            bench.AssertUntouched(alone, 1);
        }
    }

    /// <summary>What was recorded is not recorded again because a longer step wants logits, whose rows are normalised to halves.</summary>
    [Test]
    public void No_memory_moves_once_the_longest_step_has_been_prepared()
    {
        Shape shape = new(16, 128, Gated: false, Scales.Rows, TensorType.E4M3x64);
        using GpuBench bench = Open(shape);
        using Stored stored = new(shape);
        Weight weight = bench.Keep(stored.Create(bench)), output = bench.Weight(bench.Tensor(TensorType.F16, 16, 128)).Gpu;
        GpuActivations x = bench.Activations(700, shape.Columns).Gpu, y = bench.Activations(700, shape.Rows).Gpu;
        Norm norm = bench.Norm(shape.Columns, removeMean: false, bias: false).Gpu;
        bench.Gpu.Prepare(maxTokens: 700, contextLength: 64, Operations);
        int moves = Moves();
        foreach (int capacity in (int[])[256, 384, 700])
        {
            bench.Gpu.Step.BeginEmpty(decode: true, capacity);
            bench.Gpu.Run(Operations);
            Assert.That(Moves(), Is.EqualTo(moves), $"{capacity} rows");
        }

        void Operations()
        {
            bench.Gpu.Kernels.MatMul(x, norm, weight, default, y);
            bench.Gpu.Kernels.Logits(x, norm, output, default, y);
        }

        int Moves() => ((GpuKernels)bench.Gpu.Kernels).Moves;
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
