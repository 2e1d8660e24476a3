namespace Decart.Inference;

/// <summary>What a request cost.</summary>
/// <param name="PromptTokens">Tokens of the prompt, special tokens included.</param>
/// <param name="CachedPromptTokens">How many of the prompt's tokens needed no computation because their keys and values were still there.</param>
/// <param name="CompletionTokens">Generated tokens, an end-of-text token and the tokens of a stop sequence included.</param>
/// <param name="TimeToFirstToken">From the request's arrival to its first token, waiting included; zero if there was none.</param>
/// <param name="TimePerOutputToken">Mean time between two consecutive generated tokens; zero if there were fewer than two.</param>
public sealed record Usage(int PromptTokens, int CachedPromptTokens, int CompletionTokens, TimeSpan TimeToFirstToken, TimeSpan TimePerOutputToken);
