namespace Decart.Inference;

/// <summary>What a request cost.</summary>
/// <param name="PromptTokens">Tokens of the prompt, including special tokens.</param>
/// <param name="CachedPromptTokens">Prompt tokens that needed no computation because their keys and values were still cached.</param>
/// <param name="CompletionTokens">Generated tokens, including an end-of-text token and the tokens of a stop sequence.</param>
/// <param name="TimeToFirstToken">Time from the request's arrival to its first token, including time in the queue; zero if there was none.</param>
/// <param name="TimePerOutputToken">Mean time between two consecutive generated tokens; zero if there were fewer than two.</param>
public sealed record Usage(int PromptTokens, int CachedPromptTokens, int CompletionTokens, TimeSpan TimeToFirstToken, TimeSpan TimePerOutputToken);
