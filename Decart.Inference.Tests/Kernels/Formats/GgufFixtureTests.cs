using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels.Formats;

/// <summary>A trained model's tensors as quantised by others, against the same tensors in bfloat16.</summary>
internal sealed unsafe class GgufFixtureTests
{
    /// <summary>Steps of a block's quantisation, as a share of its largest weight's magnitude (or, with a minimum, of its range).</summary>
    [TestCase("f16", 1 / 512.0)]
    [TestCase("q8_0", 1 / 127.0)]
    [TestCase("q4_0", 1 / 7.0)]
    [TestCase("q4_1", 2 / 15.0)]
    [TestCase("q5_0", 1 / 15.0)]
    [TestCase("q5_1", 2 / 31.0)]
    [NeedsFixtures]
    public void Decoded_weights_are_within_a_step_of_the_original(string name, double step)
    {
        using GgufFile original = GgufFile.Open(Fixtures.Path("gguf", "TinyStories-656K-bf16.gguf"));
        using GgufFile quantised = GgufFile.Open(Fixtures.Path("gguf", $"TinyStories-656K-{name}.gguf"));
        double squaredError = 0, squares = 0;
        foreach (string tensor in original.Tensors.Keys)
        {
            Assert.That(original.Table.TryGet(tensor, out StoredTensor expected) & quantised.Table.TryGet(tensor, out StoredTensor found), tensor);
            float[] expectedRow = new float[expected.Columns], foundRow = new float[expected.Columns];
            for (long row = 0; row < expected.Rows; row++)
            {
                Decode(expected, row, expectedRow);
                Decode(found, row, foundRow);
                for (int start = 0; start < foundRow.Length; start += 32)
                {
                    ReadOnlySpan<float> block = expectedRow.AsSpan(start, 32);
                    double largest = Math.Max(MathF.Abs(System.Numerics.Tensors.TensorPrimitives.MaxMagnitude(block)), 1e-6f);
                    for (int i = 0; i < 32; i++)
                    {
                        double error = Math.Abs((double)foundRow[start + i] - block[i]);
                        if (error > step * largest) Assert.Fail($"{tensor}[{row}, {start + i}]: {foundRow[start + i]} is too far from {block[i]}.");
                        squaredError += error * error;
                        squares += (double)block[i] * block[i];
                    }
                }
            }
        }
        Assert.That(Math.Sqrt(squaredError / squares), Is.LessThan(step), "relative error of all weights");
    }

    private static void Decode(in StoredTensor tensor, long row, float[] destination)
    {
        fixed (float* values = destination) TensorDecoder.DecodeRow(tensor, row, values);
    }
}
