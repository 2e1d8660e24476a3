using Decart.Inference.Memory;
using Decart.Inference.Tests.Memory;

namespace Decart.Inference.Tests.Engine;

/// <summary>Random schedules: whatever happens, in whatever order, every account is right and every answer the one given alone.</summary>
[CancelAfter(300_000)]
internal sealed class RandomServiceTests
{
    private const int Steps = 14_000, StepsOnGpu = 1_500;

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
        new(PagingMode.Hardware, TokenElements: 16, Pages: 60, Ranges: 24),
        new(PagingMode.Hardware, TokenElements: 12, Pages: 60, Ranges: 20, OnDevice: 0.9),
        new(PagingMode.Hardware, TokenElements: 12, Pages: 40, ShortOfMemory: 0.02),
        new(PagingMode.Hardware, TokenElements: 12, Pages: 40, OnDevice: 1, ShortOfMemory: 0.02),
        new(PagingMode.Table, TokenElements: 4, Pages: 15, ShortOfMemory: 0.02),
        new(PagingMode.Hardware, TokenElements: 12, Pages: 60, Ranges: 20, OnDevice: 0.9, ShortOfMemory: 0.005),
        new(PagingMode.Hardware, TokenElements: 13, Pages: 16, Reading: 0.5),
        new(PagingMode.Hardware, TokenElements: 12, Pages: 60, OnDevice: 1, Reading: 0.2),
        new(PagingMode.Table, TokenElements: 4, Pages: 15, OnDevice: 0.9, Failing: 0.05, ShortOfMemory: 0.005, Reading: 0.3),
    ];

    /// <summary>Tokens of 128 KiB, of which the driver's pages hold 16, and some that lie on two pages.</summary>
    private static readonly RandomServiceCase[] CasesOnGpu =
    [
        new(PagingMode.Hardware, TokenElements: 8192, Pages: 16),
        new(PagingMode.Hardware, TokenElements: 7000, Pages: 60, OnDevice: 1),
        new(PagingMode.Hardware, TokenElements: 7000, Pages: 16, OnDevice: 0.9, Failing: 0.05),
        new(PagingMode.Table, TokenElements: 4, Pages: 15),
        new(PagingMode.Table, TokenElements: 4, Pages: 80, OnDevice: 1),
    ];

    [Test]
    public void Every_account_is_right_after_every_step([ValueSource(nameof(Cases))] RandomServiceCase @case) =>
        Run(MemoryDevice.Host, @case, Steps);

    [Test]
    [Cuda]
    public void Every_account_is_right_after_every_step_on_a_gpu([ValueSource(nameof(CasesOnGpu))] RandomServiceCase @case) =>
        Run(MemoryDevice.Cuda, @case, StepsOnGpu);

    private static void Run(string device, RandomServiceCase @case, int steps)
    {
        using MemoryDevice opened = MemoryDevice.Open(device);
        using RandomService service = new(@case.Ranges is { } ranges ? new HostMemory(new AddressRanges(ranges)) : opened.Memory, @case, seed: 1);
        service.Run(steps);
        TestContext.Out.WriteLine(
            $"{service.Steps} steps, {service.Finished} finished, {service.Preemptions} preemptions, {service.PrefixHitTokens} tokens found, {service.SharedPages} shared pages seen, {service.Overlapping} steps overlap");
        Assert.Multiple(() =>
        {
            Assert.That(service.Finished, Is.GreaterThan(steps / 30));
            if (@case.Pages < 20 || @case.Ranges is not null) Assert.That(service.Preemptions, Is.GreaterThan(steps / 400));
            if (@case.Reading > 0) Assert.That(service.FinishedReading, Is.GreaterThan(steps / 100));
            Assert.That(service.SharedPages, Is.GreaterThan(steps / 140));
            Assert.That(service.Overlapping, @case.OnDevice == 0 ? Is.Zero : Is.GreaterThan(steps / 10));
            if (@case.PrefixCaching) Assert.That(service.PrefixHitTokens, Is.GreaterThan(steps / 14));
        });
    }
}
