using Decart.Inference.Kernels.Gpu;

namespace Decart.Inference.Tests.Kernels.Gpu;

internal sealed class GpuRecordingsTests
{
    [Test]
    public void A_step_is_called_again_only_for_another_capacity_or_when_memory_has_moved()
    {
        using EmulatedDevice device = new();
        using GpuRecordings recordings = new(device);
        int calls = 0, moves = 0;
        Action operations = () => calls++;
        recordings.Run(operations, capacity: 1, () => moves);
        Assert.That((calls, device.Replays), Is.EqualTo((2, 0)), "launched, then recorded");
        recordings.Run(operations, capacity: 1, () => moves);
        Assert.That((calls, device.Replays), Is.EqualTo((2, 1)));
        recordings.Run(operations, capacity: 2, () => moves);
        Assert.That((calls, device.Replays, recordings.Count), Is.EqualTo((4, 1, 2)));
        moves++;
        recordings.Run(operations, capacity: 1, () => moves);
        Assert.That((calls, device.Replays, recordings.Count), Is.EqualTo((6, 1, 1)), "both used memory that has moved");
    }

    /// <summary>With room for every token, never for as many again, and few numbers.</summary>
    [Test]
    public void Steps_are_recorded_for_few_numbers_of_rows()
    {
        int[] found = [.. Enumerable.Range(1, 2048).Select(GpuRecordings.CapacityFor)];
        for (int tokens = 1; tokens <= found.Length; tokens++) Assert.That(found[tokens - 1], Is.InRange(tokens, (2 * tokens) - 1), $"{tokens}");
        Assert.That(found.Distinct(), Is.EqualTo((int[])[1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048]));
    }
}
