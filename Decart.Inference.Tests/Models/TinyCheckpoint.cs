using System.Text.Json;
using System.Text.Json.Nodes;
using Decart.Inference.Checkpoints;
using Decart.Inference.Models;
using Decart.Inference.Models.Quantisation;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Kernels;

namespace Decart.Inference.Tests.Models;

/// <summary>A tiny model with random weights in the layout of a Hugging Face checkpoint.</summary>
internal sealed class TinyCheckpoint(string model)
{
    private const int Seed = 3;

    public JsonObject Config { get; } = TinyModels.Config(model);

    /// <summary>Changes the safetensors header, by tensor name, before it is written.</summary>
    public Action<JsonObject>? Damage { get; init; }

    /// <summary>Writes the experts of a layer as two tensors, gates above ups, and downs.</summary>
    public bool StackExperts { get; init; }

    /// <summary>The weights' names; the same weights as <see cref="Write"/> writes.</summary>
    public static RandomTensors Weights(ModelConfig config, WeightTypes? types = null)
    {
        RandomTensors weights = new("random", Seed) { Types = types };
        using ReferenceBackend backend = new();
        new DecoderWeights(weights, config, backend, CancellationToken.None).Dispose();
        return weights;
    }

    public static ModelConfig Read(JsonObject config) => ModelLoader.ReadHuggingFace("folder", JsonSerializer.SerializeToElement(config), null);

    /// <summary>Writes config.json and model.safetensors.</summary>
    public void Write(TemporaryFolder folder)
    {
        folder.Write("config.json", Config.ToJsonString());
        using RandomTensors weights = Weights(Read(Config));
        JsonObject header = [];
        List<byte> data = [];
        foreach (IGrouping<string, string> names in weights.Names.Order(StringComparer.Ordinal).GroupBy(StoredName))
        {
            int start = data.Count;
            long[] shape = [];
            foreach (string name in names.OrderBy(Expert))
            {
                weights.TryGet(name, out StoredTensor tensor);
                data.AddRange(Bytes(tensor));
                shape = [.. tensor.Shape];
            }
            if (names.Key.EndsWith("_proj", StringComparison.Ordinal)) shape = [Experts, names.Count() / Experts * shape[0], shape[1]];
            header[names.Key] = new JsonObject
            {
                ["dtype"] = "BF16",
                ["shape"] = new JsonArray([.. shape.Select(dimension => JsonValue.Create(dimension))]),
                ["data_offsets"] = new JsonArray(start, data.Count),
            };
        }
        Damage?.Invoke(header);
        byte[] file = SafetensorsBytes.Compose(header.ToJsonString(), data.Count);
        data.CopyTo(file, file.Length - data.Count);
        folder.Write("model.safetensors", file);
    }

    private int Experts => (int)(Config["num_experts"] ?? Config["num_local_experts"])!;

    /// <summary>The name that a tensor is stored under, that of a whole layer's experts for those of one.</summary>
    private string StoredName(string name)
    {
        if (!StackExperts) return name;
        name = name.Replace(".block_sparse_moe.", ".mlp.");
        int experts = name.IndexOf(".experts.", StringComparison.Ordinal);
        if (experts < 0) return name;
        bool down = name.Contains("down_proj") || name.Contains(".w2.");
        return name[..experts] + (down ? ".experts.down_proj" : ".experts.gate_up_proj");
    }

    /// <summary>Orders a layer's experts by number and each one's gate before its up.</summary>
    private static int Expert(string name) => name.Split('.') is [.., "experts", var number, _, "weight"] ? int.Parse(number) : 0;

    private static unsafe ReadOnlySpan<byte> Bytes(StoredTensor tensor) => new(tensor.Pointer, checked((int)(tensor.Rows * tensor.RowBytes)));
}
