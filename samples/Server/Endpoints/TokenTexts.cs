using System.Text;
using Decart.Inference;
using Server.Contracts;

namespace Server.Endpoints;

/// <summary>Writes log-probabilities with the texts of their tokens.</summary>
internal static class TokenTexts
{
    /// <summary>The text that a token adds; U+FFFD for part of a character.</summary>
    public static string Text(ITokenizer tokenizer, int token)
    {
        ReadOnlySpan<byte> bytes = Bytes(tokenizer, token);
        if (bytes.Length > 0) return Encoding.UTF8.GetString(bytes);
        foreach ((string name, int id) in tokenizer.SpecialTokens)
        {
            if (id == token) return name;
        }
        return "";
    }

    public static ChatLogprob ForChat(ITokenizer tokenizer, TokenLogprobs token) =>
        ForChat(tokenizer, token.TokenId, token.Logprob, [.. token.Top.Select(top => ForChat(tokenizer, top.TokenId, top.Logprob, null))]);

    /// <param name="tokenizer">The model's.</param>
    /// <param name="tokens">The tokens.</param>
    /// <param name="offset">Where the first of them begins in its text.</param>
    public static CompletionLogprobs ForCompletion(ITokenizer tokenizer, IReadOnlyList<TokenLogprobs> tokens, int offset)
    {
        string[] texts = [.. tokens.Select(token => Text(tokenizer, token.TokenId))];
        int[] offsets = new int[texts.Length];
        for (int i = 0; i < texts.Length; offset += texts[i].Length, i++) offsets[i] = offset;
        return new CompletionLogprobs(texts, [.. tokens.Select(token => (float?)Finite(token.Logprob))], [.. tokens.Select(Top)], offsets);

        // By their texts; of tokens with the same text the most probable.
        Dictionary<string, float> Top(TokenLogprobs token)
        {
            Dictionary<string, float> top = [];
            foreach (TokenLogprob likely in token.Top) top.TryAdd(Text(tokenizer, likely.TokenId), Finite(likely.Logprob));
            return top;
        }
    }

    private static ChatLogprob ForChat(ITokenizer tokenizer, int token, float logprob, IReadOnlyList<ChatLogprob>? top) =>
        new(Text(tokenizer, token), Finite(logprob), [.. Bytes(tokenizer, token).ToArray().Select(value => (int)value)], top);

    /// <summary>JSON has no infinity: a token without any probability has the lowest logarithm that OpenAI's API writes.</summary>
    private static float Finite(float logprob) => Math.Max(logprob, -9999);

    /// <summary>A model may have more logits than its tokenizer has tokens.</summary>
    private static ReadOnlySpan<byte> Bytes(ITokenizer tokenizer, int token) => token < tokenizer.VocabularySize ? tokenizer.GetTokenBytes(token).Span : [];
}
