using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;

namespace Decart.Inference.Tests.Kernels.Gpu;

// What steps leave to the next ones, and the same bits whatever else is computed.
internal sealed partial class GpuCodeMatMulTests
{
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
}
