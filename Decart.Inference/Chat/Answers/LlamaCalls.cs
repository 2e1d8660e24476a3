using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat.Answers;

/// <summary>The format of Llama 3.1 and later: an answer that is nothing but JSON objects with a name and parameters, perhaps after <c>&lt;|python_tag|&gt;</c>.</summary>
internal sealed class LlamaCalls : ToolCallFormat
{
    private const string Tag = "<|python_tag|>";

    private LlamaCalls() { }

    public static LlamaCalls Instance { get; } = new();

    public override IReadOnlyList<string> Openings { get; } = [Tag];

    public override IReadOnlyList<string> OpeningsAfterText { get; } = [];

    /// <summary>After white space neither a brace nor the tag.</summary>
    public override Grammar Text { get; } = Grammar.Regex($"[\\s\u0085]*([^{{\\s\u0085<][\\s\\S]*|{string.Join('|', Enumerable.Range(1, Tag.Length - 1).Select(OtherThanTag))})?");

    public override Grammar Call(AIFunctionDeclaration function) => Object(function, "parameters");

    public override Grammar Calls(Grammar call, int? most) => Grammar.Sequence(Grammar.Repeat(Grammar.Literal(Tag), 0, 1), List(call, "; ", most));

    /// <summary>What begins like a call is one, to its end.</summary>
    public override Grammar Answer(Grammar calls) => Grammar.AnyOf(Text, calls);

    public override bool MayBegin(char first) => first == '{';

    /// <summary>A text that begins like the tag for so many characters and no more.</summary>
    private static string OtherThanTag(int length) => $"{Regex.Escape(Tag[..length])}([^{Regex.Escape(Tag[length..(length + 1)])}][\\s\\S]*)?";

    public override List<FunctionCallContent>? Read(string text)
    {
        if (!JsonText.TryReadValues(text, separators: ";,", out List<JsonElement> values) || values.Count == 0) return null;
        List<FunctionCallContent> calls = [];
        foreach (JsonElement value in values)
        {
            if (ReadCall(value) is not { } call) return null;
            calls.Add(call);
        }
        return calls;
    }
}
