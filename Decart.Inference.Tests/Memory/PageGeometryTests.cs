using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

internal sealed class PageGeometryTests
{
    [TestCase(4096, 256)]
    [TestCase(4096, 192)]
    [TestCase(4096, 4096)]
    [TestCase(4096, 3000)]
    [TestCase(2 << 20, 327_680)]
    [TestCase(3072, 192)]
    public void Tokens_lie_byte_after_byte(long pageBytes, long tokenBytes)
    {
        PageGeometry geometry = new(pageBytes, tokenBytes);
        for (int tokens = 0; tokens < 200; tokens++)
        {
            long bytes = tokens * tokenBytes;
            Assert.That(geometry.PagesFor(tokens), Is.EqualTo((int)Math.Ceiling(bytes / (double)pageBytes)));
            Assert.That(geometry.FullPages(tokens), Is.EqualTo((int)Math.Floor(bytes / (double)pageBytes)));
            Assert.That(geometry.FullPages(tokens) * pageBytes + geometry.PartialBytes(tokens), Is.EqualTo(bytes));
        }
        for (int pages = 0; pages < 50; pages++)
        {
            Assert.That(geometry.PagesFor(geometry.TokensWithin(pages)), Is.LessThanOrEqualTo(pages));
            Assert.That(geometry.PagesFor(geometry.TokensWithin(pages) + 1), Is.GreaterThan(pages));
            Assert.That(geometry.FullPages(geometry.TokensTouching(pages)), Is.GreaterThanOrEqualTo(pages));
            Assert.That(geometry.TokensTouching(pages + 1), Is.GreaterThan(geometry.TokensTouching(pages)), "every page has tokens that begin on it");
            if (pages > 0) Assert.That(geometry.FullPages(geometry.TokensTouching(pages) - 1), Is.LessThan(pages));
        }
    }

    [TestCase(256, 4096, ExpectedResult = 4096)]
    [TestCase(192, 4096, ExpectedResult = 4096)]
    [TestCase(257, 4096, ExpectedResult = 8192)]
    [TestCase(6144, 4096, ExpectedResult = 131_072)] // the storyteller
    [TestCase(131_072, 4096, ExpectedResult = 2 << 20)] // Llama 3 8B in 16 bits
    [TestCase(1 << 20, 4096, ExpectedResult = 2 << 20)] // Llama 2 7B in float32
    [TestCase(5 << 20, 4096, ExpectedResult = 8 << 20)] // a token that is larger than 2 MiB
    [TestCase(256, 2 << 20, ExpectedResult = 2 << 20)] // a GPU
    [TestCase(1, 65_536, ExpectedResult = 65_536)]
    public long A_page_is_the_smallest_that_holds_sixteen_tokens(long tokenBytes, long granularity) =>
        PageGeometry.ForHardware(tokenBytes, granularity).PageBytes;

    [Test]
    public void Pages_grow_where_the_system_allows_few_mappings()
    {
        Assert.That(new PageGeometry(4096, 256).WithAtMost(1000, 4096 * 1000).PageBytes, Is.EqualTo(4096));
        Assert.That(new PageGeometry(4096, 256).WithAtMost(1000, 4096 * 1001).PageBytes, Is.EqualTo(8192));
        Assert.That(new PageGeometry(4096, 256).WithAtMost(1000, 1L << 30).PageBytes, Is.EqualTo(2 << 20));
        Assert.That(new PageGeometry(4096, 256).WithAtMost(long.MaxValue, 1L << 40).PageBytes, Is.EqualTo(4096));
    }
}
