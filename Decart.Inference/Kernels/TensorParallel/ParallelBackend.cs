using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.TensorParallel;

/// <summary>
/// Several devices that compute one model together (tensor parallelism; Shoeybi et al., Megatron-LM, 2019): each has a part of every weight, and the keys and values of its
/// heads. See docs/parallel.md. Once a rank has failed in a step the ranks are no longer in the same place: every later step fails too.
/// </summary>
internal sealed class ParallelBackend : IBackend
{
    private readonly IReadOnlyList<IBackend> _ranks;
    private readonly IRankExchange _exchange;
    private readonly RankTeam _team;
    private readonly ParallelMemory _memory;
    private readonly ParallelTensorFactory _tensors;
    private readonly ParallelKernels _kernels;
    private readonly ParallelSampler? _sampler;
    private readonly Batch[] _batches; // of each rank; the first's is the caller's
    private readonly Action<int> _runRank;
    private Action _operations = () => { };
    private Exception? _failure;
    private RankFailure? _broken;
    private bool _disposed;

    /// <param name="ranks">The devices, at least two, all of one kind; owned.</param>
    /// <param name="exchange">What brings their parts together; owned.</param>
    /// <param name="names">What to call them in messages.</param>
    public ParallelBackend(IReadOnlyList<IBackend> ranks, IRankExchange exchange, IReadOnlyList<string> names)
    {
        (_ranks, _exchange, Names) = (ranks, exchange, names);
        _team = new RankTeam(ranks.Count) { Failed = Break };
        _memory = new ParallelMemory([.. ranks.Select(rank => rank.Memory)]);
        _tensors = new ParallelTensorFactory(_team, [.. ranks.Select(rank => rank.Tensors)]);
        _kernels = new ParallelKernels(ranks, _tensors, exchange);
        _sampler = ranks[0].Sampler is { } sampler ? new ParallelSampler(sampler, exchange, InStep, check => ThrowIfRanksFailed(exchange.FindFailure(check))) : null;
        _batches = [.. ranks.Select(_ => new Batch())];
        _runRank = RunRank;
    }

    public IDeviceMemory Memory => _memory;

    public int KvElementBytes => _ranks[0].KvElementBytes;

    public ITensorFactory Tensors => _tensors;

    public IKernels Kernels => _kernels;

    public IDeviceSampler? Sampler => _sampler;

    /// <summary>The devices.</summary>
    public IReadOnlyList<IBackend> Ranks => _ranks;

    /// <summary>What to call them in messages.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>What brings their parts together.</summary>
    public IRankExchange Exchange => _exchange;

    public int Divide(ModelShape model) => (_tensors.Division = new Division(model, _ranks.Count)).KvHeads;

    public void Prepare(int maxTokens, int contextLength, Action operations) => InStep(rank => _ranks[rank].Prepare(maxTokens, contextLength, operations));

    public void BeginStep(Batch batch)
    {
        ThrowIfFailed();
        _batches[0] = batch;
        _exchange.Begin(batch);
    }

    public void Run(Action operations)
    {
        _operations = operations;
        InStep(_runRank);
    }

    public void Read(Activations x, int row, Span<float> destination)
    {
        _ranks[0].Read(((ParallelActivations)x)[0], row, destination);
        ThrowIfRanksFailed(_exchange.FindFailure());
    }

    public void Read(WeightVector vector, Span<float> destination) => _ranks[0].Read(((ParallelVector)vector)[0], destination);

    public void Wait()
    {
        foreach (IBackend rank in _ranks) rank.Wait();
        ThrowIfRanksFailed(_exchange.FindFailure());
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _team.Dispose();
        _kernels.Dispose();
        _tensors.Dispose();
        _exchange.Dispose();
        foreach (IBackend rank in _ranks) rank.Dispose();
    }

    private void RunRank(int rank)
    {
        if (rank > 0) _memory.Translate(_batches[0], rank, _batches[rank]);
        _ranks[rank].BeginStep(_batches[rank]);
        _ranks[rank].Run(_operations);
    }

    private void InStep(Action<int> work)
    {
        try
        {
            _team.Run(work);
        }
        catch (Exception error)
        {
            _failure ??= error;
            throw;
        }
    }

    /// <param name="found">Why ranks have waited for others in vain; null if they have not.</param>
    private void ThrowIfRanksFailed(string? found)
    {
        if (found is not null) _failure ??= new InvalidOperationException(found);
        ThrowIfFailed();
    }

    private void ThrowIfFailed()
    {
        if (_failure is null) return;
        string failed = _broken is { } broken ? $"{Names[broken.Rank]} has failed" : "they no longer wait for each other";
        throw new InvalidOperationException($"The model is gone from its {_ranks.Count} devices, {failed}: {_failure.Message}", _failure);
    }

    /// <summary>Called by the thread of a rank that has failed.</summary>
    private void Break(RankFailure failure)
    {
        Interlocked.CompareExchange(ref _broken, failure, null);
        _exchange.Break(failure);
    }
}
