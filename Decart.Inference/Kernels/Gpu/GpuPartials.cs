using System.Runtime.InteropServices;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Partials of long steps, as halves, that the devices' copy engines bring to the other ranks while these multiply other rows: a part of a step's rows at a time, with a flag behind it. Inboxes take turns, so that
/// the next sum may arrive while one is read: a rank that sends sum n + 2 has the others' n + 1, which they sent after they had read n.
/// </summary>
internal sealed class GpuPartials : IDisposable
{
    private const int Turns = 2;

    private readonly Lock _lock = new(); // guards _inboxes
    private readonly List<(long Bytes, GpuBuffer[] Inboxes)> _inboxes = [];
    private readonly Rank[] _ranks;

    /// <param name="ranks">The devices of the ranks.</param>
    /// <param name="mailboxes">See <see cref="GpuMailbox"/>.</param>
    public GpuPartials(IReadOnlyList<IGpuDevice> ranks, IReadOnlyList<GpuBuffer> mailboxes) => _ranks = [.. ranks.Zip(mailboxes, (device, mailbox) => new Rank(device, mailbox))];

    /// <summary>Begins a sum: what was sent of the one before may be overwritten from here on.</summary>
    /// <param name="rank">The calling thread's.</param>
    /// <param name="partial">What will be sent of it.</param>
    public void Begin(int rank, GpuActivations partial)
    {
        Rank own = _ranks[rank];
        own.Number = (own.Number + 1) % GpuRankAdd.Numbers;
        own.PartialBytes = GpuActivations.OperandBytes(partial.Rows, partial.Columns);
        own.Inboxes = Reserve(own.PartialBytes);
        own.Device.Join();
    }

    /// <summary>Starts sending a part, which is being computed.</summary>
    /// <param name="rank">The calling thread's.</param>
    /// <param name="partial">The rank's partial.</param>
    /// <param name="part">Which of its rows.</param>
    public void Send(int rank, GpuActivations partial, RowPart part)
    {
        Rank own = _ranks[rank];
        nint offset = partial.RowAddress(part.First) - partial.Address;
        long bytes = GpuActivations.OperandBytes(part.Count, partial.Columns);
        own.Device.Fork();
        for (int i = 1; i < _ranks.Length; i++)
        {
            int other = (rank + i) % _ranks.Length;
            own.Device.CopyAside(own.Inboxes[other].Address + InboxOffset(own, from: rank) + offset, partial.Address + offset, bytes);
            own.Device.CopyAside((nint)GpuMailbox.SentFlag(_ranks[other].Mailbox.Address, rank, part.Index), own.Numbers.Address + (own.Number * sizeof(int)), sizeof(int));
        }
    }

    /// <summary>What of an addition depends on who has sent what.</summary>
    /// <param name="rank">The calling thread's.</param>
    /// <param name="partial">The rank's partial.</param>
    /// <param name="part">Which of its rows.</param>
    public RankAddArguments Arguments(int rank, GpuActivations partial, RowPart part)
    {
        Rank own = _ranks[rank];
        nint offset = partial.RowAddress(part.First) - partial.Address;
        return new RankAddArguments
        {
            Partial = partial.Address + offset,
            Inbox = own.Inboxes[rank].Address + InboxOffset(own, from: 0) + offset,
            InboxBytes = own.PartialBytes,
            Part = part.Index,
            Number = own.Number,
        };
    }

    public void Dispose()
    {
        foreach (Rank rank in _ranks) rank.Numbers.Dispose();
        foreach ((_, GpuBuffer[] inboxes) in _inboxes)
        {
            foreach (GpuBuffer inbox in inboxes) inbox.Dispose();
        }
    }

    /// <summary>Bytes from an inbox's beginning to what a rank sends there in the current turn.</summary>
    private nint InboxOffset(Rank rank, int from) => (nint)((((rank.Number % Turns) * _ranks.Length) + from) * rank.PartialBytes);

    /// <summary>The first inboxes with enough room, which are the same for every rank whenever it asks; smaller ones may still be in use.</summary>
    private GpuBuffer[] Reserve(long bytes)
    {
        lock (_lock)
        {
            if (_inboxes.Find(room => room.Bytes >= bytes).Inboxes is { } found) return found;
            GpuBuffer[] inboxes = [.. _ranks.Select(rank => new GpuBuffer(rank.Device.Memory, Turns * _ranks.Length * bytes))];
            _inboxes.Add((bytes, inboxes));
            return inboxes;
        }
    }

    /// <summary>What a rank's thread knows.</summary>
    private sealed class Rank
    {
        public Rank(IGpuDevice device, GpuBuffer mailbox)
        {
            (Device, Mailbox) = (device, mailbox);
            int[] numbers = [.. Enumerable.Range(0, GpuRankAdd.Numbers)];
            Numbers = new GpuBuffer(device.Memory, numbers.Length * sizeof(int));
            device.Upload(Numbers.Address, MemoryMarshal.AsBytes(numbers.AsSpan()));
        }

        public IGpuDevice Device { get; }

        public GpuBuffer Mailbox { get; }

        /// <summary>Where every number stands, so that a copy writes it to a flag.</summary>
        public GpuBuffer Numbers { get; }

        /// <summary>How many sums it has begun.</summary>
        public int Number { get; set; }

        public long PartialBytes { get; set; }

        public GpuBuffer[] Inboxes { get; set; } = [];
    }
}
