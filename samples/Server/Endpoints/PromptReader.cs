using System.Text.Json;
using Decart.Inference;
using Server.Http;

namespace Server.Endpoints;

/// <summary>Reads texts or token ids: one of them, or a list.</summary>
internal static class PromptReader
{
    /// <param name="input">A text, a list of texts, a list of token ids or a list of such lists.</param>
    /// <param name="field">Where it stands.</param>
    /// <param name="most">How many at most.</param>
    /// <param name="vocabularySize">One more than the largest token id.</param>
    /// <exception cref="ApiException">It is none of these, or empty.</exception>
    public static List<Prompt> Read(JsonElement? input, string field, int most, int vocabularySize)
    {
        if (input is { ValueKind: JsonValueKind.String } single) return [Text(single, field)];
        if (input is not { ValueKind: JsonValueKind.Array } list || list.GetArrayLength() == 0) throw new ApiException($"\"{field}\" must be a text, a list of texts, a list of token ids or a list of such lists.", field);
        if (list[0].ValueKind == JsonValueKind.Number) return [Tokens(list, field, vocabularySize)];
        if (list.GetArrayLength() > most) throw new ApiException($"{list.GetArrayLength()} inputs are more than the {most} of one request.", field);
        return
        [
            .. list.EnumerateArray().Select((item, index) => item.ValueKind switch
            {
                JsonValueKind.String => Text(item, $"{field}[{index}]"),
                JsonValueKind.Array => Tokens(item, $"{field}[{index}]", vocabularySize),
                _ => throw new ApiException($"\"{field}[{index}]\" must be a text or a list of token ids.", $"{field}[{index}]"),
            }),
        ];
    }

    private static Prompt Text(JsonElement text, string field) =>
        text.GetString() is { Length: > 0 } written ? written : throw new ApiException($"\"{field}\" is empty.", field);

    private static Prompt Tokens(JsonElement list, string field, int vocabularySize)
    {
        if (list.GetArrayLength() == 0) throw new ApiException($"\"{field}\" is empty.", field);
        int[] tokens = new int[list.GetArrayLength()];
        int index = 0;
        foreach (JsonElement item in list.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt32(out tokens[index]) || tokens[index] < 0 || tokens[index] >= vocabularySize)
                throw new ApiException($"\"{field}[{index}]\" is no token id; ids go from 0 to {vocabularySize - 1}.", $"{field}[{index}]");
            index++;
        }
        return tokens;
    }
}
