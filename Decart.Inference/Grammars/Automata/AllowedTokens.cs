using Decart.Inference.Sampling;

namespace Decart.Inference.Grammars.Automata;

/// <summary>The tokens that may follow in a state.</summary>
/// <param name="Mask">Which.</param>
/// <param name="LargestCost">What the most expensive of them leaves to be completed, in tokens, or more.</param>
internal sealed record AllowedTokens(TokenMask Mask, int LargestCost);
