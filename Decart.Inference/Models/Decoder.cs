using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Sampling;

namespace Decart.Inference.Models;

/// <summary>
/// The forward pass of every family, written once over <see cref="IKernels"/>. Owns its weights, its activations and the
/// checkpoint they are read from; not the backend. Activations are allocated once for the largest batch.
/// </summary>
internal sealed class Decoder : IDecoder
{
    private readonly IBackend _backend;
    private readonly IKernels _kernels;
    private readonly TensorSource _source;
    private readonly DecoderWeights _weights;
    private readonly List<Activations> _activations = [];
    private readonly Activations _residual, _queryKeyValue, _attended, _logits;
    private readonly Activations? _normalised, _delta, _inner, _routerLogits;
    private readonly Action _operations, _logitOperations;
    private readonly bool[] _sampled; // by row of the logits: whether the latest tokens that were sampled have one for it
    private HostNorm? _finalNorm; // once hidden states are read
    private int _tokens, _logitRows;

    private Decoder(TensorSource source, ModelConfig config, IBackend backend, int kvHeads, DecoderWeights weights, int maxBatchTokens, int maxBatchSequences)
    {
        (_source, Config, _backend, _kernels, _weights) = (source, config, backend, backend.Kernels, weights);
        (MaxBatchTokens, MaxBatchSequences) = (maxBatchTokens, maxBatchSequences);
        _sampled = new bool[maxBatchSequences];
        RotaryLength = config.Rotary?.RotaryLength;
        KvLayout = new KvLayout(config.Layers, kvHeads, config.HeadDim, backend.KvElementBytes);
        try
        {
            _residual = Allocate(maxBatchTokens, config.HiddenSize);
            _normalised = config.Arrangement == BlockArrangement.Parallel || config.Experts is not null
                ? Allocate(maxBatchTokens, config.HiddenSize, operand: true)
                : null;
            _delta = config.Arrangement == BlockArrangement.Sandwich ? Allocate(maxBatchTokens, config.HiddenSize) : null;
            _queryKeyValue = Allocate(maxBatchTokens, (config.Heads + 2 * config.KvHeads) * config.HeadDim, split: Split.QueryKeyValue);
            _attended = Allocate(maxBatchTokens, config.Heads * config.HeadDim, operand: true, Split.Heads);
            _inner = weights.Layers.Any(layer => layer.FeedForward is not null)
                ? Allocate(maxBatchTokens, config.IntermediateSize, operand: true, Split.Features)
                : null;
            _routerLogits = config.Experts is null ? null : Allocate(maxBatchTokens, config.Experts.Count);
            _logits = Allocate(maxBatchSequences, config.VocabularySize, split: Split.Vocabulary);
            (_operations, _logitOperations) = (Run, Logits);
            backend.Prepare(maxBatchTokens, config.ContextLength, _operations);
        }
        catch
        {
            DisposeActivations();
            throw;
        }
    }

    public ModelConfig Config { get; }

    public int VocabularySize => Config.VocabularySize;

    public int ContextLength => Config.ContextLength;

    public int MaxBatchTokens { get; }

    public int MaxBatchSequences { get; }

    public KvLayout KvLayout { get; }

    public Func<int, int, int>? RotaryLength { get; }

