using System.Globalization;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models.Quantisation;

/// <summary>
/// The type of each matrix of a model whose weights are of a format. Mixtures are those of llama.cpp's quantiser (src/llama-quant.cpp of ggml-org/llama.cpp), without
/// an importance matrix. Immutable.
/// </summary>
internal sealed class WeightTypes
{
    private readonly ModelConfig _config;
    private readonly Dictionary<string, (WeightRole Role, int Layer)> _matrices = new(StringComparer.Ordinal);

    public WeightTypes(WeightFormat format, ModelConfig config)
    {
        (Format, _config) = (format, config);
        _matrices[$"{config.Names.Embedding}.weight"] = (config.TiedEmbeddings ? WeightRole.Output : WeightRole.Embedding, 0);
        _matrices[$"{config.Names.Output}.weight"] = (WeightRole.Output, 0);
        for (int layer = 0; layer < config.Layers; layer++) AddLayer(layer);
    }

    public WeightFormat Format { get; }

    /// <summary>Elements of the longest blocks.</summary>
    public int MaxBlockLength => Format switch
    {
        WeightFormat.Fp8 or WeightFormat.Int8 or WeightFormat.Int4 => WeightPacker.LongestBlock,
        WeightFormat.Q8_0 => 32,
        _ => 256,
    };

    /// <summary>The type of a tensor; null where it is none of the model's matrices, or one that stays at 16 bits.</summary>
    public TensorType? Of(string name, long columns) => _matrices.TryGetValue(name, out (WeightRole Role, int Layer) matrix) ? Of(matrix.Role, matrix.Layer, columns) : null;

    /// <summary>The type of a matrix; null where it stays at 16 bits.</summary>
    public TensorType? Of(WeightRole role, int layer, long columns) => Format switch
    {
        _ when role == WeightRole.Router => null,
        WeightFormat.Fp8 => InLayers(role, columns, TensorType.E4M3x64, TensorType.E4M3x32),
        WeightFormat.Int8 => InLayers(role, columns, TensorType.Int8x64, TensorType.Int8x32),
        WeightFormat.Int4 => InLayers(role, columns, TensorType.Int4x64, TensorType.Int4x32),
        _ => Fit(Mixed(role, layer), columns),
    };

    private void AddLayer(int layer)
    {
        WeightNames names = _config.Names;
        WeightRole[] attention = names.QueryKeyValue.Length == 1 ? [WeightRole.QueryKeyValue] : [WeightRole.Query, WeightRole.Key, WeightRole.Value];
        for (int i = 0; i < attention.Length; i++) Add(names.QueryKeyValue[i], attention[i]);
        Add(names.AttentionOutput, WeightRole.AttentionOutput);
        if (_config.HasExperts(layer))
        {
            AddExperts();
        }
        else
        {
            foreach (string gateUp in names.GateUp) Add(gateUp, WeightRole.GateUp);
            Add(names.Down, WeightRole.Down);
        }

        void AddExperts()
        {
            Add(names.Router, WeightRole.Router);
            // Two names are whole, three are stems.
            string ending = names.ExpertGateUpDown.Length == 2 ? "" : ".weight";
            for (int expert = 0; expert < _config.Experts!.Count; expert++)
            {
                foreach (string stem in names.ExpertGateUpDown)
                {
                    WeightRole role = stem == names.ExpertGateUpDown[^1] ? WeightRole.Down : WeightRole.GateUp;
                    Add(string.Format(CultureInfo.InvariantCulture, stem, expert), role, ending);
                }
            }
        }

        void Add(string stem, WeightRole role, string ending = ".weight") => _matrices[names.InLayer(layer, stem) + ending] = (role, layer);
    }

    private static TensorType? InLayers(WeightRole role, long columns, TensorType type, TensorType shorter) => role switch
    {
        WeightRole.Embedding or WeightRole.Output => null,
        _ when columns % type.BlockLength() == 0 => type,
        _ when columns % shorter.BlockLength() == 0 => shorter,
        _ => null,
    };

    private TensorType Mixed(WeightRole role, int layer)
    {
        const int MixtralExperts = 8; // llama.cpp tells Mixtral by their number
        bool falcon = _config.Architecture == "falcon", mixture = Format is WeightFormat.Q4_K_M or WeightFormat.Q5_K_M;
        bool mixtral = _config.Experts?.Count == MixtralExperts;
        TensorType type = Plain();
        return role switch
        {
            WeightRole.Output => falcon || type == TensorType.Q8_0 ? TensorType.Q8_0 : TensorType.Q6_K,
            WeightRole.Value or WeightRole.QueryKeyValue or WeightRole.Key when mixtral => TensorType.Q8_0,
            WeightRole.AttentionOutput when mixtral && Format == WeightFormat.Q4_K_M => TensorType.Q5_K,
            WeightRole.Value or WeightRole.QueryKeyValue when mixture && HasMoreBits(layer) => TensorType.Q6_K,
            WeightRole.Value or WeightRole.QueryKeyValue when type == TensorType.Q4_K && IsLlama70B => TensorType.Q5_K,
            WeightRole.Down when falcon && Format == WeightFormat.Q4_K_M => layer < _config.Layers / 16 ? TensorType.Q6_K : HasMoreBits(layer) ? TensorType.Q5_K : type,
            WeightRole.Down when mixture && HasMoreBits(layer) => TensorType.Q6_K,
            _ => type,
        };
    }

    /// <summary>Whether it is what llama.cpp takes for Llama 70B, whose values are so few that more bits cost little.</summary>
    private bool IsLlama70B => _config.Layers == 80 && _config.KvHeads < _config.Heads && _config.Architecture != "falcon";

    /// <summary>The first and the last eighth of the layers, and each third between.</summary>
    private bool HasMoreBits(int layer)
    {
        int eighth = _config.Layers / 8;
        return layer < eighth || layer >= 7 * _config.Layers / 8 || (layer - eighth) % 3 == 2;
    }

    private TensorType Plain() => Format switch
    {
        WeightFormat.Q4_0 => TensorType.Q4_0,
        WeightFormat.Q4_1 => TensorType.Q4_1,
        WeightFormat.Q5_0 => TensorType.Q5_0,
        WeightFormat.Q5_1 => TensorType.Q5_1,
        WeightFormat.Q8_0 => TensorType.Q8_0,
        WeightFormat.Q4_K or WeightFormat.Q4_K_M => TensorType.Q4_K,
        WeightFormat.Q5_K or WeightFormat.Q5_K_M => TensorType.Q5_K,
        _ => TensorType.Q6_K,
    };

    /// <summary>What rows that are no multiple of 256 are quantised to instead; nothing where they are none of 32.</summary>
    private static TensorType? Fit(TensorType type, long columns)
    {
        TensorType fitting = columns % type.BlockLength() == 0 ? type : type switch
        {
            TensorType.Q4_K => TensorType.Q5_0,
            TensorType.Q5_K => TensorType.Q5_1,
            _ => TensorType.Q8_0,
        };
        return columns % fitting.BlockLength() == 0 ? fitting : null;
    }
}
