using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Tests.Kernels.Formats;

namespace Decart.Inference.Tests.Kernels.Gpu;

[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuMatMulTests(string device)
{
    [Test]
    public void Products_agree_with_the_reference(
        [Values(TensorType.F32, TensorType.F16, TensorType.BF16)] TensorType type, [Values(1, 3, 9)] int rows, [Values(1, 19, 64)] int outputs)
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(rows);
        var weight = bench.Weight(bench.Tensor(type, outputs, 77));
        GpuActivationsPair x = bench.Activations(rows, 77, operand: true), y = bench.Activations(rows + 1, outputs, poisoned: true);

        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight.Gpu, default, y.Gpu);
        bench.Reference.Kernels.MatMul(x.Reference, null, weight.Reference, default, y.Reference);

        bench.AssertClose(y, rows, 1e-5);
        bench.AssertUntouched(y.Gpu, rows);
    }

    /// <summary>Only its last row's are wanted, with the bits that it has among all.</summary>
    [Test]
    public void Logits_of_a_prompt_are_those_of_its_last_row()
    {
        const int Rows = 5, Columns = 77, Outputs = 19;
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(Rows);
        Weight weight = bench.Weight(bench.Tensor(TensorType.F16, Outputs, Columns)).Gpu;
        Norm norm = bench.Norm(Columns, removeMean: false, bias: false).Gpu;
        GpuActivations x = bench.Activations(Rows, Columns).Gpu, all = bench.Activations(Rows, Outputs, poisoned: true).Gpu, last = bench.Activations(2, Outputs, poisoned: true).Gpu;
        bench.Gpu.Kernels.MatMul(x, norm, weight, default, all);
        bench.Gpu.Kernels.Logits(x, norm, weight, default, last);
        Assert.That(bench.Row(last, 0), Is.EqualTo(bench.Row(all, Rows - 1)));
        bench.AssertUntouched(last, 1);
    }

    /// <summary>Blocks of 128 rows are whole: a slice begins and ends with them, or with the weight.</summary>
    [Test]
    public void A_slice_of_a_weight_has_its_columns_of_the_products()
    {
        const int Columns = 65, Outputs = 300;
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(2);
        Weight whole = bench.Weight(bench.Tensor(TensorType.F16, Outputs, Columns)).Gpu;
        GpuActivations x = bench.Activations(2, Columns, operand: true).Gpu, y = bench.Activations(2, Outputs).Gpu;
        bench.Gpu.Kernels.MatMul(x, null, whole, default, y);
        foreach ((int first, int count) in ((int, int)[])[(0, 128), (128, 128), (128, 172), (256, 44)])
        {
            GpuActivations part = bench.Activations(3, count, poisoned: true).Gpu;
            using Weight slice = whole.Slice(first, count)!;
            bench.Gpu.Kernels.MatMul(x, null, slice, default, part);
            for (int row = 0; row < 2; row++) Assert.That(bench.Row(part, row), Is.EqualTo(bench.Row(y, row)[first..(first + count)]), $"{count} columns from {first} on, row {row}");
            bench.AssertUntouched(part, 2);
        }
        bench.Gpu.Kernels.MatMul(x, null, whole, default, y); // what its slices are disposed of does not concern it
        foreach ((int first, int count) in ((int, int)[])[(0, 100), (64, 128), (130, 170)]) Assert.That(whole.Slice(first, count), Is.Null);
    }

    [Test]
    public void A_weight_joins_parts_of_any_type()
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(2);
        var weight = bench.Weight(bench.Tensor(TensorType.BF16, 3, 65), bench.Tensor(TensorType.F32, 1, 65), bench.Tensor(TensorType.F16, 9, 65));
        GpuActivationsPair x = bench.Activations(2, 65, operand: true), y = bench.Activations(2, 13, poisoned: true);

        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight.Gpu, default, y.Gpu);
        bench.Reference.Kernels.MatMul(x.Reference, null, weight.Reference, default, y.Reference);

        bench.AssertClose(y, 2, 1e-5);
    }

    [Test]
    public unsafe void Blocks_are_widened_to_the_halves_of_their_weights(
        [Values(TensorType.Q4_K, TensorType.IQ4_NL, TensorType.IQ4_XS, TensorType.IQ3_S, TensorType.IQ2_XXS, TensorType.TQ1_0, TensorType.MXFP4)] TensorType type)
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(1);
        byte[] blocks = new byte[5 * 256 / type.BlockLength() * type.BlockBytes()];
        float[] values = new float[5 * 256];
        ReferenceWeights.Fill(type, blocks, new Random(3));
        fixed (byte* data = blocks)
        fixed (float* decoded = values)
        {
            StoredTensor tensor = new("blocks", type, [5, 256], (nint)data);
            for (int row = 0; row < 5; row++) TensorDecoder.DecodeRow(tensor, row, decoded + (row * 256));
            var weight = bench.Weight(tensor);
            var widened = bench.Weight(new StoredTensor("values", TensorType.F32, [5, 256], (nint)decoded));
            GpuActivationsPair x = bench.Activations(1, 256, operand: true), y = bench.Activations(1, 5), z = bench.Activations(1, 5);
            bench.Gpu.Kernels.MatMul(x.Gpu, null, weight.Gpu, default, y.Gpu);
            bench.Gpu.Kernels.MatMul(x.Gpu, null, widened.Gpu, default, z.Gpu);
            Assert.That(bench.Row(y.Gpu, 0), Is.EqualTo(bench.Row(z.Gpu, 0)));
        }
    }

    [Test]
    public void The_epilogue_follows_its_definition(
        [Values] ActivationFunction function, [Values] bool gated, [Values(0f, 1.5f)] float softCap, [Values] bool accumulate)
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(5);
        var weight = bench.Weight(gated, bench.Tensor(TensorType.F16, 22, 40));
        var bias = bench.Vector(bench.Tensor(TensorType.F32, 22));
        GpuActivationsPair x = bench.Activations(5, 40, operand: true), y = bench.Activations(5, gated ? 11 : 22, poisoned: !accumulate);

        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight.Gpu, new Epilogue(bias.Gpu, function, gated, softCap, accumulate), y.Gpu);
        bench.Reference.Kernels.MatMul(x.Reference, null, weight.Reference, new Epilogue(bias.Reference, function, gated, softCap, accumulate), y.Reference);

        bench.AssertClose(y, 5, 1e-5);
    }

    [Test]
    public void Operands_are_rounded_to_halves_and_saturate()
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(2);
        var weight = bench.Weight(bench.Tensor(TensorType.F16, 7, 40));
        var large = bench.Weight(bench.Tensor(TensorType.F16, 7, 7));
        GpuActivationsPair x = bench.Activations(2, 40, operand: true), y = bench.Activations(2, 7, operand: true, poisoned: true);
        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight.Gpu, default, y.Gpu);
        bench.Reference.Kernels.MatMul(x.Reference, null, weight.Reference, default, y.Reference);
        bench.AssertClose(y, 2, 5e-4);

        bench.Begin(1);
        bench.Write(y, 0, [60000, 60000, 60000, 60000, 60000, 60000, 60000]);
        GpuActivationsPair saturated = bench.Activations(1, 7, operand: true, poisoned: true);
        bench.Gpu.Kernels.MatMul(y.Gpu, null, large.Gpu, default, saturated.Gpu);
        bench.Reference.Kernels.MatMul(y.Reference, null, large.Reference, default, saturated.Reference);
        float[] expected = [.. saturated.Reference.Row(0).ToArray().Select(value => (float)(Half)Math.Clamp(value, -65504, 65504))];
        Assert.That(bench.Row(saturated.Gpu, 0), Is.EqualTo(expected).Within(1e-3).Percent);
        Assert.That(expected, Has.Some.EqualTo(65504).Or.Some.EqualTo(-65504), "some are out of range");
    }

    [Test]
    public void A_row_has_the_same_bits_alone_and_among_others()
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        var weight = bench.Weight(bench.Tensor(TensorType.BF16, 33, 200));
        GpuActivationsPair x = bench.Activations(11, 200, operand: true), y = bench.Activations(11, 33, poisoned: true);
        bench.Begin(11);
        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight.Gpu, default, y.Gpu);
        bench.Begin(1);
        for (int row = 0; row < 11; row++)
        {
            GpuActivationsPair alone = bench.Activations(1, 200, operand: true), result = bench.Activations(1, 33, poisoned: true);
            bench.Write(alone, 0, bench.Row(x.Gpu, row));
            bench.Gpu.Kernels.MatMul(alone.Gpu, null, weight.Gpu, default, result.Gpu);
            Assert.That(bench.Row(result.Gpu, 0), Is.EqualTo(bench.Row(y.Gpu, row)), $"row {row}");
        }
    }

    /// <summary>As attention reads the residual in models that have no norm before it (OLMo 2).</summary>
    [Test]
    public void Float32_is_multiplied_as_the_halves_that_an_operand_would_hold([Values(1, 9)] int rows, [Values(64, 77)] int columns)
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(rows);
        var weight = bench.Weight(bench.Tensor(TensorType.F16, 19, columns));
        GpuActivationsPair operand = bench.Activations(rows, columns, operand: true), residual = bench.Activations(rows + 1, columns, poisoned: true);
        for (int row = 0; row < rows; row++) bench.Write(residual, row, bench.Row(operand.Gpu, row));
        GpuActivationsPair expected = bench.Activations(rows, 19, poisoned: true), found = bench.Activations(rows + 1, 19, poisoned: true);

        bench.Gpu.Kernels.MatMul(operand.Gpu, null, weight.Gpu, default, expected.Gpu);
        bench.Gpu.Kernels.MatMul(residual.Gpu, null, weight.Gpu, default, found.Gpu);

        for (int row = 0; row < rows; row++) Assert.That(bench.Row(found.Gpu, row), Is.EqualTo(bench.Row(expected.Gpu, row)), $"row {row}");
        bench.AssertUntouched(found.Gpu, rows);
    }

    [Test]
    public void Float32_beyond_the_largest_half_is_multiplied_as_that()
    {
        using GpuBench bench = new(GpuDevices.Create(device));
        bench.Begin(2);
        var weight = bench.Weight(bench.Tensor(TensorType.F16, 3, 8));
        GpuActivationsPair x = bench.Activations(2, 8), y = bench.Activations(2, 3, poisoned: true);
        bench.Write(x, 0, [1e9f, -1e9f, 0, 0, 0, 0, 0, 0]);
        bench.Write(x, 1, [65504, -65504, 0, 0, 0, 0, 0, 0]);

        bench.Gpu.Kernels.MatMul(x.Gpu, null, weight.Gpu, default, y.Gpu);

        Assert.That(bench.Row(y.Gpu, 0), Is.EqualTo(bench.Row(y.Gpu, 1)).And.All.Matches<float>(float.IsFinite));
    }
}
