using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Decart.Inference;

/// <summary>How many bits the weights of a model take, and how they are scaled: see <see cref="LlmSessionOptions.Quantize"/>.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<WeightFormat>))]
[SuppressMessage("Naming", "CA1720:Identifier contains type name", Justification = "The field says Int8.")]
public enum WeightFormat
{
    /// <summary>8-bit floats (4 exponent and 3 mantissa bits) in the layers, scaled by groups of 128 columns; embeddings and output stay at 16 bits.</summary>
    Fp8,

    /// <summary>Signed 8-bit integers in the layers, scaled by rows; embeddings and output stay at 16 bits.</summary>
    Int8,

    /// <summary>4-bit integers in the layers with a scale and a zero for each group of 128 columns; embeddings and output stay at 16 bits.</summary>
    Int4,

    /// <summary>GGUF's Q4_0: 4.5 bits a weight; the output is Q6_K.</summary>
    Q4_0,

    /// <summary>GGUF's Q4_1: 5 bits a weight; the output is Q6_K.</summary>
    Q4_1,

    /// <summary>GGUF's Q5_0: 5.5 bits a weight; the output is Q6_K.</summary>
    Q5_0,

    /// <summary>GGUF's Q5_1: 6 bits a weight; the output is Q6_K.</summary>
    Q5_1,

    /// <summary>GGUF's Q8_0: 8.5 bits a weight.</summary>
    Q8_0,

    /// <summary>Q4_K in all layers: 4.5 bits a weight; the output is Q6_K.</summary>
    Q4_K,

    /// <summary>Q5_K in all layers: 5.5 bits a weight; the output is Q6_K.</summary>
    Q5_K,

    /// <summary>Q6_K in all layers: 6.56 bits a weight.</summary>
    Q6_K,

    /// <summary>The mixture that llama.cpp calls Q4_K_M: Q4_K, with Q6_K for the values and the down projections of half of the layers and for the output.</summary>
    Q4_K_M,

    /// <summary>The mixture that llama.cpp calls Q5_K_M: Q5_K, with Q6_K for the values and the down projections of half of the layers and for the output.</summary>
    Q5_K_M,
}
