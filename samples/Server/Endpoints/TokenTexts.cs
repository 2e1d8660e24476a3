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

    /// <summary>The log-probabilities of an update's tokens, but for one that only ended the answer.</summary>
    public static IEnumerable<TokenLogprobs> Shown(GenerationUpdate update) =>
        update.Logprobs is not { } tokens ? [] : update.StopTokenId is { } stop && tokens is [.., { TokenId: var last }] && last == stop ? tokens.SkipLast(1) : tokens;

    public static ChatLogprob ForChat(ITokenizer tokenizer, TokenLogprobs token) =>
        ForChat(tokenizer, token.TokenId, token.Logprob, [.. token.Top.Select(top => ForChat(tokenizer, top.TokenId, top.Logprob, null))]);

    /// <param name="tokenizer">The model's.</param>
    /// <param name="tokens">The tokens.</param>
    /// <param name="offsets">Where they begin in their text.</param>
    public static CompletionLogprobs ForCompletion(ITokenizer tokenizer, IReadOnlyList<TokenLogprobs> tokens, IReadOnlyList<int> offsets)
    {
        return new CompletionLogprobs([.. tokens.Select(token => Text(tokenizer, token.TokenId))], [.. tokens.Select(token => (float?)Finite(token.Logprob))], [.. tokens.Select(Top)], offsets);

        // By their texts, of tokens with the same text the most probable; the token itself is always among them.
        Dictionary<string, float> Top(TokenLogprobs token)
        {
            Dictionary<string, float> top = [];
            foreach (TokenLogprob likely in token.Top) top.TryAdd(Text(tokenizer, likely.TokenId), Finite(likely.Logprob));
            top.TryAdd(Text(tokenizer, token.TokenId), Finite(token.Logprob));
            return top;
        }
    }

    private static ChatLogprob ForChat(ITokenizer tokenizer, int token, float logprob, IReadOnlyList<ChatLogprob>? top) =>
        new(Text(tokenizer, token), Finite(logprob), [.. Bytes(tokenizer, token).ToArray().Select(value => (int)value)], top);

    /// <summary>JSON has no infinity: a token without any probability has the lowest logarithm that OpenAI's API writes.</summary>
    private static float Finite(float logprob) => Math.Max(logprob, -9999);

    /// <summary>The length of a text in code points.</summary>
    public static int Characters(string text) => text.EnumerateRunes().Count();

    /// <summary>Where the tokens of a text begin in it, in code points. Tokenizers may put a space in front of a text that is not there, and write other characters for some.</summary>
    public static int[] Offsets(ITokenizer tokenizer, ReadOnlySpan<int> tokens, string text)
    {
        ReadOnlySpan<byte> rest = Encoding.UTF8.GetBytes(text);
        CharacterCounter counter = new(0);
        int[] offsets = new int[tokens.Length];
        int length = rest.Length, more = -length;
        foreach (int token in tokens) more += Bytes(tokenizer, token).Length;
        for (int i = 0; i < tokens.Length; i++)
        {
            ReadOnlySpan<byte> bytes = Bytes(tokenizer, tokens[i]);
            if (bytes.IsEmpty && Encoding.UTF8.GetBytes(Text(tokenizer, tokens[i])) is var name && rest.StartsWith(name)) bytes = name;
            bool isBeforeText = rest.Length == length && more > 0;
            if (bytes is [(byte)' ', ..] && (isBeforeText || !rest.StartsWith(bytes)))
            {
                bytes = bytes[1..];
                more--;
            }
            ReadOnlySpan<byte> written = rest[..Math.Min(bytes.Length, rest.Length)];
            offsets[i] = counter.Append(written);
            rest = rest[written.Length..];
        }
        return offsets;
    }

    /// <summary>A model may have more logits than its tokenizer has tokens.</summary>
    public static ReadOnlySpan<byte> Bytes(ITokenizer tokenizer, int token) => token < tokenizer.VocabularySize ? tokenizer.GetTokenBytes(token).Span : [];
}
