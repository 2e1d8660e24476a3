using System.Runtime.InteropServices;
using System.Text.Json.Nodes;

namespace Decart.Inference.Tests.Checkpoints;

/// <summary>A tensor to be written.</summary>
internal sealed record WrittenTensor(string Type, long[] Shape, byte[] Data)
{
    public static WrittenTensor Of<T>(string type, T[] values, params long[] shape)
        where T : unmanaged => new(type, shape, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
}

/// <summary>Tensors by name, written as a safetensors file.</summary>
internal sealed class SafetensorsWriter
{
    public SortedDictionary<string, WrittenTensor> Tensors { get; } = new(StringComparer.Ordinal);

    public byte[] Compose()
    {
        JsonObject header = [];
        int end = 0;
        foreach ((string name, WrittenTensor tensor) in Tensors)
        {
            int start = end;
            end += tensor.Data.Length;
            header[name] = new JsonObject
            {
                ["dtype"] = tensor.Type,
                ["shape"] = new JsonArray([.. tensor.Shape.Select(dimension => JsonValue.Create(dimension))]),
                ["data_offsets"] = new JsonArray(start, end),
            };
        }
        byte[] file = SafetensorsBytes.Compose(header.ToJsonString(), end);
        Span<byte> data = file.AsSpan(file.Length - end);
        foreach (WrittenTensor tensor in Tensors.Values)
        {
            tensor.Data.CopyTo(data);
            data = data[tensor.Data.Length..];
        }
        return file;
    }
}
