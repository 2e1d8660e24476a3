using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Tests.Kernels.Gpu;

internal sealed class GpuRingPlanTests
{
    private const int Multiprocessors = 132;

    /// <summary>Few rows are one block, so that x is read with the whole weight and not again.</summary>
    [Test]
    public void Up_to_64_rows_are_one_block([Values(1, 7, 16, 40, 64)] int rows, [Values(4096, 12288, 57344, 128256)] int weightRows)
    {
        GpuRingPlan plan = GpuRingPlan.Best(rows, weightRows, 4096, Multiprocessors);
        Assert.That((plan.BlockRows, plan.Blocks), Is.EqualTo((CoreTiles.OperandBlockRows(rows), 1)));
    }

    /// <summary>Weights whose shares would be fewer tiles than a warp group multiplies at once get smaller blocks of x instead.</summary>
    [TestCase(256, 4096, 64)]
    [TestCase(256, 57344, 256)]
    [TestCase(193, 57344, 256)]
    [TestCase(192, 57344, 192)]
    [TestCase(150, 57344, 192)]
    [TestCase(128, 57344, 128)]
    [TestCase(2048, 12288, 256)]
    public void Blocks_are_smaller_where_a_weight_is_small(int rows, int weightRows, int blockRows) =>
        Assert.That(GpuRingPlan.Best(rows, weightRows, 4096, Multiprocessors).BlockRows, Is.EqualTo(blockRows));

    /// <summary>
    /// Of a packed weight a warp group takes as long for one tile as for four: 28 tiles take seven times that in passes of sixteen or twelve, and eight times in passes of fourteen or ten; eleven take three times
    /// that in passes of eight, and four times in passes of six. There are no more passes than there must be. Elsewhere passes are alike.
    /// </summary>
    [TestCase(1, 57344, TensorType.Q4_K, 16)]
    [TestCase(1, 57344, TensorType.E4M3x64, 16)]
    [TestCase(32, 57344, TensorType.Q4_K, 12)]
    [TestCase(1, 57344, null, 7)]
    [TestCase(64, 57344, TensorType.Q4_K, 12)]
    [TestCase(16, 57344, TensorType.E4M3x64, 14)]
    [TestCase(64, 57344, TensorType.E4M3x64, 10)]
    [TestCase(64, 22016, TensorType.E4M3x64, 8)]
    [TestCase(1, 22016, TensorType.Q4_K, 11)]
    [TestCase(1, 22016, null, 6)]
    [TestCase(1, 28672, TensorType.Q4_K, 14)]
    [TestCase(32, 28672, TensorType.Q4_K, 7)]
    [TestCase(1, 10240, TensorType.Q4_K, 5)]
    [TestCase(1, 8192, TensorType.Q4_K, 4)]
    [TestCase(2048, 57344, TensorType.Q4_K, 8)]
    public void Packed_weights_take_as_little_time_of_warp_groups_as_can_be(int rows, int weightRows, TensorType? type, int tilesPerPass) =>
        Assert.That(GpuRingPlan.Best(rows, weightRows, 8192, Multiprocessors, type is { } packed ? PackedFormat.Of(packed) : null).TilesPerPass, Is.EqualTo(tilesPerPass));

    [Test]
    public void Plans_are_possible(
        [Values(1, 8, 9, 20, 64, 65, 130, 257, 2049, 100_000)] int rows, [Values(16, 48, 4096, 22016, 256_000)] int weightRows, [Values(1, 3, 132)] int multiprocessors)
    {
        foreach (PackedFormat? format in (PackedFormat?[])[null, .. PackedFormat.All])
        {
            GpuRingPlan plan = GpuRingPlan.Best(rows, weightRows, 128, multiprocessors, format);
            Assert.Multiple(() =>
            {
                Assert.That(plan.Groups, Is.InRange(1, multiprocessors));
                Assert.That(plan.Groups % plan.ClusterSize, Is.Zero);
                Assert.That(plan.BlockRows, Is.LessThanOrEqualTo(CoreTiles.OperandBlockRows(rows)));
                Assert.That((long)plan.Blocks * plan.BlockRows, Is.InRange(rows, rows + plan.BlockRows - 1));
                Assert.That(plan.TilesPerPass, Is.InRange(1, MaxTiles(format, plan.BlockRows)));
                if (plan.GroupsPerBlock != 0) Assert.That(plan.Groups, Is.EqualTo(plan.GroupsPerBlock * plan.Blocks));
            });
        }
    }

    /// <summary>All passes of an expert have as many tiles.</summary>
    [Test]
    public void Plans_of_experts_are_possible([Values(1, 3, 40, 2000)] int pairs, [Values(16, 48, 1536, 28672)] int weightRows, [Values(1, 3, 132)] int multiprocessors)
    {
        ExpertBlockPlan blocks = ExpertBlockPlan.Create(pairs, experts: 128, ExpertBlockPlan.MaxRows);
        foreach (PackedFormat? format in (PackedFormat?[])[null, .. PackedFormat.All])
        {
            GpuRingPlan plan = GpuRingPlan.Experts(blocks, weightRows, 128, multiprocessors, format);
            Assert.That(plan.Groups, Is.InRange(1, multiprocessors));
            Assert.That(plan.TilesPerPass, Is.InRange(1, MaxTiles(format, plan.BlockRows)));
            Assert.That(weightRows / CoreTiles.TileRows % plan.TilesPerPass, Is.Zero);
        }
    }

    /// <summary>Passes in turn have eight tiles, for which every kernel must have room.</summary>
    [Test]
    public void Packed_weights_have_room_for_eight_tiles([Values(8, 16, 32, 64, 128, 192, 256)] int blockRows) =>
        Assert.That(PackedFormat.All.Select(format => format.MaxTiles(blockRows)), Is.All.InRange(GpuRingMatMulPass.MaxTiles, 16));

    private static int MaxTiles(PackedFormat? format, int blockRows) => format?.MaxTiles(blockRows) ?? GpuRingMatMulPass.MaxTiles;
}
