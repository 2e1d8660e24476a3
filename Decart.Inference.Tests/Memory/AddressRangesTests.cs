using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

internal sealed class AddressRangesTests
{
    private const int Unmapped = AddressRanges.Unmapped;

    [TestCase(Unmapped, Unmapped, 0)]
    [TestCase(Unmapped, 0, 1)]
    [TestCase(0, Unmapped, 1)]
    [TestCase(4, 5, 0)]
    [TestCase(5, 4, 1)]
    [TestCase(4, 4, 1)]
    [TestCase(4, 6, 1)]
    public void Neighbours_merge_where_nothing_is_mapped_or_pages_follow_each_other(int left, int right, int seams) =>
        Assert.That(AddressRanges.Seam(left, right), Is.EqualTo(seams));

    [Test]
    public void Sessions_share_one_limit_and_give_back_what_they_have_when_they_are_disposed()
    {
        AddressRanges ranges = new(10);
        using AddressRangeShare first = ranges.Open(2);
        AddressRangeShare second = ranges.Open(2);
        Assert.That((first.TryTake(4), second.TryTake(3), second.TryTake(2), first.TryTake(1)), Is.EqualTo((true, false, true, false)));
        second.Dispose();
        second.Dispose();
        Assert.That((ranges.Taken, first.Taken, first.TryTake(4), first.TryTake(1)), Is.EqualTo((6, 6, true, false)));
    }

    [Test]
    public void A_new_session_gets_its_fixed_ranges_beyond_the_limit()
    {
        AddressRanges ranges = new(4);
        using AddressRangeShare first = ranges.Open(2), second = ranges.Open(3);
        Assert.That((ranges.Available, first.TryTake(1)), Is.EqualTo((-1, false)));
    }

    [Test]
    public void Who_waits_is_woken_when_ranges_come_back()
    {
        AddressRanges ranges = new(10);
        using AddressRangeShare holding = ranges.Open(1), waiting = ranges.Open(1);
        int woken = 0, asked = 0;
        (waiting.Wake, holding.Wake) = (() => woken++, () => asked++);
        Assert.That(waiting.Wait(9), Is.False, "nobody holds any that will come back");
        holding.TryTake(8);
        Assert.That((waiting.Wait(1), waiting.IsWaiting, asked, holding.IsAsked), Is.EqualTo((true, true, 1, true)));
        holding.Return(1);
        Assert.That((woken, waiting.IsWaiting, holding.IsAsked), Is.EqualTo((1, false, false)));
        Assert.That(waiting.Wait(1), Is.False, "it is there");
        holding.Return(1);
        Assert.That(woken, Is.EqualTo(1), "it does not wait any longer");
    }

    [Test]
    public void A_session_with_more_than_its_part_begins_nothing_while_one_with_less_waits()
    {
        AddressRanges ranges = new(10);
        using AddressRangeShare large = ranges.Open(1), small = ranges.Open(1);
        large.TryTake(7);
        Assert.That(large.AreOwed, Is.False);
        small.Wait(3);
        Assert.That((large.AreOwed, small.AreOwed), Is.EqualTo((true, false)));
        large.Return(4);
        Assert.That(large.AreOwed, Is.False);
    }

    [Test]
    public void Threads_take_no_more_than_there_are()
    {
        AddressRanges ranges = new(1_000);
        using AddressRangeShare share = ranges.Open(0);
        Parallel.For(0, 4, _ =>
        {
            for (int i = 0; i < 20_000; i++)
            {
                if (!share.TryTake(300)) continue;
                Assert.That(ranges.Available, Is.GreaterThanOrEqualTo(0));
                share.Return(300);
            }
        });
        Assert.That(ranges.Taken, Is.Zero);
    }
}
