using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat.Answers;

/// <summary>
/// The formats of Mistral: after <c>[TOOL_CALLS]</c> a JSON list of calls; or, of later models, a name and <c>[ARGS]</c> with the arguments, the whole once for each call.
/// </summary>
internal sealed class MistralCalls : ToolCallFormat
{
    private const string Opening = "[TOOL_CALLS]", ArgumentsMark = "[ARGS]", Id = "[CALL_ID]";

    private readonly bool _isNamed;

    private MistralCalls(bool isNamed) => _isNamed = isNamed;

    /// <summary>Calls in a JSON list.</summary>
    public static MistralCalls Listed { get; } = new(isNamed: false);

    /// <summary>Names, each with arguments after it.</summary>
    public static MistralCalls Named { get; } = new(isNamed: true);

    public override IReadOnlyList<string> Openings { get; } = [Opening];

    public override Grammar Text { get; } = Grammar.TextWithout(Opening);

    public override Grammar Call(AIFunctionDeclaration function) => _isNamed
        ? Grammar.Sequence(Grammar.Literal(Opening), Grammar.Choice(function.Name), Grammar.Literal(ArgumentsMark), Arguments(function))
        : Object(function, "arguments");

    public override Grammar Calls(Grammar call, int? most) => _isNamed
        ? Grammar.Repeat(call, 1, most)
        : Grammar.Sequence(Grammar.Literal(Opening), Grammar.Regex(" ?\\["), List(call, ", ", most), Grammar.Choice("]"));

    public override List<FunctionCallContent>? Read(string text)
    {
        if (text.Contains(ArgumentsMark, StringComparison.Ordinal)) return ReadNamed(text);
        if (!JsonText.TryParse(text, out JsonElement list) || list.ValueKind != JsonValueKind.Array) return null;
        FunctionCallContent?[] calls = [.. list.EnumerateArray().Select(ReadCall)];
        return calls.Length == 0 || calls.Contains(null) ? null : [.. calls.OfType<FunctionCallContent>()];
    }

    private static List<FunctionCallContent>? ReadNamed(string text)
    {
        List<FunctionCallContent> calls = [];
        foreach (string part in text.Split(Opening, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            int arguments = part.IndexOf(ArgumentsMark, StringComparison.Ordinal);
            if (arguments < 0 || !JsonText.TryParse(part[(arguments + ArgumentsMark.Length)..], out JsonElement values)) return null;
            string[] names = part[..arguments].Split(Id);
            if (Create(names[0].Trim(), values, names.Length > 1 ? names[1].Trim() : null) is not { } call) return null;
            calls.Add(call);
        }
        return calls.Count > 0 ? calls : null;
    }
}
