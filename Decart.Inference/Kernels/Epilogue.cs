namespace Decart.Inference.Kernels;

internal enum ActivationFunction
{
    None,
    Silu,
    /// <summary>x * Phi(x), by the error function.</summary>
    Gelu,
    /// <summary>The tanh approximation of GELU.</summary>
    GeluTanh,
}

/// <summary>What a matmul does with its sums before they are stored: v = x W^T, then in this order.</summary>
/// <param name="Bias">v += bias.</param>
/// <param name="Function">
/// v = f(v). Gated: the weight's rows are F gates followed by F ups and the output is f(v[j]) * v[F + j], F columns.
/// </param>
/// <param name="Gated">See <paramref name="Function"/>.</param>
/// <param name="SoftCap">v = cap * tanh(v / cap) when not 0.</param>
/// <param name="Accumulate">y += v instead of y = v.</param>
/// <param name="More">Whether the next operation adds to y, too, before anything reads it.</param>
internal readonly record struct Epilogue(
    WeightVector? Bias = null, ActivationFunction Function = ActivationFunction.None, bool Gated = false, float SoftCap = 0, bool Accumulate = false,
    bool More = false);
