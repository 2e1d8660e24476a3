using System.Numerics.Tensors;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Kernels.TensorParallel;

/// <summary>Ranks that share the memory of the processor: they wait for each other and read what the others have.</summary>
/// <param name="ranks">How many.</param>
internal sealed class CpuRankExchange(int ranks) : IRankExchange
{
    private readonly object _gate = new(); // guards _arrived, _round and _failure
    private readonly CpuActivations[] _partials = new CpuActivations[ranks];
    private readonly float[][] _sums = new float[ranks][];
    private int _arrived, _round;
    private RankFailure? _failure;
    private Batch? _batch;

    public void Begin(Batch batch) => _batch = batch;

    public void Clear(int rank, Activations partial)
    {
        for (int row = 0; row < _batch!.TokenCount; row++) ((CpuActivations)partial).Row(row).Clear();
    }

    public void Sum(int rank, Activations partial, Activations y, bool accumulate)
    {
        _partials[rank] = (CpuActivations)partial;
        Meet();
        if (_sums[rank] is not { } sum || sum.Length != y.Columns) _sums[rank] = sum = new float[y.Columns];
        for (int row = 0; row < _batch!.TokenCount; row++)
        {
            _partials[0].Row(row).CopyTo(sum);
            foreach (CpuActivations other in _partials.AsSpan(1)) TensorPrimitives.Add(sum, other.Row(row), sum);
            Span<float> destination = ((CpuActivations)y).Row(row);
            if (accumulate) TensorPrimitives.Add(destination, sum, destination);
            else sum.CopyTo(destination);
        }
        Meet(); // before anybody writes to partials again
    }

    /// <summary>None: what others have is read where it is.</summary>
    public IReadOnlyList<RowPart> Parts(int rank) => [];

    public void BeginParts(int rank, Activations partial) => throw new NotSupportedException("On the processor nothing is sent.");

    public void Send(int rank, Activations partial, RowPart part) => throw new NotSupportedException("On the processor nothing is sent.");

    public void AddSent(int rank, Activations partial, Activations y, RowPart part) => throw new NotSupportedException("On the processor nothing is sent.");

    public void Gather(int rank, ParallelActivations logits, ReadOnlySpan<int> firstColumns)
    {
        if (rank == 0) return;
        CpuActivations part = (CpuActivations)logits[rank], whole = (CpuActivations)logits[0];
        for (int row = 0; row < _batch!.LogitRowCount; row++) part.Row(row).CopyTo(whole.Row(row)[firstColumns[rank]..]);
    }

    /// <summary>Not called: on the processor the host samples.</summary>
    public void SendTokens(int rank, int rows) => throw new NotSupportedException("On the processor the host samples.");

    /// <summary>Ranks that wait in vain throw.</summary>
    public int StartCheck() => 0;

    public string? FindFailure(int check) => null;

    public void Break(RankFailure failure)
    {
        lock (_gate)
        {
            _failure ??= failure;
            Monitor.PulseAll(_gate);
        }
    }

    public string? FindFailure() => null;

    public void Dispose()
    {
    }

    /// <summary>Waits until all ranks are here.</summary>
    private void Meet()
    {
        lock (_gate)
        {
            ThrowIfBroken();
            int round = _round;
            if (++_arrived == ranks)
            {
                (_arrived, _round) = (0, round + 1);
                Monitor.PulseAll(_gate);
                return;
            }
            while (_round == round)
            {
                Monitor.Wait(_gate);
                if (_round == round) ThrowIfBroken();
            }
        }
    }

    private void ThrowIfBroken()
    {
        if (_failure is { } failure) throw new InvalidOperationException($"Rank {failure.Rank} has failed: {failure.Error.Message}", failure.Error);
    }
}
