using Decart.Inference.Chat.Jinja;
using Decart.Inference.Tokenization;

namespace Decart.Inference.Chat;

/// <summary>Encodes a rendered conversation: what the template wrote may be control tokens, what comes from data is plain text.</summary>
internal static class ChatEncoder
{
    public static int[] Encode(ITokenizer tokenizer, StringValue text, CancellationToken cancellationToken)
    {
        List<int> ids = tokenizer is TextTokenizer own ? own.Encode(text.Text, text.Data, cancellationToken) : EncodeParts(tokenizer, text, cancellationToken);
        // Once: the template's, or else the one that the tokenizer puts in front of any text.
        if (tokenizer.BosTokenId is { } bos && (ids.Count == 0 || ids[0] != bos) && tokenizer.Encode("", addSpecialTokens: true, cancellationToken: cancellationToken) is [var first, ..] && first == bos)
            ids.Insert(0, bos);
        return [.. ids];
    }

    /// <summary>With a tokenizer that is not of this library: the special tokens that the template wrote, and plain text between them.</summary>
    private static List<int> EncodeParts(ITokenizer tokenizer, StringValue text, CancellationToken cancellationToken)
    {
        AddedTokenMatcher matcher = new(tokenizer.SpecialTokens.Select(token => new AddedToken(token.Value, token.Key, Special: true)));
        List<Segment> segments = [];
        matcher.Split(text.Text, segments, text.Data);
        List<int> ids = [];
        foreach (Segment segment in segments)
        {
            if (segment.IsText) ids.AddRange(tokenizer.Encode(text.Text.Substring(segment.Piece.Start, segment.Piece.Length), false, false, cancellationToken));
            else ids.Add(segment.Id);
        }
        return ids;
    }
}
