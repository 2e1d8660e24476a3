using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

internal sealed class PrefixCacheTests
{
    [Test]
    public void A_page_stands_for_all_tokens_up_to_its_end()
    {
        PrefixCache cache = new(pages: 8, longestSegment: 4);
        long first = cache.Add(PrefixCache.Root, [1, 2, 3], page: 5)!.Value;
        long second = cache.Add(first, [4, 5], page: 2)!.Value;
        Assert.That(cache.TryFind(PrefixCache.Root, [1, 2, 3], out int page, out long id));
        Assert.That((page, id), Is.EqualTo((5, first)));
        Assert.That(cache.TryFind(first, [4, 5], out page, out id));
        Assert.That((page, id), Is.EqualTo((2, second)));
        Assert.That(cache.TryFind(PrefixCache.Root, [4, 5], out _, out _), Is.False, "it follows the first only");
        Assert.That(cache.TryFind(first, [4], out _, out _), Is.False);
        Assert.That(cache.TryFind(PrefixCache.Root, [1, 2, 4], out _, out _), Is.False);
    }

    [Test]
    public void The_first_page_of_the_same_tokens_stays()
    {
        PrefixCache cache = new(pages: 8, longestSegment: 4);
        long? first = cache.Add(PrefixCache.Root, [1, 2], page: 0);
        Assert.That(cache.Add(PrefixCache.Root, [1, 2], page: 1), Is.EqualTo(first));
        Assert.That((cache.Holds(0), cache.Holds(1)), Is.EqualTo((true, false)));
        Assert.That(cache.Add(PrefixCache.Root, [9, 9], page: 0), Is.Null, "a page has one content");
    }

    [Test]
    public void A_page_that_begins_alike_is_found_by_its_common_tokens()
    {
        PrefixCache cache = new(pages: 8, longestSegment: 4);
        long parent = cache.Add(PrefixCache.Root, [7], page: 0)!.Value;
        cache.Add(parent, [1, 2, 3, 4], page: 3);
        Assert.That(cache.FindBeginning(parent, [1, 2, 9], out int page), Is.EqualTo(2));
        Assert.That(page, Is.EqualTo(3));
        Assert.That(cache.FindBeginning(parent, [1, 2, 3, 4, 5], out _), Is.EqualTo(4));
        Assert.That(cache.FindBeginning(parent, [2], out _), Is.Zero);
        Assert.That(cache.FindBeginning(parent, [], out _), Is.Zero);
        Assert.That(cache.FindBeginning(PrefixCache.Root, [1, 2], out _), Is.Zero);
        cache.Forget(3);
        Assert.That(cache.FindBeginning(parent, [1, 2], out _), Is.Zero);
    }

    [Test]
    public void What_follows_a_forgotten_page_is_never_found_again()
    {
        PrefixCache cache = new(pages: 8, longestSegment: 4);
        long first = cache.Add(PrefixCache.Root, [1], page: 0)!.Value;
        cache.Add(first, [2], page: 1);
        cache.Forget(0);
        Assert.That(cache.TryFind(PrefixCache.Root, [1], out _, out _), Is.False);
        long again = cache.Add(PrefixCache.Root, [1], page: 2)!.Value;
        Assert.That(again, Is.Not.EqualTo(first));
        Assert.That(cache.TryFind(again, [2], out _, out _), Is.False);
        Assert.That(cache.Holds(1), "it waits for its eviction");
        cache.Forget(1);
        Assert.That(cache.Add(again, [2], page: 1), Is.Not.Null);
    }

    [Test]
    public void Collisions_cost_hits_and_never_give_a_wrong_page()
    {
        PrefixCache cache = new(pages: 256, longestSegment: 2, hashBits: 3);
        Dictionary<(long, int, int), (int Page, long Id)> known = [];
        Random random = new(1);
        for (int page = 0; page < 200; page++)
        {
            (long parent, int a, int b) = (known.Count == 0 || page % 3 == 0 ? PrefixCache.Root : known.Values.ElementAt(random.Next(known.Count)).Id, random.Next(9), random.Next(9));
            if (cache.Add(parent, [a, b], page) is { } id) known.TryAdd((parent, a, b), (page, id));
        }
        Assert.That(known, Has.Count.GreaterThan(100));
        for (int i = 0; i < 2000; i++)
        {
            (long parent, int a, int b) = (random.Next(9), random.Next(9), random.Next(9));
            bool found = cache.TryFind(parent, [a, b], out int page, out long id);
            Assert.That(found, Is.EqualTo(known.TryGetValue((parent, a, b), out (int, long) expected)));
            if (found) Assert.That((page, id), Is.EqualTo(expected));
        }
    }
}
