using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels;
using Decart.Inference.Models;
using Decart.Inference.Models.Quantisation;

namespace Decart.Inference.Loading;

/// <summary>What a model needs of GPUs, known before any tensor is made.</summary>
/// <param name="WidenedBytes">Bytes of its matrices as halves.</param>
/// <param name="PackedBytes">About how many where those of few bits stay so.</param>
/// <param name="Shape">What its division follows from.</param>
internal readonly record struct ModelNeed(long WidenedBytes, long PackedBytes, ModelShape Shape)
{
    private const double HalfBits = 16;

    /// <summary>Bits of formats whose weights are points of grids: GPUs keep places in a table, and scales.</summary>
    private const double GridBits = 4.75;

    /// <summary>Bits of ternary weights: two, and their scales.</summary>
    private const double TernaryBits = 2.5;

    /// <summary>How much more most formats take on a GPU than in a file, for their scales.</summary>
    private const double Overhead = 1.13;

    /// <summary>What a checkpoint's model needs.</summary>
    public static ModelNeed Of(TensorSource source, ModelConfig config)
    {
        double layers = Enumerable.Range(0, config.Layers).Sum(layer => (double)LayerWeights(config, layer)), others = OtherWeights(config);
        double packedBits = source switch
        {
            RandomTensors random => (layers * BitsOf(LayerType(random.Types, config))) + (others * HalfBits),
            RoundedTensors rounded => (layers * BitsOf(LayerType(rounded.Types, config))) + (others * HalfBits),
            QuantisedTensors => 8.0 * source.TotalBytes * Overhead,
            _ => source.Names.Sum(name => source.TryGet(name, out StoredTensor tensor) ? tensor.Rows * tensor.Columns * BitsOf(tensor.Type) : 0),
        };
        ModelShape shape = new(config.Heads, config.KvHeads, config.HeadDim, source.MaxBlockLength);
        return new ModelNeed((long)((layers + others) * HalfBits / 8), (long)(packedBits / 8), shape);
    }

    /// <summary>Bytes on GPUs that keep weights in few bits, or on others.</summary>
    public long BytesWhere(bool packs) => packs ? PackedBytes : WidenedBytes;

    private static long LayerWeights(ModelConfig config, int layer)
    {
        long hidden = config.HiddenSize, attention = hidden * config.HeadDim * (2 * (config.Heads + config.KvHeads));
        if (!config.HasExperts(layer)) return attention + ((config.Gated ? 3 : 2) * hidden * config.IntermediateSize);
        return attention + (config.Experts!.Count * hidden * ((3 * config.Experts.IntermediateSize) + 1)); // and the router
    }

    /// <summary>Those of the embedding and of the output.</summary>
    private static long OtherWeights(ModelConfig config) => (config.TiedEmbeddings || !config.HasOutput ? 1L : 2L) * config.VocabularySize * config.HiddenSize;

    /// <summary>The type of most matrices of layers; null for 16 bits.</summary>
    private static TensorType? LayerType(WeightTypes? types, ModelConfig config) => types?.Of(WeightRole.GateUp, config.Layers / 2, config.HiddenSize);

    /// <summary>Bits of a weight on a GPU that keeps it in few.</summary>
    private static double BitsOf(TensorType? type) => type switch
    {
        >= TensorType.IQ3_S and <= TensorType.IQ1_M => GridBits,
        TensorType.TQ1_0 or TensorType.TQ2_0 => TernaryBits,
        { } stored when stored.BlockLength() > 1 => 8.0 * stored.BlockBytes() / stored.BlockLength() * Overhead,
        _ => HalfBits,
    };
}
