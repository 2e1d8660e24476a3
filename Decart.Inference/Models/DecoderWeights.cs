using System.Collections.Immutable;
using System.Globalization;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;

namespace Decart.Inference.Models;

/// <summary>An ordinary feed-forward block: <c>down(f(gate x) * up x)</c>, or <c>down(f(up x))</c> without a gate.</summary>
internal sealed record FeedForwardWeights(Weight GateUp, WeightVector? GateUpBias, Weight Down, WeightVector? DownBias);

/// <summary>The weights of one layer; it has either a feed-forward block or a router with experts.</summary>
internal sealed record LayerWeights
{
    public required Norm AttentionNorm { get; init; }

    public required AttentionShape Attention { get; init; }

    public required Weight QueryKeyValue { get; init; }

    public WeightVector? QueryKeyValueBias { get; init; }

    public Norm? QueryNorm { get; init; }

    public Norm? KeyNorm { get; init; }

    public required Weight AttentionOutput { get; init; }

    public WeightVector? AttentionOutputBias { get; init; }

    /// <summary>Norm of the attention's output before it joins the residual (sandwich arrangement).</summary>
    public Norm? PostAttentionNorm { get; init; }

    /// <summary>Null where the feed-forward block reads what the attention reads.</summary>
    public Norm? FeedForwardNorm { get; init; }

    /// <summary>Norm of the feed-forward block's output before it joins the residual (sandwich arrangement).</summary>
    public Norm? PostFeedForwardNorm { get; init; }

    public FeedForwardWeights? FeedForward { get; init; }

    public Weight? Router { get; init; }

    public Experts? Experts { get; init; }
}

/// <summary>All weights of a decoder on its device. Owns them; the checkpoint must stay open as long as they live.</summary>
internal sealed class DecoderWeights : IDisposable
{
    private readonly ModelConfig _config;
    private readonly TensorSource _source;
    private readonly ITensorFactory _tensors;
    private readonly List<IDisposable> _owned = [];

