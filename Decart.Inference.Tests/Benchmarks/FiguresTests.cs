using Decart.Inference.Benchmarks.Reports;
using Decart.Inference.Benchmarks.Throughput;

namespace Decart.Inference.Tests.Benchmarks;

internal sealed class FiguresTests
{
    [TestCase(0, 1)]
    [TestCase(0.25, 1.75)]
    [TestCase(0.5, 2.5)]
    [TestCase(0.99, 3.97)]
    [TestCase(1, 4)]
    public void A_percentile_lies_between_two_values_in_proportion(double share, double expected) =>
        Assert.That(Figures.Percentile([4, 1, 3, 2], share), Is.EqualTo(expected).Within(1e-12));

    [Test]
    public void Of_one_value_every_percentile_is_that_and_of_none_there_is_none()
    {
        Assert.That(Figures.Percentile([7], 0.99), Is.EqualTo(7));
        Assert.That(Figures.Percentile([], 0.5), Is.Null);
        Assert.That(() => Figures.Percentile([1], 1.01), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void What_is_no_figure_is_a_dash([Values(null, double.NaN, double.PositiveInfinity)] double? value) =>
        Assert.That(Figures.Text(value, "F2"), Is.EqualTo("-"));

    [TestCase("128", 128, 128)]
    [TestCase("64-512", 64, 512)]
    public void A_range_of_lengths_is_read_and_drawn_from(string text, int least, int most)
    {
        Assert.That(LengthRange.TryParse(text, out LengthRange range));
        Assert.That(range, Is.EqualTo(new LengthRange(least, most)));
        Assert.That(range.ToString(), Is.EqualTo(text));
        Random random = new(1);
        int[] drawn = [.. Enumerable.Range(0, 10_000).Select(_ => range.Draw(random))];
        Assert.That((drawn.Min(), drawn.Max()), Is.EqualTo((least, most)));
    }

    [Test]
    public void What_is_no_range_of_lengths_is_refused([Values(null, "", "0", "-5", "5-", "9-8", "1-2-3", "0-4", "many", "99999999999")] string? text) =>
        Assert.That(LengthRange.TryParse(text, out _), Is.False);
}
