using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat.Answers;

/// <summary>
/// The formats of Mistral: after <c>[TOOL_CALLS]</c> a JSON list of calls; or, of later models, a name and <c>[ARGS]</c> with the arguments, the whole once for each call.
/// </summary>
internal sealed class MistralCalls : ToolCallFormat
{
    private const string Opening = "[TOOL_CALLS]", Arguments = "[ARGS]", Id = "[CALL_ID]";

    private MistralCalls() { }

    public static MistralCalls Instance { get; } = new();

    public override IReadOnlyList<string> Openings { get; } = [Opening];

    public override string Begin(string? function) =>
        function is null ? $"{Opening}[{{\"name\": \"" : $"{Opening}[{{\"name\": \"{Escaped(function)}\", \"arguments\": ";

    public override List<FunctionCallContent>? Read(string text)
    {
        if (text.Contains(Arguments, StringComparison.Ordinal)) return ReadNamed(text);
        if (!JsonText.TryParse(text, out JsonElement list) || list.ValueKind != JsonValueKind.Array) return null;
        FunctionCallContent?[] calls = [.. list.EnumerateArray().Select(ReadCall)];
        return calls.Length == 0 || calls.Contains(null) ? null : [.. calls.OfType<FunctionCallContent>()];
    }

    private static List<FunctionCallContent>? ReadNamed(string text)
    {
        List<FunctionCallContent> calls = [];
        foreach (string part in text.Split(Opening, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            int arguments = part.IndexOf(Arguments, StringComparison.Ordinal);
            if (arguments < 0 || !JsonText.TryParse(part[(arguments + Arguments.Length)..], out JsonElement values)) return null;
            string[] names = part[..arguments].Split(Id);
            if (Create(names[0].Trim(), values, names.Length > 1 ? names[1].Trim() : null) is not { } call) return null;
            calls.Add(call);
        }
        return calls.Count > 0 ? calls : null;
    }
}