    /// <summary>Makes the weights from the checkpoint's tensors, whose names and shapes are checked.</summary>
    /// <exception cref="ModelLoadException">A tensor is missing or has another shape than the configuration says.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled between two layers.</exception>
    public DecoderWeights(TensorSource source, ModelConfig config, ITensorFactory tensors, CancellationToken cancellationToken)
    {
        (_source, _config, _tensors) = (source, config, tensors);
        try
        {
            Rotary = config.Rotary is null ? null : Own(tensors.CreateRotary(config.Rotary.ToParameters()));
            (Embedding, Output) = LoadEmbeddings();
            FinalNorm = LoadNorm(config.Names.FinalNorm, config.HiddenSize);
            LayerWeights[] layers = new LayerWeights[config.Layers];
            for (int layer = 0; layer < layers.Length; layer++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                layers[layer] = LoadLayer(layer);
                if (!tensors.ReadsWeightsInPlace) source.Recycle();
            }
            Layers = layers;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public Weight Embedding { get; }

    /// <summary>The matrix that turns hidden states into logits; the embedding itself where they are tied, and where there is none.</summary>
    public Weight Output { get; }

    public Norm FinalNorm { get; }

    public RotaryTable? Rotary { get; }

    public IReadOnlyList<LayerWeights> Layers { get; }

    public void Dispose()
    {
        for (int i = _owned.Count - 1; i >= 0; i--) _owned[i].Dispose();
        _owned.Clear();
    }

    /// <summary>Tied checkpoints may store the one matrix under either name.</summary>
    private (Weight Embedding, Weight Output) LoadEmbeddings()
    {
        WeightNames names = _config.Names;
        bool onlyOutput = _config.TiedEmbeddings && !_source.TryGet(names.Embedding + ".weight", out _) && _source.TryGet(names.Output + ".weight", out _);
        StoredTensor table = Require((onlyOutput ? names.Output : names.Embedding) + ".weight", _config.VocabularySize, _config.HiddenSize);
        Weight embedding = Own(_tensors.CreateWeight(new WeightParts(_source.Path, table) { IsTable = true }));
        return (embedding, _config.TiedEmbeddings || !_config.HasOutput ? embedding : LoadWeight(names.Output, _config.VocabularySize, _config.HiddenSize, rows: Split.Vocabulary));
    }

    private LayerWeights LoadLayer(int layer)
    {
        ModelConfig config = _config;
        WeightNames names = config.Names;
        string Name(string stem) => names.InLayer(layer, stem);
        int attended = config.Heads * config.HeadDim;
        bool sandwich = config.Arrangement == BlockArrangement.Sandwich;
        (Weight? router, Experts? experts) = config.HasExperts(layer) ? LoadExperts(layer, config.Experts!) : (null, null);
        return new LayerWeights
        {
            AttentionNorm = LoadNorm(Name(names.AttentionNorm), config.HiddenSize),
            Attention = new AttentionShape(
                config.Heads, config.KvHeads, config.HeadDim, config.AttentionScale, config.AttentionSoftCap, config.Windows[layer],
                config.AlibiSlopes is { } slopes ? [.. slopes] : null),
            QueryKeyValue = CreateWeight(Split.QueryKeyValue, gated: false, QueryKeyValueParts(layer).AsSpan()),
            QueryKeyValueBias = config.QueryKeyValueBias ? CreateVector(Split.QueryKeyValue, gated: false, QueryKeyValueBiasParts(layer).AsSpan()) : null,
            QueryNorm = config.QueryKeyNorm ? LoadNorm(Name(names.QueryNorm), config.HeadDim) : null,
            KeyNorm = config.QueryKeyNorm ? LoadNorm(Name(names.KeyNorm), config.HeadDim) : null,
            AttentionOutput = LoadWeight(Name(names.AttentionOutput), config.HiddenSize, attended, columns: Split.Heads),
            AttentionOutputBias = config.AttentionOutputBias ? LoadVector(Name(names.AttentionOutput) + ".bias", config.HiddenSize) : null,
            PostAttentionNorm = sandwich ? LoadNorm(Name(names.PostAttentionNorm), config.HiddenSize) : null,
            FeedForwardNorm = config.Arrangement == BlockArrangement.Parallel ? null : LoadNorm(Name(names.FeedForwardNorm), config.HiddenSize),
            PostFeedForwardNorm = sandwich ? LoadNorm(Name(names.PostFeedForwardNorm), config.HiddenSize) : null,
            FeedForward = experts is null ? LoadFeedForward(layer) : null,
            Router = router,
            Experts = experts,
        };
    }

    /// <summary>The query rows, then the key rows, then the value rows, wherever they are stored.</summary>
    private ImmutableArray<StoredTensor> QueryKeyValueParts(int layer) =>
        QueryKeyValueTensors(layer, (name, rows) => Require(name + ".weight", rows, _config.HiddenSize));

    /// <remarks>A vector is cut by elements: it is seen as a matrix of one column.</remarks>
    private ImmutableArray<StoredTensor> QueryKeyValueBiasParts(int layer) =>
        QueryKeyValueTensors(layer, (name, rows) => Require(name + ".bias", rows) with { Shape = [rows, 1] });

    private ImmutableArray<StoredTensor> QueryKeyValueTensors(int layer, Func<string, int, StoredTensor> require)
    {
        int queryRows = _config.Heads * _config.HeadDim, keyRows = _config.KvHeads * _config.HeadDim;
        ImmutableArray<string> names = [.. _config.Names.QueryKeyValue.Select(stem => _config.Names.InLayer(layer, stem))];
        if (names.Length > 1) return [require(names[0], queryRows), require(names[1], keyRows), require(names[2], keyRows)];
        StoredTensor fused = require(names[0], queryRows + 2 * keyRows);
        return _config.Names.GroupedQueryKeyValue && _config.KvHeads > 1 ? Ungroup(fused) : [fused];
    }

    private ImmutableArray<StoredTensor> Ungroup(StoredTensor fused)
    {
        int headDim = _config.HeadDim, queryRows = _config.Heads / _config.KvHeads * headDim, groupRows = queryRows + 2 * headDim;
        IEnumerable<StoredTensor> Slices(int offset, int rows) =>
            Enumerable.Range(0, _config.KvHeads).Select(group => fused.SliceRows((long)group * groupRows + offset, rows));
        return [.. Slices(0, queryRows), .. Slices(queryRows, headDim), .. Slices(queryRows + headDim, headDim)];
    }

    private FeedForwardWeights LoadFeedForward(int layer)
    {
        ModelConfig config = _config;
        ImmutableArray<string> names = [.. config.Names.GateUp.Select(stem => config.Names.InLayer(layer, stem))];
        string down = config.Names.InLayer(layer, config.Names.Down);
        int rows = config.IntermediateSize * (config.Gated && names.Length == 1 ? 2 : 1);
        StoredTensor[] gateUp = [.. names.Select(name => Require(name + ".weight", rows, config.HiddenSize))];
        StoredTensor[] gateUpBias = config.FeedForwardBias ? [.. names.Select(name => Require(name + ".bias", rows))] : [];
        return new FeedForwardWeights(
            CreateWeight(Split.Features, config.Gated, gateUp),
            config.FeedForwardBias ? CreateVector(Split.Features, config.Gated, gateUpBias) : null,
            LoadWeight(down, config.HiddenSize, config.IntermediateSize, columns: Split.Features),
            config.FeedForwardBias ? LoadVector(down + ".bias", config.HiddenSize) : null);
    }

    private (Weight Router, Experts Experts) LoadExperts(int layer, ExpertsConfig config)
    {
        Weight router = LoadWeight(_config.Names.InLayer(layer, _config.Names.Router), config.Count, _config.HiddenSize);
        StoredTensor[][] gateUps = [.. Enumerable.Range(0, config.Count).Select(expert => ExpertGateUp(layer, expert, config.IntermediateSize))];
        StoredTensor[][] downs = [.. Enumerable.Range(0, config.Count).Select(expert => (StoredTensor[])[ExpertTensor(layer, expert, ^1, _config.HiddenSize, config.IntermediateSize)])];
        bool gatesAreAlike = AreAlike(gateUps), downsAreAlike = AreAlike(downs);
        Weight[] gateUp = [.. gateUps.Select(parts => Own(_tensors.CreateWeight(
            new WeightParts(_source.Path, parts) { Gated = true, MustBeWidened = !gatesAreAlike, IsExpert = true, RowSplit = Split.Features })))];
        Weight[] down = [.. downs.Select(parts => Own(_tensors.CreateWeight(
            new WeightParts(_source.Path, parts) { MustBeWidened = !downsAreAlike, IsExpert = true, ColumnSplit = Split.Features })))];
        return (router, new Experts(gateUp, down, config.PerToken, config.Renormalise, _config.Activation));
    }

    /// <summary>Whether experts are stored alike, so that they can stay so. Elsewhere they are widened.</summary>
    private static bool AreAlike(StoredTensor[][] experts) =>
        experts.All(parts => parts.Zip(experts[0]).All(pair => pair.First.Type == pair.Second.Type && pair.First.ColumnOrder.IsDefault));

    private StoredTensor[] ExpertGateUp(int layer, int expert, int innerRows) => _config.Names.ExpertGateUpDown.Length == 2
        ? [ExpertTensor(layer, expert, 0, 2 * innerRows, _config.HiddenSize)]
        : [ExpertTensor(layer, expert, 0, innerRows, _config.HiddenSize), ExpertTensor(layer, expert, 1, innerRows, _config.HiddenSize)];

    private StoredTensor ExpertTensor(int layer, int expert, Index part, int rows, int columns)
    {
        string stem = _config.Names.ExpertGateUpDown[part], ending = _config.Names.ExpertGateUpDown.Length == 2 ? "" : ".weight";
        bool stacked = !stem.Contains("{0}", StringComparison.Ordinal);
        string name = _config.Names.InLayer(layer, string.Format(CultureInfo.InvariantCulture, stem, expert)) + ending;
        return stacked
            ? Require(name, _config.Experts!.Count, rows, columns).SliceRows((long)expert * rows, rows)
            : Require(name, rows, columns);
    }

    private Weight LoadWeight(string name, int rowCount, int columnCount, Split rows = Split.None, Split columns = Split.None) => Own(_tensors.CreateWeight(
        new WeightParts(_source.Path, Require(name + ".weight", rowCount, columnCount)) { RowSplit = rows, ColumnSplit = columns }));

    private WeightVector LoadVector(string name, int length, float offset = 0) =>
        Own(_tensors.CreateVector(new VectorParts(_source.Path, Require(name, length)), offset));

    private Norm LoadNorm(string name, int length) => new(
        LoadVector(name + ".weight", length, _config.NormOffset),
        _config.LayerNorm ? LoadVector(name + ".bias", length) : null,
        _config.NormEpsilon,
        _config.LayerNorm);

    private StoredTensor Require(string name, params ReadOnlySpan<long> shape) => _source.Require(name, shape);

    private Weight CreateWeight(Split rows, bool gated, params ReadOnlySpan<StoredTensor> parts) =>
        Own(_tensors.CreateWeight(new WeightParts(_source.Path, parts) { Gated = gated, RowSplit = rows }));

    private WeightVector CreateVector(Split split, bool gated, params ReadOnlySpan<StoredTensor> parts) =>
        Own(_tensors.CreateVector(new VectorParts(_source.Path, parts) { Split = split, Gated = gated }));

    private T Own<T>(T resource)
        where T : IDisposable
    {
        _owned.Add(resource);
        return resource;
    }
}
