using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels;

[TestFixture(SimdWidth.Scalar)]
[TestFixture(SimdWidth.Vector128)]
[TestFixture(SimdWidth.Vector256)]
[TestFixture(SimdWidth.Vector512)]
internal sealed class MatMulTests(SimdWidth width)
{
    private readonly ThreadTeam _team = new(3);

    [OneTimeTearDown]
    public void EndTeam() => _team.Dispose();

    [Test]
    public void Sums_agree_with_float64(
        [Values(TensorType.F32, TensorType.F16, TensorType.BF16)] TensorType type,
        [Values(1, 7, 16, 33, 100, 512, 1041)] int columns,
        [Values(1, 3, 8, 17)] int outputs)
    {
        var random = new Random(columns + outputs);
        using var matMul = new CpuMatMul(_team, width);
        using var weight = new MatMulTestWeight(columns, random, (type, outputs));
        foreach (int rows in (int[])[1, 2, 3, 5, 40]) AssertAgrees(matMul, weight, rows, random);
    }

    [Test]
    public void A_slice_of_a_weight_has_its_columns_of_the_products([Values(0, 3, 13)] int first, [Values(1, 12)] int count)
    {
        var random = new Random(2);
        using var matMul = new CpuMatMul(_team, width);
        using var weight = new MatMulTestWeight(256, random, (TensorType.BF16, 13), (TensorType.Q4_K, 12));
        float[] x = MatMulTestRun.RandomActivations(1, 256, random), whole = MatMulTestRun.Multiply(matMul, weight.Weight, x, 1);
        using Weight slice = weight.Weight.Slice(first, count)!;
        Assert.That(MatMulTestRun.Multiply(matMul, (CpuWeight)slice, x, 1), Is.EqualTo(whole[first..(first + count)]));
    }

    private static IEnumerable<TensorType> BlockTypes() => Enum.GetValues<TensorType>().Where(type => type.BlockLength() > 1);

    [TestCaseSource(nameof(BlockTypes))]
    public void Sums_of_blocks_agree_with_float64_and_with_themselves_in_any_company(TensorType type)
    {
        var random = new Random(5);
        using var matMul = new CpuMatMul(_team, width);
        using var weight = new MatMulTestWeight(1280, random, (type, 13));
        foreach (int rows in (int[])[1, 2, 7]) AssertAgrees(matMul, weight, rows, random);
        float[] x = MatMulTestRun.RandomActivations(7, 1280, random);
        Assert.That(MatMulTestRun.Multiply(matMul, weight.Weight, x, 1), Is.EqualTo(MatMulTestRun.Multiply(matMul, weight.Weight, x, 7).Take(13)));
    }

    [Test]
    public void Large_matrices_split_over_blocks_and_tasks()
    {
        var random = new Random(1);
        using var matMul = new CpuMatMul(_team, width);
        using var weight = new MatMulTestWeight(600, random, (TensorType.BF16, 301));
        AssertAgrees(matMul, weight, 211, random);
        AssertAgrees(matMul, weight, 1, random);
    }

    [Test]
    public void Parts_may_differ_in_encoding_and_end_anywhere([Values(1, 2, 6)] int rows, [Values(64, 45)] int columns)
    {
        var random = new Random(rows);
        using var matMul = new CpuMatMul(_team, width);
        using var weight = new MatMulTestWeight(columns, random,
            (TensorType.BF16, 5), (TensorType.F32, 1), (TensorType.F16, 9),
            (TensorType.BF16, 2), (TensorType.F32, 1), (TensorType.BF16, 14), (TensorType.F32, 2));
        AssertAgrees(matMul, weight, rows, random);
    }

    [Test]
    public void A_row_gives_the_same_bits_in_any_company(
        [Values(TensorType.F32, TensorType.F16, TensorType.BF16)] TensorType type, [Values(64, 1200, 77)] int columns)
    {
        var random = new Random(columns);
        using var weight = new MatMulTestWeight(columns, random, (type, 50));
        float[] x = MatMulTestRun.RandomActivations(17, columns, random);
        using var alone = new ThreadTeam(1);
        using var matMulAlone = new CpuMatMul(alone, width);
        int stride = columns + MatMulTestRun.Padding;
        var expected = new List<float>();
        for (int row = 0; row < 17; row++) expected.AddRange(MatMulTestRun.Multiply(matMulAlone, weight.Weight, x[(row * stride)..], 1));

        foreach (int threads in (int[])[1, 2, 5])
        {
            using var team = new ThreadTeam(threads);
            using var matMul = new CpuMatMul(team, width);
            for (int rows = 1; rows <= 17; rows++)
            {
                float[] results = MatMulTestRun.Multiply(matMul, weight.Weight, x, rows);
                Assert.That(results, Is.EqualTo(expected.Take(rows * 50)), $"{rows} rows, {threads} threads");
            }
        }
    }

    [Test]
    public void Many_threads_on_few_processors_give_the_same_bits_every_time([Values(1, 30)] int rows)
    {
        var random = new Random(7);
        using var weight = new MatMulTestWeight(320, random, (TensorType.BF16, 700));
        float[] x = MatMulTestRun.RandomActivations(rows, 320, random);
        using var team = new ThreadTeam((2 * Environment.ProcessorCount) + 3);
        using var matMul = new CpuMatMul(team, width);
        float[] first = MatMulTestRun.Multiply(matMul, weight.Weight, x, rows);
        for (int i = 0; i < 200; i++) Assert.That(MatMulTestRun.Multiply(matMul, weight.Weight, x, rows).AsSpan().SequenceEqual(first));
    }

    [Test]
    public unsafe void A_call_allocates_nothing([Values(1, 20)] int rows)
    {
        var random = new Random(3);
        using var weight = new MatMulTestWeight(330, random, (TensorType.BF16, 64));
        float[] x = MatMulTestRun.RandomActivations(rows, 330, random);
        using var matMul = new CpuMatMul(_team, width);
        fixed (float* xPointer = x, y = new float[rows * 64])
        {
            float* source = xPointer, destination = y;
            Assert.That(Allocations.InSteadyState(() => matMul.Multiply(source, 335, rows, weight.Weight, default, null, destination, 64)), Is.Zero);
        }
    }

    private static void AssertAgrees(CpuMatMul matMul, MatMulTestWeight weight, int rows, Random random)
    {
        float[] x = MatMulTestRun.RandomActivations(rows, weight.Weight.Columns, random);
        float[] results = MatMulTestRun.Multiply(matMul, weight.Weight, x, rows);
        (double[] sums, double[] magnitudes) = MatMulTestRun.Reference(weight.Values, x, rows);
        for (int i = 0; i < sums.Length; i++)
        {
            // Rounding errors of n additions in a row: at most n units in the last place of the sum of magnitudes, about sqrt(n) in practice.
            double tolerance = 6e-8 * Math.Sqrt(weight.Weight.Columns) * 2 * magnitudes[i];
            Assert.That(results[i], Is.EqualTo(sums[i]).Within(tolerance), $"{rows} rows, element {i}");
        }
    }
}
