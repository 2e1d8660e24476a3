using System.Text.RegularExpressions;

namespace Decart.Inference.Tokenization;

/// <summary>
/// Finds the tokens that end a turn of a chat where a checkpoint does not list them: by their names, as llama.cpp does, and by the chat template, which
/// writes one after what the assistant says. Only added tokens are asked: a piece that merely spells such a name is text.
/// </summary>
internal static partial class EndOfTurn
{
    private const int LongestTemplate = 1 << 18, LongestToken = 200, LongestStatement = 2000;

    private static readonly HashSet<string> Names =
    [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<end_of_turn>", "<|end_of_turn|>", "<|endoftext|>", "<|eom_id|>", "<|eot|>", "<EOT>", "_<EOT>",
        "<|end_of_text|>", "<end_of_utterance>", "<|END_OF_TURN_TOKEN|>", "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
    ];

    /// <summary>Words in the names of tokens that a template writes after other things than an assistant's whole answer.</summary>
    private static readonly string[] OtherPurposes =
        ["inst", "assistant", "user", "system", "start", "begin", "header", "role", "sep", "image", "think", "tool", "message", "channel"];

    /// <summary>The ids of the tokens that end a turn.</summary>
    public static List<int> Find(IReadOnlyList<AddedToken> tokens, string? chatTemplate)
    {
        List<int> ids = [.. tokens.Where(token => Names.Contains(token.Content)).Select(token => token.Id)];
        if (chatTemplate is not null) ids.AddRange(AfterAnswers(tokens, chatTemplate));
        // With these two, <|end|> ends a message of several that make an answer (gpt-oss).
        if (IdOf("<|return|>") is not null && IdOf("<|call|>") is not null && IdOf("<|end|>") is { } message) ids.Remove(message);
        return ids;

        int? IdOf(string name) => tokens.FirstOrDefault(token => token.Content == name)?.Id;
    }

    /// <summary>The control tokens that the template writes after the content of an assistant's message.</summary>
    private static IEnumerable<int> AfterAnswers(IReadOnlyList<AddedToken> tokens, string template)
    {
        IEnumerable<AddedToken> candidates = tokens.Where(token => token.IsControl && !HasOtherPurpose(token));
        AddedTokenMatcher matcher = new(candidates.Select(token => new AddedToken(token.Id, token.Content, token.Special)));
        if (template.Length > LongestTemplate) template = template[..LongestTemplate];
        List<Segment> segments = [];
        int seen = 0;
        bool forOthersOnly = false;
        foreach (Match match in AfterContent().Matches(template))
        {
            if (template.AsSpan(seen..match.Index).LastIndexOf("{%") is var open and >= 0) forOthersOnly = IsForOthersOnly(template.AsSpan(seen + open));
            seen = match.Index;
            if (forOthersOnly) continue;
            int end = match.Index + match.Length;
            segments.Clear();
            matcher.Split(template.AsSpan(end, Math.Min(LongestToken, template.Length - end)), segments);
            if (segments is [{ IsText: false, Piece.Start: 0 } first, ..]) yield return first.Id;
        }
    }

    /// <summary>Whether the statement at the beginning of a text is a branch for roles without the assistant's.</summary>
    private static bool IsForOthersOnly(ReadOnlySpan<char> text)
    {
        text = text[..Math.Min(text.Length, LongestStatement)];
        int close = text.IndexOf("%}");
        return close >= 0 && OtherRole().IsMatch(text[..close]) && !text[..close].Contains("assistant", StringComparison.Ordinal);
    }

    private static bool HasOtherPurpose(AddedToken token) => OtherPurposes.Any(word => token.Content.Contains(word, StringComparison.OrdinalIgnoreCase));

    /// <summary>A message's content, perhaps trimmed, and what leads over to the next literal: + " or }}.</summary>
    [GeneratedRegex("""content['"]?\]?(\.\w+\(\))?(\s*\|\s*\w+)?\)?\s*([+~]\s*['"]|-?\}\}(\\n|\s)*)""", RegexOptions.CultureInvariant)]
    private static partial Regex AfterContent();

    [GeneratedRegex("""['"](user|system|developer|tool|ipython)['"]""", RegexOptions.CultureInvariant)]
    private static partial Regex OtherRole();
}
