using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels;

internal sealed class MatMulEpilogueTests
{
    private readonly ThreadTeam _team = new(2);

    [OneTimeTearDown]
    public void EndTeam() => _team.Dispose();

    [Test]
    public void The_epilogue_follows_its_definition(
        [Values] ActivationFunction function, [Values] bool gated, [Values] bool hasBias, [Values(0f, 1.5f)] float softCap, [Values] bool accumulate,
        [Values(1, 4)] int rows, [Values(2, 22, 32)] int outputs)
    {
        var random = new Random(5);
        using var matMul = new CpuMatMul(_team);
        using var weight = new MatMulTestWeight(40, random, (TensorType.F32, outputs));
        float[] x = MatMulTestRun.RandomActivations(rows, 40, random);
        float[]? bias = hasBias ? [.. Enumerable.Range(0, outputs).Select(_ => random.NextSingle())] : null;
        var epilogue = new Epilogue(null, function, gated, softCap, accumulate);
        float initial = accumulate ? 0.25f : float.NaN;

        float[] results = MatMulTestRun.Multiply(matMul, weight.Weight, x, rows, epilogue, bias, initial);

        (double[] sums, _) = MatMulTestRun.Reference(weight.Values, x, rows);
        int columns = gated ? outputs / 2 : outputs;
        for (int row = 0; row < rows; row++)
        {
            for (int column = 0; column < columns; column++)
            {
                double v = Apply(function, Sum(row, column));
                if (gated) v *= Sum(row, columns + column);
                if (softCap != 0) v = softCap * Math.Tanh(v / softCap);
                if (accumulate) v += initial;
                Assert.That(results[(row * columns) + column], Is.EqualTo(v).Within(2e-5), $"row {row}, column {column}");
            }
        }

        double Sum(int row, int output) => sums[(row * outputs) + output] + (bias?[output] ?? 0);
    }

    [Test]
    public void Gates_and_ups_may_differ_in_encoding_and_start_anywhere([Values(1, 3)] int rows)
    {
        var random = new Random(6);
        using var matMul = new CpuMatMul(_team);
        using var weight = new MatMulTestWeight(35, random, (TensorType.F32, 7), (TensorType.BF16, 6), (TensorType.F16, 13));
        float[] x = MatMulTestRun.RandomActivations(rows, 35, random);
        float[] results = MatMulTestRun.Multiply(matMul, weight.Weight, x, rows, new Epilogue(null, ActivationFunction.Silu, Gated: true));
        (double[] sums, _) = MatMulTestRun.Reference(weight.Values, x, rows);
        for (int i = 0; i < results.Length; i++)
        {
            int first = i / 13 * 26;
            double expected = Apply(ActivationFunction.Silu, sums[first + (i % 13)]) * sums[first + 13 + (i % 13)];
            Assert.That(results[i], Is.EqualTo(expected).Within(2e-5));
        }
    }

    [TestCase(ActivationFunction.Silu)]
    [TestCase(ActivationFunction.Gelu)]
    [TestCase(ActivationFunction.GeluTanh)]
    public void Activation_functions_are_within_1e_6_of_float64(ActivationFunction function)
    {
        AssertClose(x => Apply(function, x), x => function switch
        {
            ActivationFunction.Silu => MatMulFunctions.Silu(System.Runtime.Intrinsics.Vector256.Create(x))[3],
            ActivationFunction.Gelu => MatMulFunctions.Gelu(System.Runtime.Intrinsics.Vector256.Create(x))[3],
            _ => MatMulFunctions.GeluTanh(System.Runtime.Intrinsics.Vector256.Create(x))[3],
        });
    }

    [Test]
    public void The_hyperbolic_tangent_is_within_1e_6_of_float64() =>
        AssertClose(Math.Tanh, x => MatMulFunctions.Tanh(System.Runtime.Intrinsics.Vector256.Create(x))[0]);

    private static void AssertClose(Func<double, double> expected, Func<float, float> actual)
    {
        double worst = 0;
        for (float x = -9; x < 12; x += 0.00037f)
        {
            double reference = expected(x);
            double error = Math.Abs(actual(x) - reference) / Math.Abs(reference);
            Assert.That(error, Is.LessThan(1e-6), $"at {x}");
            worst = Math.Max(worst, error);
        }
        TestContext.Out.WriteLine($"largest relative error {worst:e1}");
        foreach (float x in (float[])[-1e30f, -200, -50, -0f, 0, 1e-30f, -1e-30f, 50, 200, 1e30f])
        {
            double reference = expected(x);
            Assert.That(actual(x), Is.EqualTo(reference).Within(Math.Abs(reference) * 1e-6 + 1e-30), $"at {x}");
        }
    }

    private static double Apply(ActivationFunction function, double x) => function switch
    {
        ActivationFunction.Silu => x / (1 + Math.Exp(-x)),
        ActivationFunction.Gelu => x * NormalDistribution(x),
        ActivationFunction.GeluTanh => x / (1 + Math.Exp(-2 * Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))),
        _ => x,
    };

    /// <summary>By its series near zero and by its continued fraction in the tails (Abramowitz and Stegun 26.2.11 and 26.2.14).</summary>
    private static double NormalDistribution(double x)
    {
        double density = Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI);
        double a = Math.Abs(x);
        double upperTail;
        if (a < 2.5)
        {
            double term = a, sum = a;
            for (int n = 3; n < 80; n += 2) sum += term *= a * a / n;
            upperTail = 0.5 - (density * sum);
        }
        else
        {
            double fraction = 0;
            for (int n = 300; n > 0; n--) fraction = n / (a + fraction);
            upperTail = density / (a + fraction);
        }
        return x < 0 ? upperTail : 1 - upperTail;
    }
}
