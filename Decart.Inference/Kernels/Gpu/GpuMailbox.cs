using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Where ranks leave each other things, in the memory of the one that reads: flags, each written by one group of another rank and counting up, the failure of any rank, and slots
/// for parts of sums, two for each group of each rank, used in turn.
/// </summary>
internal static class GpuMailbox
{
    /// <summary>The most ranks that there is room for, and the most groups of a sum and of a transfer.</summary>
    public const int MaxRanks = 16, SumGroups = 384, TransferGroups = 16;

    /// <summary>16-byte vectors of a slot.</summary>
    public const int SlotVectors = 1024;

    /// <summary>Bytes of a vector.</summary>
    public const int VectorBytes = 16;

    /// <summary>Counters that a rank keeps for itself: those of sums with flags, of sums without, and for each other rank those of what it has sent and of what it has received.</summary>
    public const int LooseCounters = SumGroups, TransferCounters = 2 * SumGroups, CounterBytes = (TransferCounters + (2 * MaxRanks * TransferGroups)) * sizeof(int);

    private const int Ready = MaxRanks * SumGroups * sizeof(int), Done = Ready + (MaxRanks * TransferGroups * sizeof(int));

    private const int FailedOffset = Done + (MaxRanks * TransferGroups * sizeof(int)), Sent = FailedOffset + 512, Slots = FailedOffset + 1024;

    private const long SlotBytes = SlotVectors * VectorBytes;

    /// <summary>Bytes of the mailbox of one of so many ranks.</summary>
    public static long Bytes(int ranks) => Slots + (4 * ranks * SumGroups * SlotBytes);

    /// <summary>The flag that a rank's group has left its part of a sum.</summary>
    public static long SumFlag(long mailbox, int from, int group) => mailbox + (((from * SumGroups) + group) * sizeof(int));

    /// <summary>The flag that the receiver of a transfer is ready for it.</summary>
    public static long ReadyFlag(long mailbox, int from, int group) => mailbox + Ready + (((from * TransferGroups) + group) * sizeof(int));

    /// <summary>The flag that a transfer has arrived.</summary>
    public static long DoneFlag(long mailbox, int from, int group) => mailbox + Done + (((from * TransferGroups) + group) * sizeof(int));

    /// <summary>The flag that a rank's partials of a part of a step's rows are there, of two.</summary>
    public static long SentFlag(long mailbox, int from, int part) => mailbox + Sent + (((2 * from) + part) * sizeof(int));

    /// <summary>A word that is not 0 once a rank has waited in vain: 1 + the number of the rank that it has waited for.</summary>
    public static long Failed(long mailbox) => mailbox + FailedOffset;

    /// <summary>Where a rank's group leaves its part of a sum.</summary>
    /// <param name="mailbox">The reader's.</param>
    /// <param name="ranks">How many ranks there are.</param>
    /// <param name="from">The rank.</param>
    /// <param name="group">The group.</param>
    /// <param name="epoch">How many sums it has left there: slots take turns.</param>
    public static long Slot(long mailbox, int ranks, int from, int group, int epoch) =>
        mailbox + Slots + ((((((epoch & 1) * ranks) + from) * SumGroups) + group) * SlotBytes);

    /// <summary>The same for sums without flags.</summary>
    /// <inheritdoc cref="Slot" path="/param"/>
    public static long LooseSlot(long mailbox, int ranks, int from, int group, int epoch) => Slot(mailbox, ranks, (2 * ranks) + from, group, epoch);

    /// <summary>The mailbox of a rank.</summary>
    /// <param name="mailboxes">Address of the addresses of all.</param>
    /// <param name="rank">The rank.</param>
    public static long Of(long mailboxes, int rank) => Global.LoadLong(mailboxes + (rank * sizeof(long)));

    /// <summary>Looks at a flag until it has come to an epoch; after too many looks every rank is told that this one has waited in vain.</summary>
    /// <param name="flag">Address of the flag.</param>
    /// <param name="epoch">What to wait for.</param>
    /// <param name="looks">How often to look at most.</param>
    /// <param name="mailboxes">Of all ranks.</param>
    /// <param name="ranks">How many there are.</param>
    /// <param name="from">The rank that is waited for.</param>
    public static void Await(long flag, int epoch, int looks, long mailboxes, int ranks, int from)
    {
        while (Global.LoadAcquire(flag) - epoch < 0)
        {
            looks--;
            if (looks < 0)
            {
                Fail(mailboxes, ranks, from);
                break;
            }
        }
    }

    /// <summary>Tells every rank that one has been waited for in vain.</summary>
    /// <param name="mailboxes">Of all ranks.</param>
    /// <param name="ranks">How many there are.</param>
    /// <param name="from">The one that did not come.</param>
    public static void Fail(long mailboxes, int ranks, int from)
    {
        for (int rank = 0; rank < ranks; rank++) Global.StoreRelease(Failed(Of(mailboxes, rank)), 1 + from);
    }
}
