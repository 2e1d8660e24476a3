using Decart.Inference;
using Server.Contracts;
using Server.Http;

namespace Server.Endpoints;

/// <summary>One completion as it is generated: makes pieces of OpenAI's API of a session's updates.</summary>
/// <param name="index">Which of the completions it is.</param>
/// <param name="tokenizer">The model's.</param>
/// <param name="offset">Where its own text begins, in code points: after an echo of the prompt.</param>
internal sealed class CompletionDeltas(int index, ITokenizer tokenizer, int offset)
{
    private readonly Queue<(TokenLogprobs Token, int Offset)> _waiting = [];
    private CharacterCounter _counter = new(offset);
    private int _end = offset;

    /// <summary>What the completion has cost; null until it has ended.</summary>
    public Usage? Usage { get; private set; }

    /// <summary>What an update adds; null if it is nothing that is shown.</summary>
    /// <exception cref="ApiException">The session has ended before the completion.</exception>
    public CompletionChoice? Next(GenerationUpdate update)
    {
        if (update.FinishReason == FinishReason.Cancelled) throw new ApiException(StatusCodes.Status503ServiceUnavailable, "The server is shutting down.", code: "shutting_down");
        Usage = update.Usage ?? Usage;
        CompletionLogprobs? logprobs = Logprobs(update);
        string? reason = update.FinishReason switch { null => null, FinishReason.Length => "length", _ => "stop" };
        return update.Text.Length == 0 && logprobs is null && reason is null ? null : new CompletionChoice(index, update.Text, logprobs, reason);
    }

    /// <summary>The log-probabilities of the tokens whose text is shown. Those of a text that may be the beginning of a stop wait with it, and are dropped with it.</summary>
    private CompletionLogprobs? Logprobs(GenerationUpdate update)
    {
        _end += TokenTexts.Characters(update.Text);
        foreach (TokenLogprobs token in TokenTexts.Shown(update)) _waiting.Enqueue((token, _counter.Append(TokenTexts.Bytes(tokenizer, token.TokenId))));
        List<TokenLogprobs> tokens = [];
        List<int> offsets = [];
        while (_waiting.TryPeek(out (TokenLogprobs Token, int Offset) next) && (next.Offset < _end || update.FinishReason == FinishReason.Length))
        {
            tokens.Add(next.Token);
            offsets.Add(Math.Min(next.Offset, _end));
            _waiting.Dequeue();
        }
        return tokens.Count > 0 ? TokenTexts.ForCompletion(tokenizer, tokens, offsets) : null;
    }
}
