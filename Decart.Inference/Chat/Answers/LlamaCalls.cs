using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat.Answers;

/// <summary>The format of Llama 3.1 and later: an answer that is nothing but JSON objects with a name and parameters, perhaps after <c>&lt;|python_tag|&gt;</c>.</summary>
internal sealed class LlamaCalls : ToolCallFormat
{
    private LlamaCalls() { }

    public static LlamaCalls Instance { get; } = new();

    public override IReadOnlyList<string> Openings { get; } = ["<|python_tag|>"];

    public override string Begin(string? function) => function is null ? "{\"name\": \"" : $"{{\"name\": \"{Escaped(function)}\", \"parameters\": ";

    public override bool MayBegin(char first) => first == '{';

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
