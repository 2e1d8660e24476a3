using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

/// <summary>The bookkeeping of placeholders against the rules of Windows, on any system.</summary>
public sealed class PlaceholderSplitsTests
{
    private const int Page = 4;

    [Test]
    public void Random_maps_follow_the_rules_of_windows([Range(1, 20)] int seed)
    {
        var random = new Random(seed);
        int length = random.Next(1, 40);
        Reservation[] reservations = [new(1000, length * Page), new(1000 + (length * Page), 3 * Page)];
        var splits = new PlaceholderSplits(Page);
        var windows = new SortedDictionary<nint, long>();
        foreach (Reservation reservation in reservations) windows.Add(reservation.Address, reservation.Bytes);
        for (int map = 0; map < 2 * length; map++)
        {
            Reservation reservation = reservations[random.Next(2)];
            nint address = reservation.Address + (random.Next((int)(reservation.Bytes / Page)) * Page);
            if (!splits.IsPage(reservation, address)) Split(windows, address);
            splits.Add(address);
            Assert.That(windows[address], Is.EqualTo(Page), "a view replaces a placeholder of its own size");
        }
        foreach (Reservation reservation in reservations)
        {
            foreach (nint start in splits.Remove(reservation)) Assert.That(windows.Remove(start), Is.True, "freed from its beginning");
        }
        Assert.That(windows, Is.Empty);
        Assert.That(splits.Remove(reservations[1]), Is.EqualTo(new[] { reservations[1].Address }), "nothing is remembered");
    }

    /// <summary>Splitting takes a page out of a larger placeholder; of one of that size it is an error.</summary>
    private static void Split(SortedDictionary<nint, long> placeholders, nint address)
    {
        (nint start, long length) = placeholders.Last(placeholder => placeholder.Key <= address);
        Assert.That(length, Is.GreaterThan(Page));
        placeholders.Remove(start);
        if (address > start) placeholders.Add(start, address - start);
        placeholders.Add(address, Page);
        nint end = start + (nint)length, after = address + Page;
        if (after < end) placeholders.Add(after, end - after);
    }
}
