using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels;

internal sealed unsafe class LaneMathTests
{
    [Test]
    public void Exponentials_are_right_to_one_in_ten_million()
    {
        for (double x = -87.2; x < 88; x += 0.00317) AssertEverywhere((float)x, Math.Exp((float)x), 1.5e-7 * Math.Exp((float)x));
    }

    [TestCase(0f, 1f)]
    [TestCase(-87.4f, 0f)]
    [TestCase(-1e30f, 0f)]
    [TestCase(float.NegativeInfinity, 0f)]
    [TestCase(float.NaN, float.NaN)]
    public void Exponentials_of_special_values_are_exact(float x, float expected)
    {
        Assert.That(All(x, tanh: false), Is.All.EqualTo(expected));
    }

    [Test]
    public void Hyperbolic_tangents_are_right_to_one_in_ten_million()
    {
        for (double x = -50; x < 50; x += 0.00317)
        {
            foreach (float found in All((float)x, tanh: true)) Assert.That(found, Is.EqualTo(Math.Tanh((float)x)).Within(2e-7));
        }
    }

    private static void AssertEverywhere(float x, double expected, double tolerance)
    {
        foreach (float found in All(x, tanh: false))
        {
            if (!(Math.Abs(found - expected) <= tolerance)) Assert.Fail($"x = {x:r}: expected {expected:r}, found {found:r}");
        }
    }

    /// <summary>The function's value by each width, in its first and last lane.</summary>
    private static float[] All(float x, bool tanh) => [.. Of<Float32x1>(x, tanh), .. Of<Float32x4>(x, tanh), .. Of<Float32x8>(x, tanh), .. Of<Float32x16>(x, tanh)];

    private static float[] Of<TLanes>(float x, bool tanh)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        float* values = stackalloc float[16];
        (tanh ? LaneMath.Tanh(TLanes.Create(x)) : LaneMath.Exp(TLanes.Create(x))).Store(values);
        return [values[0], values[TLanes.Count - 1]];
    }
}
