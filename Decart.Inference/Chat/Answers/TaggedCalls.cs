namespace Decart.Inference.Chat.Answers;

/// <summary>Formats whose calls stand within <c>&lt;tool_call&gt;</c> tags, each in its own.</summary>
internal abstract class TaggedCalls : ToolCallFormat
{
    protected const string Opening = "<tool_call>", End = "</tool_call>";

    private const string Separator = "\n";

    public override IReadOnlyList<string> Openings { get; } = [Opening];

    public override IReadOnlyList<string> OpeningsAfterText { get; } = [Separator + Opening, Opening];

    public override string Closing => End;

    public override Grammar Calls(Grammar call, int? most) => List(call, Separator, most);
}
