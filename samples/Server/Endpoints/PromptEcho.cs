using Decart.Inference;
using Server.Contracts;

namespace Server.Endpoints;

/// <summary>A prompt as the beginning of its completions.</summary>
/// <param name="Text">Its text.</param>
/// <param name="Logprobs">How probable its tokens are; null if nobody has asked.</param>
/// <param name="Tokens">How many tokens it has.</param>
internal sealed record PromptEcho(string Text, CompletionLogprobs? Logprobs, int Tokens)
{
    /// <summary>Its length in code points.</summary>
    public int Characters { get; } = TokenTexts.Characters(Text);

    /// <param name="prompt">The prompt.</param>
    /// <param name="top">How many of the most probable tokens are told at each position; null for no log-probabilities.</param>
    /// <param name="model">The model.</param>
    /// <param name="cancellationToken">Cancels the computation.</param>
    public static async Task<PromptEcho> CreateAsync(Prompt prompt, int? top, ServedModel model, CancellationToken cancellationToken)
    {
        Prompt encoded = model.Encode(prompt);
        ITokenizer tokenizer = model.Session.Tokenizer;
        int[] tokens = encoded.TokenIds.ToArray();
        string text = prompt.Text ?? tokenizer.Decode(tokens.Where(token => token < tokenizer.VocabularySize));
        if (top is null) return new PromptEcho(text, null, tokens.Length);
        IReadOnlyList<TokenLogprobs> scores = await model.Session.ScoreAsync(encoded, top.Value, cancellationToken);
        int[] offsets = TokenTexts.Offsets(tokenizer, tokens, text);
        CompletionLogprobs logprobs = TokenTexts.ForCompletion(tokenizer, scores, offsets[1..]);
        return new PromptEcho(text, tokens[0] == tokenizer.BosTokenId ? logprobs : WithFirst(logprobs, TokenTexts.Text(tokenizer, tokens[0])), tokens.Length);
    }

    public CompletionChoice ToChoice(int index) => new(index, Text, Logprobs, FinishReason: null);

    /// <summary>The end of a completion that has nothing of its own.</summary>
    public async IAsyncEnumerable<GenerationUpdate> EndAsync()
    {
        await Task.CompletedTask;
        yield return new GenerationUpdate { FinishReason = FinishReason.Length, Usage = new Usage(Tokens, 0, 0, default, default) };
    }

    /// <summary>The first token of a text has nothing before it, so no probability; a token that only begins texts is left out.</summary>
    private static CompletionLogprobs WithFirst(CompletionLogprobs logprobs, string text) =>
        new([text, .. logprobs.Tokens], [null, .. logprobs.TokenLogprobs], [null, .. logprobs.TopLogprobs!], [0, .. logprobs.TextOffset]);
}