    /// <summary>Loads the weights and makes room for the activations. Takes ownership of the source, also when loading fails.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="config">What <see cref="ModelLoader.ReadConfig"/> read from it.</param>
    /// <param name="backend">The device; it must outlive the decoder.</param>
    /// <param name="maxBatchTokens">The most tokens of one batch, at least 1.</param>
    /// <param name="maxBatchSequences">The most rows of logits of one batch, at least 1.</param>
    /// <param name="cancellationToken">Checked between layers.</param>
    /// <exception cref="ModelLoadException">A tensor is missing or has another shape than the configuration says.</exception>
    /// <exception cref="NotSupportedException">The backend has several devices that cannot divide the model.</exception>
    public static Decoder Load(
        TensorSource source, ModelConfig config, IBackend backend, int maxBatchTokens, int maxBatchSequences, CancellationToken cancellationToken = default)
    {
        DecoderWeights? weights = null;
        try
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(maxBatchTokens, 1);
            ArgumentOutOfRangeException.ThrowIfLessThan(maxBatchSequences, 1);
            int kvHeads = backend.Divide(new ModelShape(config.Heads, config.KvHeads, config.HeadDim, source.MaxBlockLength));
            weights = new DecoderWeights(source, config, backend.Tensors, cancellationToken);
            return new Decoder(source, config, backend, kvHeads, weights, maxBatchTokens, maxBatchSequences);
        }
        catch
        {
            weights?.Dispose();
            source.Dispose();
            throw;
        }
    }

    public void Forward(Batch batch)
    {
        Validate(batch);
        (_tokens, _logitRows) = (batch.TokenCount, batch.LogitRows.Length);
        _backend.BeginStep(batch);
        _backend.Run(_operations);
    }

    public void ReadLogits(int index, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, _logitRows);
        _backend.Read(_logits, index, destination);
    }

    public void ComputeLogits(Batch batch)
    {
        ValidateLogitRows(batch);
        if (batch.TokenCount != _tokens) throw new ArgumentException($"The last batch had {_tokens} tokens, this one has {batch.TokenCount}.", nameof(batch));
        _logitRows = batch.LogitRows.Length;
        _backend.BeginStep(batch);
        _backend.Run(_logitOperations);
    }

    public void ReadHidden(int row, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, _tokens);
        _finalNorm ??= new HostNorm(_weights.FinalNorm, _backend);
        destination = destination[..Config.HiddenSize];
        _backend.Read(_residual, row, destination);
        _finalNorm.Apply(destination);
    }

    public void Wait() => _backend.Wait();

    public SequenceSampler? CreateSampler(SamplingParameters parameters, ReadOnlySpan<int> prompt) =>
        _backend.Sampler?.CreateSampler(parameters, prompt, VocabularySize);

    public SampledTokens Sample(ReadOnlySpan<SampledRow> rows)
    {
        IDeviceSampler sampler = _backend.Sampler ?? throw new NotSupportedException("This device leaves sampling to the host.");
        foreach (SampledRow row in rows) ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row.LogitRow, (uint)_logitRows, nameof(rows));
        SampledTokens tokens = sampler.Sample(_logits, rows);
        Array.Clear(_sampled);
        foreach (SampledRow row in rows) _sampled[row.LogitRow] = true;
        return tokens;
    }

    public void Dispose()
    {
        DisposeActivations();
        _weights.Dispose();
        _source.Dispose();
    }

    /// <summary>A step, the same operations for every batch.</summary>
    private void Run()
    {
        _kernels.Embed(_weights.Embedding, Config.EmbeddingScale, _residual);
        for (int layer = 0; layer < Config.Layers; layer++)
        {
            LayerWeights weights = _weights.Layers[layer];
            Attend(layer, weights);
            switch (Config.Arrangement)
            {
                case BlockArrangement.Sequential:
                    Project(_attended, weights.AttentionOutput, weights.AttentionOutputBias, postNorm: null);
                    FeedForward(weights, weights.FeedForwardNorm!);
                    break;
                case BlockArrangement.Sandwich:
                    Project(_attended, weights.AttentionOutput, weights.AttentionOutputBias, weights.PostAttentionNorm);
                    FeedForward(weights, weights.FeedForwardNorm!);
                    break;
                case BlockArrangement.Parallel or BlockArrangement.ParallelTwoNorms:
                    // Both blocks read the residual before either adds to it.
                    ProjectUp(weights, weights.FeedForwardNorm);
                    Project(_attended, weights.AttentionOutput, weights.AttentionOutputBias, postNorm: null, more: true);
                    Project(_inner!, weights.FeedForward!.Down, weights.FeedForward.DownBias, postNorm: null);
                    break;
            }
        }
        Logits();
    }

    private void Logits() => _kernels.Logits(_residual, _weights.FinalNorm, _weights.Output, new Epilogue(SoftCap: Config.LogitSoftCap), _logits);

    /// <summary>From the residual to the heads' outputs.</summary>
    private void Attend(int layer, LayerWeights weights)
    {
        bool shared = weights.FeedForwardNorm is null; // the feed-forward block reads the same
        if (shared) _kernels.Normalise(weights.AttentionNorm, _residual, _normalised!);
        MatMul(shared ? null : weights.AttentionNorm, weights.QueryKeyValue, new Epilogue(weights.QueryKeyValueBias), _queryKeyValue);
        _kernels.Attend(_queryKeyValue, layer, weights.Attention, _weights.Rotary, weights.QueryNorm, weights.KeyNorm, _attended);
    }

    private void FeedForward(LayerWeights weights, Norm norm)
    {
        if (weights.Experts is { } experts)
        {
            _kernels.Normalise(norm, _residual, _normalised!);
            MatMul(norm: null, weights.Router!, default, _routerLogits!);
            _kernels.MixExperts(_normalised!, _routerLogits!, experts, _residual);
            return;
        }
        ProjectUp(weights, norm);
        Project(_inner!, weights.FeedForward!.Down, weights.FeedForward.DownBias, weights.PostFeedForwardNorm);
    }

    /// <summary>From the residual to the inner activations of the feed-forward block.</summary>
    private void ProjectUp(LayerWeights weights, Norm? norm)
    {
        FeedForwardWeights block = weights.FeedForward!;
        MatMul(norm, block.GateUp, new Epilogue(block.GateUpBias, Config.Activation, Config.Gated), _inner!);
    }

    /// <summary>Multiplies the normalised residual: by a norm of its own, or as it is for several.</summary>
    private void MatMul(Norm? norm, Weight weight, in Epilogue epilogue, Activations y) => _kernels.MatMul(norm is null ? _normalised! : _residual, norm, weight, epilogue, y);

    /// <summary>Adds what a block made to the residual, by way of its own norm when there is one.</summary>
    private void Project(Activations x, Weight weight, WeightVector? bias, Norm? postNorm, bool more = false)
    {
        if (postNorm is null)
        {
            _kernels.MatMul(x, norm: null, weight, new Epilogue(bias, Accumulate: true, More: more), _residual);
            return;
        }
        _kernels.MatMul(x, norm: null, weight, new Epilogue(bias), _delta!);
        _kernels.NormaliseAdd(postNorm, _delta!, _residual);
    }

    private void Validate(Batch batch)
    {
        if (batch.TokenCount == 0 || batch.TokenCount > MaxBatchTokens)
        {
            throw new ArgumentException($"A batch has from 1 to {MaxBatchTokens} tokens, not {batch.TokenCount}.", nameof(batch));
        }
        ValidateLogitRows(batch);
        foreach (int id in batch.TokenIds)
        {
            if ((uint)id >= (uint)VocabularySize)
            {
                if (id < 0 && Batch.PreviousLogitRow(id) < _sampled.Length && _sampled[Batch.PreviousLogitRow(id)]) continue;
                throw new ArgumentException($"Token id {id} is neither of the vocabulary of {VocabularySize} nor a token that was sampled.", nameof(batch));
            }
        }
    }

    private void ValidateLogitRows(Batch batch)
    {
        if (batch.LogitRows.Length > MaxBatchSequences)
            throw new ArgumentException($"At most {MaxBatchSequences} rows of logits fit in a batch, not {batch.LogitRows.Length}.", nameof(batch));
    }

    private Activations Allocate(int rows, int columns, bool operand = false, Split split = Split.None)
    {
        Activations activations = _backend.Tensors.CreateActivations(rows, columns, operand, split);
        _activations.Add(activations);
        return activations;
    }

    private void DisposeActivations()
    {
        foreach (Activations activations in _activations) activations.Dispose();
        _activations.Clear();
    }
}
