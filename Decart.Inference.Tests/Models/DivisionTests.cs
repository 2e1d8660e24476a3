using Decart.Inference.Kernels;
using Decart.Inference.Kernels.TensorParallel;
using Decart.Inference.Loading;

namespace Decart.Inference.Tests.Models;

public class DivisionTests
{
    [TestCase(32, 8, 2)]
    [TestCase(64, 8, 8)]
    [TestCase(232, 8, 4)]
    [TestCase(32, 32, 4)]
    [TestCase(32, 4, 8)]
    [TestCase(71, 1, 2)]
    [TestCase(71, 1, 4)]
    public void Each_query_head_is_with_its_keys_and_values(int heads, int kvHeads, int ranks)
    {
        const int HeadDim = 16;
        Division division = new(new ModelShape(heads, kvHeads, HeadDim, BlockLength: 1), ranks);
        List<int> found = [];
        for (int rank = 0; rank < ranks; rank++)
        {
            Share own = division.Heads(rank);
            Share[] parts = division.Of(Split.QueryKeyValue, (heads + (2 * kvHeads)) * HeadDim, gated: false, rank);
            Assert.That(parts.Select(part => part.Count / HeadDim), Is.EqualTo((int[])[own.Count, division.KvHeads, division.KvHeads]));
            for (int head = 0; head < own.Count; head++)
            {
                int keyOfRank = head / (own.Count / division.KvHeads), key = (parts[1].Start / HeadDim) - heads + keyOfRank;
                Assert.That(key, Is.EqualTo((own.Start + head) / (heads / kvHeads)), $"head {own.Start + head} of rank {rank}");
                found.Add(own.Start + head);
            }
            Assert.That(parts[2].Start - parts[1].Start, Is.EqualTo(kvHeads * HeadDim));
        }
        Assert.That(found, Is.EqualTo(Enumerable.Range(0, heads)), "each head once");
    }

    [TestCase(28672, 1, 2)]
    [TestCase(11008, 256, 2)]
    [TestCase(11008, 64, 4)]
    [TestCase(48, 1, 4)]
    [TestCase(50, 1, 3)]
    public void Features_are_divided_in_whole_blocks(int features, int block, int ranks)
    {
        Division division = new(new ModelShape(ranks, ranks, 8, block), ranks);
        int next = 0;
        for (int rank = 0; rank < ranks; rank++)
        {
            Share[] gated = division.Of(Split.Features, 2 * features, gated: true, rank);
            Share own = division.Of(Split.Features, features, gated: false, rank)[0];
            Assert.That(gated, Is.EqualTo((Share[])[own, own with { Start = features + own.Start }]));
            Assert.That((own.Start, own.Start % block, own.Count > 0), Is.EqualTo((next, 0, true)));
            next = own.End;
        }
        Assert.That(next, Is.EqualTo(features));
    }

    [TestCase(32, 8, 3, "expected a number that divides 8, or a multiple of it up to 32")]
    [TestCase(12, 12, 8, "expected a number that divides 12.")]
    [TestCase(32, 8, 64, "32 heads, 8 of keys and values, cannot be divided among 64 devices")]
    public void Numbers_that_do_not_divide_the_heads_are_refused(int heads, int kvHeads, int ranks, string message) =>
        Assert.That(() => new Division(new ModelShape(heads, kvHeads, 64, 1), ranks), Throws.TypeOf<NotSupportedException>().With.Message.Contains(message));

    [TestCase(16L << 30, 8, 1)]
    [TestCase(140L << 30, 8, 3, 12)]
    [TestCase(140L << 30, 8, 4)]
    [TestCase(1400L << 30, 8, 1)]
    [TestCase(140L << 30, 2, 1)]
    public void As_many_gpus_are_taken_as_a_model_needs(long bytes, int gpus, int expected, int heads = 64)
    {
        ModelShape shape = new(heads, heads / 4, 128, 1);
        Assert.That(DeviceChoice.CountFor(new ModelNeed(bytes, PackedBytes: 0, shape), packs: false, free: 70L << 30, gpus), Is.EqualTo(expected));
    }
}
