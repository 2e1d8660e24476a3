using Decart.Inference.Checkpoints;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Models.Quantisation;

namespace Decart.Inference.Benchmarks.Latency;

/// <summary>
/// What a decoder's steps must read and compute, whatever kernels do it: weights in the bits that a checkpoint has, keys and values, and two operations for each multiply-add
/// of a matmul or of attention. Norms, biases and rows of the embedding are left out, which are a thousandth of the rest.
/// </summary>
/// <param name="config">The decoder's shape.</param>
/// <param name="kvElementBytes">Bytes of an element of the keys and values; scales are counted where there are some.</param>
/// <param name="types">The types of the weights; null for 16 bits.</param>
internal sealed class DecoderCost(ModelConfig config, int kvElementBytes, WeightTypes? types = null)
{
    private const double Operations = 2;

    private double Attention => (double)config.HiddenSize * config.HeadDim * ((2 * config.Heads) + (2 * config.KvHeads));

    private double FeedForward => (config.Gated ? 3.0 : 2.0) * config.HiddenSize * config.IntermediateSize;

    private double Expert => 3.0 * config.HiddenSize * (config.Experts?.IntermediateSize ?? 0);

    private double Router => (double)config.HiddenSize * (config.Experts?.Count ?? 0);

    private double Output => (double)config.HiddenSize * config.VocabularySize;

    /// <summary>Weights of all layers that a token is multiplied by.</summary>
    private double LayersOfToken => SumOfLayers(config.Experts?.PerToken ?? 0);

    /// <summary>Bytes that a decode step reads: each weight once, of experts those that are expected to be chosen, and the keys and values of every sequence.</summary>
    /// <param name="batch">Sequences.</param>
    /// <param name="context">Tokens of each.</param>
    public double DecodeBytes(int batch, int context)
    {
        double keysAndValues = (double)new KvLayout(1, config.KvHeads, config.HeadDim, kvElementBytes).LayerBytes * batch * config.Windows.Sum(window => (double)Visible(context, window));
        double experts = ExpectedExperts(batch);
        return Enumerable.Range(0, config.Layers).Sum(layer => LayerBytes(layer, experts)) + OutputBytes + keysAndValues;
    }

    /// <summary>Bits of a weight, all matrices that a token is multiplied by together.</summary>
    public double BitsPerWeight
    {
        get
        {
            double experts = config.Experts?.Count ?? 0;
            return 8 * (Enumerable.Range(0, config.Layers).Sum(layer => LayerBytes(layer, experts)) + OutputBytes) / (SumOfLayers(experts) + Output);
        }
    }

    /// <summary>Operations of a decode step, attention included.</summary>
    /// <inheritdoc cref="DecodeBytes" path="/param"/>
    public double DecodeOperations(int batch, int context) =>
        batch * ((Operations * (LayersOfToken + Output)) + config.Windows.Sum(window => AttentionOperations(Visible(context, window))));

    /// <summary>Operations of the matmuls of a prompt, whose logits are computed for the last token only and not counted.</summary>
    public double PrefillWeightOperations(int tokens) => Operations * LayersOfToken * tokens;

    /// <summary>Operations of a prompt, attention included.</summary>
    public double PrefillOperations(int tokens) => PrefillWeightOperations(tokens) + config.Windows.Sum(window => AttentionOperations(VisiblePairs(tokens, window)));

    private double OutputBytes => Bytes(WeightRole.Output, 0, config.VocabularySize, config.HiddenSize);

    private double LayerBytes(int layer, double experts)
    {
        int hidden = config.HiddenSize, queries = config.Heads * config.HeadDim, keys = config.KvHeads * config.HeadDim;
        double attention = Bytes(WeightRole.AttentionOutput, layer, hidden, queries) + (config.Names.QueryKeyValue.Length == 1
            ? Bytes(WeightRole.QueryKeyValue, layer, queries + (2 * keys), hidden)
            : Bytes(WeightRole.Query, layer, queries, hidden) + Bytes(WeightRole.Key, layer, keys, hidden) + Bytes(WeightRole.Value, layer, keys, hidden));
        return attention + (config.HasExperts(layer)
            ? Bytes(WeightRole.Router, layer, config.Experts!.Count, hidden) + (experts * FeedForwardBytes(layer, gated: true, config.Experts.IntermediateSize))
            : FeedForwardBytes(layer, config.Gated, config.IntermediateSize));
    }

    private double FeedForwardBytes(int layer, bool gated, int inner) =>
        Bytes(WeightRole.GateUp, layer, (gated ? 2 : 1) * inner, config.HiddenSize) + Bytes(WeightRole.Down, layer, config.HiddenSize, inner);

    private double Bytes(WeightRole role, int layer, double rows, int columns) => rows * columns * Bits(types?.Of(role, layer, columns)) / 8;

    /// <summary>Bits of a weight in a checkpoint: 4-bit integers with a scale and a zero for 128, of 8-bit floats a scale for 128 x 128, which is next to nothing.</summary>
    private static double Bits(TensorType? type) => type switch
    {
        null => 16,
        TensorType.Int4x32 or TensorType.Int4x64 => 4 + ((16 + 4) / 128.0),
        TensorType.E4M3x32 or TensorType.E4M3x64 or TensorType.Int8x32 or TensorType.Int8x64 => 8,
        { } block => 8.0 * block.BlockBytes() / block.BlockLength(),
    };

    private static int Visible(int context, int window) => window == 0 ? context : Math.Min(context, window);

    /// <summary>Of all pairs of a token and one that it sees, itself included.</summary>
    private static double VisiblePairs(int tokens, int window)
    {
        double seen = Visible(tokens, window);
        return (seen * (seen + 1) / 2) + ((tokens - seen) * seen);
    }

    /// <summary>Products of queries and keys, and sums of values.</summary>
    private double AttentionOperations(double pairs) => 2 * Operations * config.Heads * config.HeadDim * pairs;

    private double ExpectedExperts(int tokens) =>
        config.Experts is { } experts ? experts.Count * (1 - Math.Pow(1 - ((double)experts.PerToken / experts.Count), tokens)) : 0;

    private double SumOfLayers(double experts) =>
        Enumerable.Range(0, config.Layers).Sum(layer => Attention + (config.HasExperts(layer) ? Router + (experts * Expert) : FeedForward));
}
