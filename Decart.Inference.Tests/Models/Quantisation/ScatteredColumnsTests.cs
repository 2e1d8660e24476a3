using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Tests.Kernels;

namespace Decart.Inference.Tests.Models.Quantisation;

/// <summary>Weights whose groups are scattered over the columns (act-order), multiplied beside float64.</summary>
[TestFixture(SimdWidth.Scalar)]
[TestFixture(SimdWidth.Vector128)]
[TestFixture(SimdWidth.Vector256)]
[TestFixture(SimdWidth.Vector512)]
internal sealed class ScatteredColumnsTests(SimdWidth width)
{
    private const int Rows = 21, Columns = 192;
    private const string Configuration = """{ "quant_method": "gptq", "bits": 4, "group_size": 64, "desc_act": true }""";

    [Test]
    public void Products_are_those_of_the_columns([Values(1, 2, 7, 40)] int rows)
    {
        WrittenLayer layer = new WrittenLayer(Rows, Columns).Gptq(4, 64, symmetric: false, actOrder: true);
        using QuantisedFolder folder = new(Configuration, layer);
        using TensorSource source = folder.Open();
        StoredTensor tensor = source.Require("layer.weight", Rows, Columns);
        Assert.That(tensor.ColumnOrder.IsDefault, Is.False);
        using CpuWeight weight = new(StoredTensors.AsWeight(tensor.SliceRows(0, 9), tensor.SliceRows(9, Rows - 9)));
        Assert.That(weight.ColumnOrder, Is.EqualTo(tensor.ColumnOrder));
        AssertAgrees(weight, layer.Expected, rows);
    }

    [Test]
    public void Parts_that_are_scattered_differently_are_widened([Values(1, 7)] int rows)
    {
        WrittenLayer first = new WrittenLayer(Rows, Columns).Gptq(4, 64, symmetric: true, actOrder: true);
        WrittenLayer second = new WrittenLayer(Rows, Columns, seed: 2).Gptq(4, 64, symmetric: true), third = new WrittenLayer(Rows, Columns, seed: 3).Gptq(4, 64, true, actOrder: true);
        using QuantisedFolder firstFolder = new(Configuration, first), secondFolder = new(Configuration, second), thirdFolder = new(Configuration, third);
        using TensorSource a = firstFolder.Open(), b = secondFolder.Open(), c = thirdFolder.Open();
        StoredTensor[] tensors = [.. new[] { a, b, c }.Select(source => source.Require("layer.weight", Rows, Columns))];
        using CpuWeight weight = new(StoredTensors.AsWeight(tensors));
        Assert.That(weight.ColumnOrder.IsDefault, Is.True);
        AssertAgrees(weight, [.. first.Expected, .. second.Expected, .. third.Expected], rows);
    }

    private void AssertAgrees(CpuWeight weight, double[][] expected, int rows)
    {
        float[][] values = [.. expected.Select(row => Array.ConvertAll(row, element => (float)element))];
        float[] decoded = new float[Columns];
        for (int row = 0; row < values.Length; row++)
        {
            weight.DecodeRow(row, decoded);
            Assert.That(decoded, Is.EqualTo(values[row]));
        }
        using ThreadTeam team = new(2);
        using CpuMatMul matMul = new(team, width);
        float[] x = MatMulTestRun.RandomActivations(rows, Columns, new Random(rows));
        float[] found = MatMulTestRun.Multiply(matMul, weight, x, rows);
        (double[] sums, double[] magnitudes) = MatMulTestRun.Reference(values, x, rows);
        for (int i = 0; i < sums.Length; i++) Assert.That(found[i], Is.EqualTo(sums[i]).Within(1e-5 * magnitudes[i]), $"output {i}");
    }
}
