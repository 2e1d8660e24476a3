using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Tests.Chat;

/// <summary>Templates of a line, which write calls as families do, and functions to offer.</summary>
internal static class ShortTemplates
{
    public const string Plain = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]";
    public const string Hermes = "{% for t in tools or [] %}{{ t.function.name }} {% endfor %}{{ '<tool_call>' if false }}" + Plain;
    public const string Llama = "{% for t in tools or [] %}{{ t.function.name }} {% endfor %}{{ '<|python_tag|>' if false }}" + Plain;
    public const string Mistral = "{% for t in tools or [] %}{{ t.function.name }} {% endfor %}{{ '[TOOL_CALLS]' if false }}" + Plain;
    public const string Coder = "{% for t in tools or [] %}{{ t.function.name }} {% endfor %}{{ '<tool_call><function=><parameter=>' if false }}" + Plain;

    public static readonly AITool[] Tools = [Tool("get_weather"), Tool("now")];

    public static AIFunctionDeclaration Tool(string name) => AIFunctionFactory.CreateDeclaration(name, "d", JsonElement.Parse("""{"type": "object"}"""));
}
