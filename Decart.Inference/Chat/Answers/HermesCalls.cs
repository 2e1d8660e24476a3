using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat.Answers;

/// <summary>The format of Hermes and Qwen: each call a JSON object within <c>&lt;tool_call&gt;</c> tags.</summary>
internal sealed class HermesCalls : ToolCallFormat
{
    private const string Opening = "<tool_call>", Separator = "\n";

    private HermesCalls() { }

    public static HermesCalls Instance { get; } = new();

    public override IReadOnlyList<string> Openings { get; } = [Opening];

    public override IReadOnlyList<string> OpeningsAfterText { get; } = [Separator + Opening, Opening];

    public override string Closing => "</tool_call>";

    public override Grammar Text { get; } = Grammar.TextWithout(Opening);

    public override Grammar Call(AIFunctionDeclaration function) =>
        Grammar.Sequence(Grammar.Literal(Opening), Grammar.Choice("\n"), Object(function, "arguments"), Grammar.Choice("\n"), Grammar.Literal(Closing));

    public override Grammar Calls(Grammar call, int? most) => List(call, Separator, most);

    public override List<FunctionCallContent>? Read(string text) =>
        JsonText.TryParse(text, out System.Text.Json.JsonElement call) && ReadCall(call) is { } content ? [content] : null;
}
