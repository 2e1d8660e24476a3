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
        CompletionLogprobs logprobs = TokenTexts.ForCompletion(tokenizer, tokens, _offset);
        _offset += logprobs.Tokens.Sum(token => token.Length);
        return logprobs;
    }
}
