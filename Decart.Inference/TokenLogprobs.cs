using Decart.Inference.Values;

namespace Decart.Inference;

/// <summary>A token and its log-probability.</summary>
/// <param name="TokenId">The token.</param>
/// <param name="Logprob">Natural logarithm of the probability that the model gave the token, before penalties, bias, temperature and truncation.</param>
public readonly record struct TokenLogprob(int TokenId, float Logprob);

/// <summary>The log-probability of a generated token and of the most probable tokens at its position.</summary>
/// <param name="TokenId">The generated token.</param>
/// <param name="Logprob">Natural logarithm of the probability that the model gave the token, before penalties, bias, temperature and truncation.</param>
/// <param name="Top">
/// The <see cref="GenerationOptions.TopLogprobs"/> most probable tokens, most probable first (ties by lower id); the generated token need not be among them.
/// </param>
public sealed record TokenLogprobs(int TokenId, float Logprob, IReadOnlyList<TokenLogprob> Top)
{
    /// <summary>
    /// The <see cref="GenerationOptions.TopLogprobs"/> most probable tokens, most probable first (ties by lower id); the generated token need not be among them.
    /// </summary>
    public IReadOnlyList<TokenLogprob> Top { get; init => field = ValueList<TokenLogprob>.Copy(value); } = ValueList<TokenLogprob>.Copy(Top);
}
