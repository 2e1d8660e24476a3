namespace Decart.Inference.Tests.Engine;

/// <summary>Random schedules: whatever happens, in whatever order, every account is right and every answer the one given alone.</summary>
[CancelAfter(300_000)]
internal sealed class RandomServiceTests
{
    private const int Steps = 14_000;

    private static readonly RandomServiceCase[] Cases =
    [
        new(PagingMode.Hardware, TokenElements: 16, Pages: 40), // 256 bytes for a token: 16 on a page
        new(PagingMode.Hardware, TokenElements: 12, Pages: 16), // 192 bytes: some tokens lie on two pages
        new(PagingMode.Hardware, TokenElements: 13, Pages: 12, HashBits: 6),
        new(PagingMode.Hardware, TokenElements: 12, Pages: 40, PrefixCaching: false),
        new(PagingMode.Hardware, TokenElements: 15, Pages: 60, Slots: 7),
        new(PagingMode.Hardware, TokenElements: 12, Pages: 120),
        new(PagingMode.Table, TokenElements: 4, Pages: 15),
        new(PagingMode.Table, TokenElements: 4, Pages: 80, Slots: 9),
        new(PagingMode.Table, TokenElements: 4, Pages: 120, PrefixCaching: false),
        new(PagingMode.Hardware, TokenElements: 12, Pages: 16, OnDevice: 1),
        new(PagingMode.Hardware, TokenElements: 13, Pages: 60, OnDevice: 1),
        new(PagingMode.Hardware, TokenElements: 12, Pages: 40, Slots: 7, OnDevice: 0.9),
        new(PagingMode.Table, TokenElements: 4, Pages: 80, OnDevice: 1),
        new(PagingMode.Hardware, TokenElements: 12, Pages: 40, OnDevice: 0.95, Failing: 0.05),
    ];

    [Test]
    public void Every_account_is_right_after_every_step([ValueSource(nameof(Cases))] RandomServiceCase @case)
    {
        using RandomService service = new(@case, seed: 1);
        service.Run(Steps);
        TestContext.Out.WriteLine(
            $"{service.Steps} steps, {service.Finished} finished, {service.Preemptions} preemptions, {service.PrefixHitTokens} tokens found, {service.SharedPages} shared pages seen, {service.Overlapping} steps overlap");
        Assert.Multiple(() =>
        {
            Assert.That(service.Finished, Is.GreaterThan(Steps / 30));
            if (@case.Pages < 20) Assert.That(service.Preemptions, Is.GreaterThan(40));
            Assert.That(service.SharedPages, Is.GreaterThan(100));
            Assert.That(service.Overlapping, @case.OnDevice == 0 ? Is.Zero : Is.GreaterThan(Steps / 10));
            if (@case.PrefixCaching) Assert.That(service.PrefixHitTokens, Is.GreaterThan(1000));
        });
    }
}
