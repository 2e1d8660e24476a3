using System.Text.Json.Nodes;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Models;
using Decart.Inference.Tests.Checkpoints;

namespace Decart.Inference.Tests.Models.Quantisation;

/// <summary>A folder of one layer, <c>layer</c>, and its <c>quantization_config</c>.</summary>
internal sealed unsafe class QuantisedFolder : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public QuantisedFolder(string configuration, WrittenLayer layer)
    {
        JsonObject config = TinyModels.Config("llama");
        config["quantization_config"] = JsonNode.Parse(configuration);
        _folder.Write("config.json", config.ToJsonString());
        SafetensorsWriter file = new();
        foreach ((string suffix, WrittenTensor tensor) in layer.Tensors) file.Tensors[$"layer.{suffix}"] = tensor;
        file.Tensors["norm.weight"] = WrittenTensor.Of("F32", new float[4], 4);
        _folder.Write("model.safetensors", file.Compose());
    }

    public TensorSource Open() => ModelLoader.Open(_folder.Path);

    /// <summary>Opens the folder and asks for the layer's weight.</summary>
    public (TensorType Type, float[][] Rows) Read(int rows, int columns)
    {
        using TensorSource source = Open();
        StoredTensor tensor = source.Require("layer.weight", rows, columns);
        Assert.That(tensor.Shape.ToArray(), Is.EqualTo(new long[] { rows, columns }));
        float[][] decoded = [.. Enumerable.Range(0, rows).Select(_ => new float[columns])];
        for (int row = 0; row < rows; row++)
        {
            fixed (float* destination = decoded[row]) TensorDecoder.DecodeRow(tensor, row, destination);
        }
        return (tensor.Type, decoded);
    }

    public void Dispose() => _folder.Dispose();
}
