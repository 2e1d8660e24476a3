using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Rows of 16-byte vectors that one rank sends to another. Strides count bytes.</summary>
internal struct RankTransferArguments
{
    /// <summary>Address of the number of rows (int), or 0 for <see cref="Rows"/>.</summary>
    public long Count;

    /// <summary>Where the rows are; for the sender.</summary>
    public long Source;

    /// <summary>Where they go, in the receiver's memory; for the sender.</summary>
    public long Destination;

    public long SourceStride, DestinationStride;

    /// <summary>Address of the addresses of the ranks' mailboxes (long).</summary>
    public long Mailboxes;

    /// <summary>Address of a counter for each group (int): the transfers so far, the same for both.</summary>
    public long Counters;

    /// <summary>The calling rank, the one at the other end, and how many there are.</summary>
    public int Rank, Other, Ranks;

    public int Rows, RowVectors;

    /// <summary>How often to look at a flag at most.</summary>
    public int Looks;
}

/// <summary>
/// One rank sends rows to another, each by a kernel of its own: the receiver says that it is ready, which means that what read the place before has ended, and waits until the
/// rows are there. Groups are paired; without rows nobody waits.
/// </summary>
internal static class GpuRankTransfer
{
    public static readonly GpuKernel<RankTransferArguments> SendKernel = new(Send, MaxGroupSize) { StartsEarly = true };

    public static readonly GpuKernel<RankTransferArguments> ReceiveKernel = new(Receive, Lanes) { StartsEarly = true };

    private const int MaxGroupSize = 256, Lanes = 32;

    /// <summary>Groups at both ends.</summary>
    /// <param name="rows">Rows that the launches are sized for.</param>
    /// <param name="rowVectors">Vectors of a row.</param>
    public static int Groups(int rows, int rowVectors) => (int)Math.Clamp((long)rows * rowVectors / MaxGroupSize, 1, GpuMailbox.TransferGroups);

    private static void Send(RankTransferArguments a)
    {
        GridDependency.LaunchDependents();
        GridDependency.Wait();
        int rows = Rows(a), group = Grid.IdxX;
        if (rows == 0) return;
        long own = GpuMailbox.Of(a.Mailboxes, a.Rank), counter = a.Counters + (group * sizeof(int));
        int epoch = Global.LoadInt(counter) + 1;
        if (Group.IdxX == 0) GpuMailbox.Await(GpuMailbox.ReadyFlag(own, a.Other, group), epoch, Looks(a, own), a.Mailboxes, a.Ranks, a.Other);
        Group.Barrier();
        for (int row = 0; row < rows; row++)
        {
            long source = a.Source + (row * a.SourceStride), destination = a.Destination + (row * a.DestinationStride);
            for (int i = (group * Group.DimX) + Group.IdxX; i < a.RowVectors; i += Grid.DimX * Group.DimX)
                Global.Store16(destination + ((long)i * GpuMailbox.VectorBytes), Global.Load16(source + ((long)i * GpuMailbox.VectorBytes)));
        }
        Group.Barrier();
        if (Group.IdxX != 0) return;
        Global.StoreRelease(GpuMailbox.DoneFlag(GpuMailbox.Of(a.Mailboxes, a.Other), a.Rank, group), epoch);
        Global.StoreInt(counter, epoch);
    }

    private static void Receive(RankTransferArguments a)
    {
        GridDependency.LaunchDependents();
        GridDependency.Wait();
        int group = Grid.IdxX;
        if (Group.IdxX != 0 || Rows(a) == 0) return;
        long own = GpuMailbox.Of(a.Mailboxes, a.Rank), counter = a.Counters + (group * sizeof(int));
        int epoch = Global.LoadInt(counter) + 1;
        Global.StoreRelease(GpuMailbox.ReadyFlag(GpuMailbox.Of(a.Mailboxes, a.Other), a.Rank, group), epoch);
        GpuMailbox.Await(GpuMailbox.DoneFlag(own, a.Other, group), epoch, Looks(a, own), a.Mailboxes, a.Ranks, a.Other);
        Global.StoreInt(counter, epoch);
    }

    private static int Rows(RankTransferArguments a)
    {
        int rows = a.Rows;
        if (a.Count != 0) rows = Global.LoadInt(a.Count);
        return rows;
    }

    /// <summary>Once a rank has failed nobody waits any more.</summary>
    private static int Looks(RankTransferArguments a, long own) => Global.LoadInt(GpuMailbox.Failed(own)) != 0 ? 0 : a.Looks;
}
