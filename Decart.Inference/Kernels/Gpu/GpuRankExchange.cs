using System.Globalization;
using System.Runtime.InteropServices;
using Decart.Inference.Kernels.TensorParallel;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// GPUs that read and write each other's memory. All that they exchange is done by kernels, which wait for each other on the devices for a limited time; the host waits for none.
/// See docs/parallel.md.
/// </summary>
internal sealed class GpuRankExchange : IRankExchange
{
    /// <summary>How often kernels look at a flag, each look taking somewhat less than a microsecond: about a quarter of a minute.</summary>
    private const int DefaultLooks = 1 << 24;

    /// <summary>Steps whose tokens may be on their way to the host.</summary>
    private const int StepsInFlight = 2;

    private readonly Rank[] _ranks;
    private readonly int _looks;
    private readonly GpuReadback[] _failed;
    private readonly GpuPartials _partials;
    private int _ticket;

    /// <param name="ranks">The devices' backends, each of which can reach the memory of all others.</param>
    /// <param name="looks">How often kernels look at a flag before they give up.</param>
    public GpuRankExchange(IReadOnlyList<GpuBackend> ranks, int looks = DefaultLooks)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(ranks.Count, GpuMailbox.MaxRanks);
        _looks = looks;
        _ranks = [.. ranks.Select(rank => new Rank(rank, ranks.Count))];
        long[] mailboxes = [.. _ranks.Select(rank => (long)rank.Mailbox.Address)];
        foreach (Rank rank in _ranks)
        {
            rank.Device.Upload(rank.Table.Address, MemoryMarshal.AsBytes(mailboxes.AsSpan()));
            rank.Device.Synchronize();
        }
        _partials = new GpuPartials([.. _ranks.Select(rank => rank.Device)], [.. _ranks.Select(rank => rank.Mailbox)]);
        _failed = [.. Enumerable.Range(0, StepsInFlight).Select(_ => _ranks[0].Device.CreateReadback(sizeof(int)))];
    }

    /// <summary>Every kernel, for whoever compiles them ahead of need.</summary>
    public static IReadOnlyList<GpuKernel> All { get; } = [GpuRankSum.Kernel, GpuRankSum.LooseKernel, GpuTwoShotSum.Kernel, GpuRankAdd.Kernel, GpuRankTransfer.SendKernel, GpuRankTransfer.ReceiveKernel, GpuClear.Kernel];

    /// <summary>Whether sums are in two shots; null unless set: where that pays. Steps that were recorded stay as they were.</summary>
    public bool? TwoShotSums { get; set; }

    /// <summary>The fewest rows of steps whose partials are sent part by part; see <see cref="GpuSupport.SendsParts"/>.</summary>
    public int LeastPartedRows { get; set; } = GpuSupport.SendsParts ? 1024 : int.MaxValue;

    public void Begin(Batch batch)
    {
    }

    public void Clear(int rank, Activations partial)
    {
        Rank own = _ranks[rank];
        GpuActivations rows = ((GpuActivations)partial).AsFloats();
        own.Device.Launch(GpuClear.Kernel, new GpuGrid(own.Step.Capacity), new ClearArguments { Count = own.Step.Count, Y = rows.Address, Stride = rows.Stride });
    }

    public void Sum(int rank, Activations partial, Activations y, bool accumulate)
    {
        Rank own = _ranks[rank];
        RankSumArguments arguments = new()
        {
            Count = own.Step.Count,
            Partial = ((GpuActivations)partial).AsFloats().Address,
            Y = ((GpuActivations)y).AsFloats().Address,
            Mailboxes = own.Table.Address,
            Counters = own.Counters.Address,
            Rank = rank,
            Ranks = _ranks.Length,
            Stride = ((GpuActivations)y).Stride,
            Accumulate = accumulate ? 1 : 0,
            Looks = _looks,
        };
        GpuRankSum.Launch(own.Device, arguments, own.Step.Capacity, TwoShotSums);
    }

    /// <summary>Not of more ranks than one shot is for: each sends all of its partials to all others.</summary>
    public IReadOnlyList<RowPart> Parts(int rank) =>
        _ranks.Length <= GpuTwoShotSum.OneShotRanks && _ranks[rank].Step.Capacity >= LeastPartedRows ? _ranks[rank].Step.Parts : [];

    public void BeginParts(int rank, Activations partial) => _partials.Begin(rank, ((GpuActivations)partial).AsOperand());

    public void Send(int rank, Activations partial, RowPart part) => _partials.Send(rank, ((GpuActivations)partial).AsOperand(), part);

    public void AddSent(int rank, Activations partial, Activations y, RowPart part)
    {
        Rank own = _ranks[rank];
        GpuActivations floats = ((GpuActivations)y).AsFloats();
        RankAddArguments arguments = _partials.Arguments(rank, ((GpuActivations)partial).AsOperand(), part) with
        {
            Count = own.Step.PartCount(part.Index),
            Y = floats.RowAddress(part.First),
            Mailboxes = own.Table.Address,
            Rank = rank,
            Ranks = _ranks.Length,
            Stride = floats.Stride,
            Looks = _looks,
        };
        GpuRankAdd.Launch(own.Device, arguments, part.Count);
    }

    public void Gather(int rank, ParallelActivations logits, ReadOnlySpan<int> firstColumns)
    {
        GpuStep step = _ranks[rank].Step;
        if (step.LogitCapacity == 0) return;
        GpuActivations whole = ((GpuActivations)logits[0]).AsFloats();
        for (int other = 1; other < _ranks.Length; other++)
        {
            if (rank != 0 && rank != other) continue;
            GpuActivations part = ((GpuActivations)logits[other]).AsFloats();
            RankTransferArguments arguments = new()
            {
                Count = step.LogitCount,
                Source = part.Address,
                Destination = whole.Address + (firstColumns[other] * sizeof(float)),
                SourceStride = part.RowBytes,
                DestinationStride = whole.RowBytes,
                RowVectors = ((part.Columns * sizeof(float)) + GpuMailbox.VectorBytes - 1) / GpuMailbox.VectorBytes,
            };
            if (rank == 0) Receive(arguments, from: other, to: 0, step.LogitCapacity);
            else Send(arguments, from: other, to: 0, step.LogitCapacity);
        }
    }

    public void SendTokens(int rank, int rows)
    {
        for (int other = 1; other < _ranks.Length; other++)
        {
            if (rank != 0 && rank != other) continue;
            RankTransferArguments arguments = new()
            {
                Source = _ranks[0].Tokens,
                Destination = _ranks[other].Tokens,
                Rows = 1,
                RowVectors = ((rows * sizeof(int)) + GpuMailbox.VectorBytes - 1) / GpuMailbox.VectorBytes,
            };
            if (rank == 0) Send(arguments, from: 0, to: other, rows: 1);
            else Receive(arguments, from: 0, to: other, rows: 1);
        }
    }

    public int StartCheck()
    {
        _ticket = (_ticket + 1) % StepsInFlight;
        _failed[_ticket].Start((nint)GpuMailbox.Failed(_ranks[0].Mailbox.Address), sizeof(int));
        return _ticket;
    }

    /// <summary>Does nothing: kernels that wait give up by themselves.</summary>
    public void Break(RankFailure failure)
    {
    }

    public string? FindFailure(int ticket) => Describe(MemoryMarshal.Read<int>(_failed[ticket].Wait()));

    public string? FindFailure()
    {
        int failed = 0;
        _ranks[0].Device.Download((nint)GpuMailbox.Failed(_ranks[0].Mailbox.Address), MemoryMarshal.AsBytes(new Span<int>(ref failed)));
        return Describe(failed);
    }

    public void Dispose()
    {
        foreach (GpuReadback readback in _failed) readback.Dispose();
        _partials.Dispose();
        foreach (Rank rank in _ranks) rank.Dispose();
    }

    private static string? Describe(int failed) =>
        failed == 0 ? null : string.Create(CultureInfo.InvariantCulture, $"a device has waited in vain for rank {failed - 1}");

    private void Send(RankTransferArguments arguments, int from, int to, int rows)
    {
        arguments.Counters = _ranks[from].TransferCounters(sent: true, to);
        Launch(GpuRankTransfer.SendKernel, arguments, rank: from, other: to, rows);
    }

    private void Receive(RankTransferArguments arguments, int from, int to, int rows)
    {
        arguments.Counters = _ranks[to].TransferCounters(sent: false, from);
        Launch(GpuRankTransfer.ReceiveKernel, arguments, rank: to, other: from, rows);
    }

    private void Launch(GpuKernel<RankTransferArguments> kernel, RankTransferArguments arguments, int rank, int other, int rows)
    {
        arguments.Mailboxes = _ranks[rank].Table.Address;
        (arguments.Rank, arguments.Other, arguments.Ranks, arguments.Looks) = (rank, other, _ranks.Length, _looks);
        _ranks[rank].Device.Launch(kernel, new GpuGrid(GpuRankTransfer.Groups(rows, arguments.RowVectors)), arguments);
    }

    /// <summary>What a rank has of the exchange.</summary>
    private sealed class Rank : IDisposable
    {
        private readonly GpuBackend _backend;

        public Rank(GpuBackend backend, int ranks)
        {
            _backend = backend;
            Mailbox = new GpuBuffer(Device.Memory, GpuMailbox.Bytes(ranks));
            Counters = new GpuBuffer(Device.Memory, GpuMailbox.CounterBytes);
            Table = new GpuBuffer(Device.Memory, ranks * sizeof(long));
            Device.Clear(Mailbox.Address, Mailbox.Bytes);
            Device.Clear(Counters.Address, Counters.Bytes);
        }

        public IGpuDevice Device => _backend.Device;

        public GpuStep Step => _backend.Step;

        /// <summary>Where the tokens are that the rank embeds.</summary>
        public nint Tokens => _backend.SampledTokens;

        public GpuBuffer Mailbox { get; }

        /// <summary>See <see cref="GpuMailbox.CounterBytes"/>.</summary>
        public GpuBuffer Counters { get; }

        /// <summary>The addresses of all mailboxes.</summary>
        public GpuBuffer Table { get; }

        public nint TransferCounters(bool sent, int other) =>
            Counters.Address + ((GpuMailbox.TransferCounters + (((sent ? 0 : GpuMailbox.MaxRanks) + other) * GpuMailbox.TransferGroups)) * sizeof(int));

        public void Dispose()
        {
            Mailbox.Dispose();
            Counters.Dispose();
            Table.Dispose();
        }
    }
}
