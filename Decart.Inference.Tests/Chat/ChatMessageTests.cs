using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Tests.Chat;

/// <summary>Messages of Microsoft.Extensions.AI as templates see them.</summary>
public class ChatMessageTests
{
    private static readonly FunctionCallContent Call = new("c1", "get_weather", new Dictionary<string, object?> { ["city"] = "Köln", ["days"] = 2, ["exact"] = JsonElement.Parse("[1.50, null, true]") });

    private static readonly ChatMessage[] Conversation =
    [
        new(ChatRole.User, "Weather?"),
        new(ChatRole.Assistant, [new TextReasoningContent("hm"), Call]),
        new(ChatRole.Tool, [new FunctionResultContent("c1", "sunny"), new FunctionResultContent("c2", new Dictionary<string, object?> { ["t"] = 21.5 })]),
        new(ChatRole.Assistant, "It is sunny."),
    ];

    [Test]
    public void Calls_and_results_have_the_form_of_transformers()
    {
        const string Template = "{% for m in messages %}{{ m|tojson }}\n{% endfor %}{# reasoning_content #}{{ messages[0].reasoning_content }}";
        Assert.That(ChatTemplate.Parse(Template).Render(Conversation).Split('\n', StringSplitOptions.RemoveEmptyEntries), Is.EqualTo(new[]
        {
            """{"role": "user", "content": "Weather?"}""",
            """{"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Köln", "days": 2, "exact": [1.5, null, true]}}}]}""",
            """{"role": "tool", "content": "sunny", "name": "get_weather", "tool_call_id": "c1"}""",
            """{"role": "tool", "content": "{\"t\": 21.5}", "tool_call_id": "c2"}""",
            """{"role": "assistant", "content": "It is sunny."}""",
        }));
    }

    /// <summary>Templates of these kinds are among those of published models; each is given what it reads.</summary>
    [TestCase("{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}[{{ c.function.name }} {{ c.function.arguments|tojson }}]{% endfor %}{% endfor %}")]
    [TestCase("{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}[{{ c.function.name + ' ' + c.function.arguments }}]{% endfor %}{% endfor %}")]
    [TestCase("{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}[{{ c.function.name }} {{ c.function.arguments }}]{% endfor %}{% endfor %}")]
    [TestCase("{% for m in messages %}{% if m.content is none %}{% for c in m.tool_calls %}[{{ c.function.name }} {{ c.function.arguments|tojson }}]{% endfor %}{% else %}{{ m.content }}{% endif %}{% endfor %}")]
    [TestCase("{% for m in messages %}{{ m.content + '' }}{% for c in m.tool_calls or [] %}[{{ c.function.name }} {{ c.function.arguments|tojson }}]{% endfor %}{% endfor %}")]
    [TestCase("{% for m in messages %}{% for p in m.content if p.type == 'text' %}{{ p.text }}{% endfor %}{% for c in m.tool_calls or [] %}[{{ c.function.name }} {{ c.function.arguments|tojson }}]{% endfor %}{% endfor %}")]
    public void A_template_is_given_the_form_that_it_reads(string template) => Assert.That(
        ChatTemplate.Parse(template).Render(Conversation),
        Is.EqualTo("""Weather?[get_weather {"city": "Köln", "days": 2, "exact": [1.5, null, true]}]sunny{"t": 21.5}It is sunny."""));

    [TestCase("thinking")]
    [TestCase("reasoning_content")]
    [TestCase("reasoning")]
    public void Reasoning_has_the_name_that_the_template_reads(string name) =>
        Assert.That(ChatTemplate.Parse($"{{{{ messages[1].{name} }}}}{{{{ messages[1]|length }}}}").Render(Conversation), Is.EqualTo("hm4"));

    [Test]
    public void Tools_have_the_form_of_transformers()
    {
        AITool[] tools = [AIFunctionFactory.CreateDeclaration("f", "does", JsonElement.Parse("""{"type": "object", "properties": {"a": {"type": "string", "default": 1e3}}}"""))];
        ChatTemplate template = ChatTemplate.Parse("{% for tool in tools %}{{ tool|tojson }}{% endfor %}");
        Assert.That(template.SupportsTools);
        Assert.That(ChatTemplate.Parse("x").SupportsTools, Is.False);
        Assert.That(
            template.Render([], tools: tools),
            Is.EqualTo("""{"type": "function", "function": {"name": "f", "description": "does", "parameters": {"type": "object", "properties": {"a": {"type": "string", "default": 1000.0}}}}}"""));
        Assert.That(() => template.Render([], tools: [new HostedWebSearchTool()]), Throws.TypeOf<NotSupportedException>().With.Message.Contains("HostedWebSearchTool"));
    }

    [Test]
    public void What_the_model_cannot_read_is_refused()
    {
        ChatMessage image = new(ChatRole.User, [new TextContent("look"), new DataContent(new byte[] { 1 }, "image/png")]);
        Assert.That(() => ChatTemplate.Parse("x").Render([image]), Throws.TypeOf<NotSupportedException>().With.Message.Contains("DataContent"));
    }

    [Test]
    public void Parts_of_text_are_one_text_and_authors_have_names()
    {
        ChatMessage message = new(ChatRole.User, [new TextContent("a"), new TextContent("b")]) { AuthorName = "Ada" };
        Assert.That(ChatTemplate.Parse("{{ messages[0].name }}: {{ messages[0].content }}").Render([message]), Is.EqualTo("Ada: ab"));
    }
}
