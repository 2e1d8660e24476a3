using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Memory;
using Decart.Inference.Sampling;

namespace Decart.Inference.Models;

/// <summary>
/// The forward pass of every family, written once over <see cref="IKernels"/>. Owns its weights, its activations and the
/// checkpoint they are read from; not the kernels. Activations are allocated once for the largest batch.
/// </summary>
internal sealed class Decoder : IDecoder
{
    private readonly IKernels _kernels;
    private readonly TensorSource _source;
    private readonly DecoderWeights _weights;
    private readonly List<Activations> _activations = [];
    private readonly Activations _residual, _normed, _feedForwardInput, _delta;
    private readonly Activations _queryKeyValue, _attended, _lastNormed, _logits;
    private readonly Activations? _inner, _routerLogits;
    private readonly bool[] _chosen; // by row of the logits: whether the latest tokens that were chosen have one for it
    private int _logitRows;

    private Decoder(TensorSource source, ModelConfig config, IKernels kernels, DecoderWeights weights, int maxBatchTokens, int maxBatchSequences)
    {
        (_source, Config, _kernels, _weights) = (source, config, kernels, weights);
        (MaxBatchTokens, MaxBatchSequences) = (maxBatchTokens, maxBatchSequences);
        _chosen = new bool[maxBatchSequences];
        KvLayout = new KvLayout(config.Layers, config.KvHeads, config.HeadDim, kernels.KvElementBytes);
        try
        {
            _residual = Allocate(maxBatchTokens, config.HiddenSize);
            _normed = Allocate(maxBatchTokens, config.HiddenSize, operand: true);
            _feedForwardInput = config.Arrangement == BlockArrangement.ParallelTwoNorms ? Allocate(maxBatchTokens, config.HiddenSize, operand: true) : _normed;
            _delta = Allocate(maxBatchTokens, config.HiddenSize);
            _queryKeyValue = Allocate(maxBatchTokens, (config.Heads + 2 * config.KvHeads) * config.HeadDim);
            _attended = Allocate(maxBatchTokens, config.Heads * config.HeadDim, operand: true);
            _inner = weights.Layers.Any(layer => layer.FeedForward is not null) ? Allocate(maxBatchTokens, config.IntermediateSize, operand: true) : null;
            _routerLogits = config.Experts is null ? null : Allocate(maxBatchTokens, config.Experts.Count);
            _lastNormed = Allocate(maxBatchSequences, config.HiddenSize, operand: true);
            _logits = Allocate(maxBatchSequences, config.VocabularySize);
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

    /// <summary>Loads the weights and makes room for the activations. Takes ownership of the source, also when loading fails.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="config">What <see cref="ModelLoader.ReadConfig"/> read from it.</param>
    /// <param name="kernels">The device's operations; they must outlive the decoder.</param>
    /// <param name="maxBatchTokens">The most tokens of one batch, at least 1.</param>
    /// <param name="maxBatchSequences">The most rows of logits of one batch, at least 1.</param>
    /// <param name="cancellationToken">Checked between layers.</param>
    /// <exception cref="ModelLoadException">A tensor is missing or has another shape than the configuration says.</exception>
    public static Decoder Load(
        TensorSource source, ModelConfig config, IKernels kernels, int maxBatchTokens, int maxBatchSequences, CancellationToken cancellationToken = default)
    {
        DecoderWeights? weights = null;
        try
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(maxBatchTokens, 1);
            ArgumentOutOfRangeException.ThrowIfLessThan(maxBatchSequences, 1);
            weights = new DecoderWeights(source, config, kernels, cancellationToken);
            return new Decoder(source, config, kernels, weights, maxBatchTokens, maxBatchSequences);
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
        _logitRows = batch.LogitRows.Length;
        _kernels.BeginStep(batch);
        _kernels.Embed(_weights.Embedding, Config.EmbeddingScale, _residual);
        _kernels.Normalise(_weights.Layers[0].AttentionNorm, _residual, _normed);
        for (int layer = 0; layer < Config.Layers; layer++)
        {
            Norm next = layer + 1 < Config.Layers ? _weights.Layers[layer + 1].AttentionNorm : _weights.FinalNorm;
            ForwardLayer(layer, _weights.Layers[layer], next, batch.TokenCount);
        }
        if (_logitRows == 0) return;
        _kernels.GatherRows(_normed, batch.LogitRows, _lastNormed);
        _kernels.MatMul(_lastNormed, _weights.Output, _logitRows, new Epilogue(SoftCap: Config.LogitSoftCap), _logits);
    }

    public void ReadLogits(int index, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, _logitRows);
        _kernels.Read(_logits, index, destination);
    }

    public void Wait() => _kernels.Wait();

    public TokenChooser? CreateChooser(SamplingParameters parameters, ReadOnlySpan<int> prompt) =>
        _kernels.CreateChooser(parameters, prompt, VocabularySize);

    public ChosenTokens Sample(ReadOnlySpan<TokenChoice> choices)
    {
        foreach (TokenChoice choice in choices) ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)choice.LogitRow, (uint)_logitRows, nameof(choices));
        ChosenTokens tokens = _kernels.Sample(_logits, choices);
        Array.Clear(_chosen);
        foreach (TokenChoice choice in choices) _chosen[choice.LogitRow] = true;
        return tokens;
    }

    public void Dispose()
    {
        DisposeActivations();
        _weights.Dispose();
        _source.Dispose();
    }

    /// <summary>
    /// One layer. On entry and exit the residual stream is in <see cref="_residual"/> and its norm, this layer's or
    /// <paramref name="next"/>, in <see cref="_normed"/>, so that a norm and the addition before it are one operation.
    /// </summary>
    private void ForwardLayer(int layer, LayerWeights weights, Norm next, int rows)
    {
        Attention(layer, weights, rows);
        switch (Config.Arrangement)
        {
            case BlockArrangement.Sequential:
                _kernels.AddNormalise(_residual, _delta, weights.FeedForwardNorm!, _normed);
                FeedForward(weights, rows, accumulate: false);
                _kernels.AddNormalise(_residual, _delta, next, _normed);
                break;
            case BlockArrangement.Parallel or BlockArrangement.ParallelTwoNorms:
                if (weights.FeedForwardNorm is { } norm) _kernels.Normalise(norm, _residual, _feedForwardInput);
                FeedForward(weights, rows, accumulate: true);
                _kernels.AddNormalise(_residual, _delta, next, _normed);
                break;
            case BlockArrangement.Sandwich:
                _kernels.NormaliseAdd(weights.PostAttentionNorm!, _delta, _residual);
                _kernels.Normalise(weights.FeedForwardNorm!, _residual, _normed);
                FeedForward(weights, rows, accumulate: false);
                _kernels.NormaliseAdd(weights.PostFeedForwardNorm!, _delta, _residual);
                _kernels.Normalise(next, _residual, _normed);
                break;
        }
    }

    /// <summary>From the normed residual to the attention's output in <see cref="_delta"/>.</summary>
    private void Attention(int layer, LayerWeights weights, int rows)
    {
        _kernels.MatMul(_normed, weights.QueryKeyValue, rows, new Epilogue(weights.QueryKeyValueBias), _queryKeyValue);
        _kernels.RotaryStore(_queryKeyValue, layer, weights.Attention, _weights.Rotary, weights.QueryNorm, weights.KeyNorm);
        _kernels.Attend(_queryKeyValue, layer, weights.Attention, _attended);
        _kernels.MatMul(_attended, weights.AttentionOutput, rows, new Epilogue(weights.AttentionOutputBias), _delta);
    }

    private void FeedForward(LayerWeights weights, int rows, bool accumulate)
    {
        if (weights.Experts is { } experts)
        {
            _kernels.MatMul(_feedForwardInput, weights.Router!, rows, default, _routerLogits!);
            _kernels.MixExperts(_feedForwardInput, _routerLogits!, experts, _delta);
            return;
        }
        FeedForwardWeights block = weights.FeedForward!;
        _kernels.MatMul(_feedForwardInput, block.GateUp, rows, new Epilogue(block.GateUpBias, Config.Activation, Config.Gated), _inner!);
        _kernels.MatMul(_inner!, block.Down, rows, new Epilogue(block.DownBias, Accumulate: accumulate), _delta);
    }

    private void Validate(Batch batch)
    {
        if (batch.TokenCount == 0 || batch.TokenCount > MaxBatchTokens)
        {
            throw new ArgumentException($"A batch has from 1 to {MaxBatchTokens} tokens, not {batch.TokenCount}.", nameof(batch));
        }
        if (batch.LogitRows.Length > MaxBatchSequences)
        {
            throw new ArgumentException($"At most {MaxBatchSequences} rows of logits fit in a batch, not {batch.LogitRows.Length}.", nameof(batch));
        }
        foreach (int id in batch.TokenIds)
        {
            if ((uint)id >= (uint)VocabularySize)
            {
                if (id < 0 && Batch.PreviousLogitRow(id) < _chosen.Length && _chosen[Batch.PreviousLogitRow(id)]) continue;
                throw new ArgumentException($"Token id {id} is neither of the vocabulary of {VocabularySize} nor a token that was chosen.", nameof(batch));
            }
        }
    }

    private Activations Allocate(int rows, int columns, bool operand = false)
    {
        Activations activations = _kernels.CreateActivations(rows, columns, operand);
        _activations.Add(activations);
        return activations;
    }

    private void DisposeActivations()
    {
        foreach (Activations activations in _activations) activations.Dispose();
        _activations.Clear();
    }
}
