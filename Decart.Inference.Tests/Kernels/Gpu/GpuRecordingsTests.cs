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
}
