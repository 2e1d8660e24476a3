using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat.Answers;

/// <summary>The format of Hermes and Qwen: each call a JSON object within <c>&lt;tool_call&gt;</c> tags.</summary>
internal sealed class HermesCalls : TaggedCalls
{
    private HermesCalls() { }

    public static HermesCalls Instance { get; } = new();

    public override Grammar Text { get; } = Grammar.TextWithout(Opening);

    public override Grammar Call(AIFunctionDeclaration function) =>
        Grammar.Sequence(Grammar.Literal(Opening), Grammar.Choice("\n"), Object(function, "arguments"), Grammar.Choice("\n"), Grammar.Literal(End));

    public override List<FunctionCallContent>? Read(string text) =>
        JsonText.TryParse(text, out System.Text.Json.JsonElement call) && ReadCall(call) is { } content ? [content] : null;
}
