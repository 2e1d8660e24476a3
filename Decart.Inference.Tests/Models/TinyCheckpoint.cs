using System.Text.Json;
using System.Text.Json.Nodes;
using Decart.Inference.Checkpoints;
using Decart.Inference.Models;
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

    /// <summary>The weights' names; the same weights as <see cref="Write"/> writes.</summary>
    public static RandomTensors Weights(ModelConfig config)
    {
        RandomTensors weights = new("random", Seed);
        using ReferenceKernels kernels = new();
        new DecoderWeights(weights, config, kernels, CancellationToken.None).Dispose();
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
        foreach (string name in weights.Names.Order(StringComparer.Ordinal))
        {
            weights.TryGet(name, out StoredTensor tensor);
            int start = data.Count;
            data.AddRange(Bytes(tensor));
            header[name] = new JsonObject
            {
                ["dtype"] = "BF16",
                ["shape"] = new JsonArray([.. tensor.Shape.Select(dimension => JsonValue.Create(dimension))]),
                ["data_offsets"] = new JsonArray(start, data.Count),
            };
        }
        Damage?.Invoke(header);
        byte[] file = SafetensorsBytes.Compose(header.ToJsonString(), data.Count);
        data.CopyTo(file, file.Length - data.Count);
        folder.Write("model.safetensors", file);
    }

    private static unsafe ReadOnlySpan<byte> Bytes(StoredTensor tensor) => new(tensor.Pointer, checked((int)(tensor.Rows * tensor.RowBytes)));
}
