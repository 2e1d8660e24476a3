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

    private static ChatLogprob ForChat(ITokenizer tokenizer, int token, float logprob, IReadOnlyList<ChatLogprob>? top) =>
        new(Text(tokenizer, token), Finite(logprob), [.. Bytes(tokenizer, token).ToArray().Select(value => (int)value)], top);

    /// <summary>JSON has no infinity: a token without any probability has the lowest logarithm that OpenAI's API writes.</summary>
    public static float Finite(float logprob) => Math.Max(logprob, -9999);

    /// <summary>A model may have more logits than its tokenizer has tokens.</summary>
    private static ReadOnlySpan<byte> Bytes(ITokenizer tokenizer, int token) => token < tokenizer.VocabularySize ? tokenizer.GetTokenBytes(token).Span : [];
}
