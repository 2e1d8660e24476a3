using Decart.Inference.Sampling;

namespace Decart.Inference.Tests.Sampling;

public class PhiloxTests
{
    /// <summary>The known answers published with the algorithm (philox4x32, 10 rounds).</summary>
    private static IEnumerable<TestCaseData> KnownAnswers()
    {
        yield return new(new uint[] { 0, 0, 0, 0 }, new uint[] { 0, 0 }, new uint[] { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 });
        yield return new(
            new uint[] { uint.MaxValue, uint.MaxValue, uint.MaxValue, uint.MaxValue },
            new uint[] { uint.MaxValue, uint.MaxValue },
            new uint[] { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd });
        yield return new(
            new uint[] { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
            new uint[] { 0xa4093822, 0x299f31d0 },
            new uint[] { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 });
    }

    [TestCaseSource(nameof(KnownAnswers))]
    public void Blocks_are_those_of_the_paper(uint[] counter, uint[] key, uint[] expected)
    {
        (uint x0, uint x1, uint x2, uint x3) = Philox.Block((counter[0], counter[1], counter[2], counter[3]), (key[0], key[1]));
        Assert.That(new[] { x0, x1, x2, x3 }, Is.EqualTo(expected));
    }

    [Test]
    public void Numbers_fill_the_unit_interval_evenly()
    {
        int[] histogram = new int[16];
        for (ulong i = 0; i < 16_000; i++) histogram[(int)(Philox.NextDouble(42, i) * 16)]++;
        double chiSquare = histogram.Sum(count => (count - 1000.0) * (count - 1000.0) / 1000);
        Assert.That(chiSquare, Is.LessThan(37.7), "15 degrees of freedom, 0.1 %");
    }

    [Test]
    public void Seeds_that_differ_in_their_upper_half_differ() =>
        Assert.That(Philox.NextDouble(1UL << 40, 0), Is.Not.EqualTo(Philox.NextDouble(0, 0)));
}
