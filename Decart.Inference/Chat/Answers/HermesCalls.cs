using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat.Answers;

/// <summary>The format of Hermes and Qwen: each call a JSON object within <c>&lt;tool_call&gt;</c> tags.</summary>
internal sealed class HermesCalls : ToolCallFormat
{
    private const string Opening = "<tool_call>";

    private HermesCalls() { }

    public static HermesCalls Instance { get; } = new();

    public override IReadOnlyList<string> Openings { get; } = [Opening];

    public override string Closing => "</tool_call>";

    public override string Begin(string? function) =>
        function is null ? $"{Opening}\n{{\"name\": \"" : $"{Opening}\n{{\"name\": \"{Escaped(function)}\", \"arguments\": ";

    public override List<FunctionCallContent>? Read(string text) =>
        JsonText.TryParse(text, out System.Text.Json.JsonElement call) && ReadCall(call) is { } content ? [content] : null;
}
