using System.Text.Json.Serialization;

namespace Decart.Inference;

/// <summary>In what form keys and values are kept: see <see cref="LlmSessionOptions.KvCacheType"/>.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<KvCacheType>))]
public enum KvCacheType
{
    /// <summary>As the device computes them: 16 bits on GPUs, float32 on the processor.</summary>
    Default,

    /// <summary>8-bit floats (4 exponent and 3 mantissa bits), and for each token and head a scale for its keys and one for its values.</summary>
    Fp8,
}
