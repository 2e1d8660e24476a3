using Decart.Inference;
using Server.Contracts;
using Server.Http;

namespace Server.Endpoints;

/// <summary>One completion as it is generated: makes pieces of OpenAI's API of a session's updates.</summary>
/// <param name="index">Which of the completions it is.</param>
/// <param name="tokenizer">The model's.</param>
/// <param name="offset">Where its own text begins, in characters: after an echo of the prompt.</param>
internal sealed class CompletionDeltas(int index, ITokenizer tokenizer, int offset)
{
    private int _offset = offset;

    /// <summary>What the completion has cost; null until it has ended.</summary>
    public Usage? Usage { get; private set; }

    /// <summary>What an update adds; null if it is nothing that is shown.</summary>
    /// <exception cref="ApiException">The session has ended before the completion.</exception>
    public CompletionChoice? Next(GenerationUpdate update)
    {
        if (update.FinishReason == FinishReason.Cancelled) throw new ApiException(StatusCodes.Status503ServiceUnavailable, "The server is shutting down.", code: "shutting_down");
        Usage = update.Usage ?? Usage;
        CompletionLogprobs? logprobs = update.Logprobs is { Count: > 0 } tokens ? Logprobs(tokens) : null;
        string? reason = update.FinishReason switch { null => null, FinishReason.Length => "length", _ => "stop" };
        return update.Text.Length == 0 && logprobs is null && reason is null ? null : new CompletionChoice(index, update.Text, logprobs, reason);
    }

    private CompletionLogprobs Logprobs(IReadOnlyList<TokenLogprobs> tokens)
    {
        string[] texts = [.. tokens.Select(token => TokenTexts.Text(tokenizer, token.TokenId))];
        int[] offsets = new int[texts.Length];
        for (int i = 0; i < texts.Length; _offset += texts[i].Length, i++) offsets[i] = _offset;
        return new CompletionLogprobs(texts, [.. tokens.Select(token => (float?)TokenTexts.Finite(token.Logprob))], [.. tokens.Select(Top)], offsets);
    }

    /// <summary>By their texts; of tokens with the same text the most probable.</summary>
    private Dictionary<string, float> Top(TokenLogprobs token)
    {
        Dictionary<string, float> top = [];
        foreach (TokenLogprob likely in token.Top) top.TryAdd(TokenTexts.Text(tokenizer, likely.TokenId), TokenTexts.Finite(likely.Logprob));
        return top;
    }
}
