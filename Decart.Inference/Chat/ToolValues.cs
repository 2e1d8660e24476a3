using Decart.Inference.Chat.Jinja;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat;

/// <summary>Tools in the form that templates expect: OpenAI's.</summary>
internal static class ToolValues
{
    /// <exception cref="NotSupportedException">The tool is no function.</exception>
    public static Value Convert(AITool tool)
    {
        ArgumentNullException.ThrowIfNull(tool);
        if (tool is not AIFunctionDeclaration function)
            throw new NotSupportedException($"The tool \"{tool.Name}\" ({tool.GetType().Name}) is no function; a local model can be given functions only.");
        return DataValues.Record(
            ("type", new StringValue("function")),
            ("function", DataValues.Record(
                ("name", StringValue.FromData(function.Name)),
                ("description", StringValue.FromData(function.Description)),
                ("parameters", DataValues.From(function.JsonSchema)))));
    }
}
