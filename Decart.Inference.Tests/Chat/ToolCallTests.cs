using System.Text.Json;
using Microsoft.Extensions.AI;
using static Decart.Inference.Tests.Chat.ShortTemplates;

namespace Decart.Inference.Tests.Chat;

/// <summary>Functions that are offered and called in the formats of the families: how calls are read, and what answers are held to.</summary>
public class ToolCallTests
{
    [TestCase(Hermes, "Let me see.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Köln\", \"n\": [1, null]}}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>", "Let me see.")]
    [TestCase(Hermes, "<tool_call>{\"name\": \"get_weather\", \"arguments\": \"{\\\"city\\\": \\\"Köln\\\", \\\"n\\\": [1, null]}\"}</tool_call><tool_call>{\"name\": \"now\"}", "")]
    [TestCase(Llama, "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Köln\", \"n\": [1, null]}}; {\"name\": \"now\", \"parameters\": {}}", "")]
    [TestCase(Llama, "<|python_tag|>{\"type\": \"function\", \"name\": \"get_weather\", \"parameters\": {\"city\": \"Köln\", \"n\": [1, null]}}\n{\"name\": \"now\", \"parameters\": {}}", "")]
    [TestCase(Mistral, "[TOOL_CALLS] [{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Köln\", \"n\": [1, null]}}, {\"name\": \"now\", \"arguments\": {}}]", "")]
    [TestCase(Mistral, "Hm. [TOOL_CALLS]get_weather[ARGS]{\"city\": \"Köln\", \"n\": [1, null]}[TOOL_CALLS]now[CALL_ID]abcdefghi[ARGS]{}", "Hm. ")]
    public async Task Calls_are_read_in_the_format_of_the_model(string template, string answer, string text)
    {
        FakeSession session = new(template, answer);
        ChatResponse response = await session.AsChatClient().GetResponseAsync("U", new() { Tools = Tools });
        Assert.That(session.Requests[0].Prompt, Is.EqualTo("get_weather now [user]U[assistant]"));
        Assert.That((response.FinishReason, response.Text), Is.EqualTo(((ChatFinishReason?)ChatFinishReason.ToolCalls, text)));
        FunctionCallContent[] calls = [.. response.Messages.Single().Contents.OfType<FunctionCallContent>()];
        Assert.That(calls.Select(call => call.Name), Is.EqualTo(new[] { "get_weather", "now" }));
        Assert.That(calls.Select(call => call.CallId), Is.Unique);
        Assert.That(calls.Select(call => call.CallId.Length), Is.All.EqualTo(9));
        Assert.That(((JsonElement)calls[0].Arguments!["city"]!).GetString(), Is.EqualTo("Köln"));
        Assert.That(((JsonElement)calls[0].Arguments!["n"]!).GetRawText(), Is.EqualTo("[1, null]"));
        Assert.That(calls[1].Arguments, Is.Empty);
        response = await session.AsChatClient().GetResponseAsync("U", new() { Tools = Tools, AllowMultipleToolCalls = false });
        Assert.That(response.Messages.Single().Contents.OfType<FunctionCallContent>().Count(), Is.EqualTo(1));
    }

    [TestCase(Hermes, "<tool_call>\n{\"name\": \"x\", \n</tool_call> and <b>")]
    [TestCase(Hermes, "a < b, <tool and <tool_callx>")]
    [TestCase(Llama, "{\"a\": 1}")]
    [TestCase(Llama, "{ not json")]
    [TestCase(Mistral, "[TOOL_CALLS] [1]")]
    public async Task What_is_no_call_is_text(string template, string answer)
    {
        ChatResponse response = await new FakeSession(template, answer).AsChatClient().GetResponseAsync("U", new() { Tools = Tools });
        Assert.That((response.Text, response.FinishReason), Is.EqualTo((answer, (ChatFinishReason?)ChatFinishReason.Stop)));
        response = await new FakeSession(template, answer).AsChatClient().GetResponseAsync("U");
        Assert.That(response.Text, Is.EqualTo(answer), "without tools nothing is looked for");
    }

    [TestCase(Hermes, "  a\n\n", "  a\n\n", 0)]
    [TestCase(Hermes, "\n\n \n", "\n\n \n", 0)]
    [TestCase(Hermes, "<think>\nt \n</think>\n\n  - a\n", "  - a\n", 0)]
    [TestCase(Hermes, "<think>t</think>\n\n", "", 0)]
    [TestCase(Hermes, " a\n\n<tool_call>{\"name\": \"now\"}</tool_call>\n<tool_call>{\"name\": \"now\"}</tool_call>\n", " a\n", 2)]
    [TestCase(Hermes, "<think>t</think>\n\n<tool_call>{\"name\": \"now\"}</tool_call>\n b", "\n b", 1)]
    [TestCase(Hermes, " \n<tool_call>x</tool_call> b", " \n<tool_call>x</tool_call> b", 0)]
    [TestCase(Llama, "\n\ta ", "\n\ta ", 0)]
    [TestCase(Llama, "a <|python_tag|>{\"name\": \"now\"}", "a <|python_tag|>{\"name\": \"now\"}", 0)]
    [TestCase(Llama, "\n {\"name\": \"now\"}\n", "", 1)]
    [TestCase(Llama, "\n {1}\n", "\n {1}\n", 0)]
    [TestCase(Llama, "\n<|python_tag|>{\"name\": \"now\"}\n", "", 1)]
    [TestCase(Mistral, " a \n[TOOL_CALLS][{\"name\": \"now\"}]\n", " a \n", 1)]
    [TestCase(Mistral, " [TOOL_CALLS][{\"name\": \"now\"}] ", "", 1)]
    [TestCase(Mistral + "{# [ARGS] #}", " a \n[TOOL_CALLS]now[ARGS]{}\n", " a \n", 1)]
    [TestCase(Mistral + "{# [ARGS] #}", "[THINK]\nt[/THINK]\n a\n", " a\n", 0)]
    public async Task White_space_is_part_of_what_is_said_but_for_that_of_the_template(string template, string answer, string text, int calls)
    {
        ChatResponse response = await new FakeSession(template, answer).AsChatClient().GetResponseAsync("U", new() { Tools = Tools });
        Assert.That((response.Text, response.Messages.Single().Contents.OfType<FunctionCallContent>().Count()), Is.EqualTo((text, calls)));
    }

    [TestCase("\n {\"name\": 5}")]
    [TestCase("<|python_tag|>x")]
    [TestCase(" <|python_tag|>{\"name\": \"get_weather\", \"parameters\": {\"city\": 5}}")]
    public async Task What_could_be_read_as_a_call_is_no_text(string answer)
    {
        FakeSession session = new(Llama, "x");
        await session.AsChatClient().GetResponseAsync("U", new() { Tools = Tools });
        Assert.That(session.Requests[0].Options.Grammar!.IsMatch(answer), Is.False);
        Assert.That(new[] { "", " \n", " Hi {", "< a", "<|python", " <|pythonic|>", "a <|python_tag|>" }.Select(session.Requests[0].Options.Grammar!.IsMatch), Is.All.True);
    }

    [TestCase(Hermes, "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": VALUES}\n</tool_call>", "\n")]
    [TestCase(Llama, "{\"name\": \"get_weather\", \"parameters\": VALUES}", "; ")]
    [TestCase(Mistral, "[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": VALUES}]", null)]
    [TestCase(Mistral + "{# [ARGS] #}", "[TOOL_CALLS]get_weather[ARGS]VALUES", "")]
    public async Task The_arguments_of_calls_match_their_schema(string template, string call, string? separator)
    {
        string valid = call.Replace("VALUES", """{"city": "Köln"}""", StringComparison.Ordinal), invalid = call.Replace("VALUES", """{"city": 5}""", StringComparison.Ordinal);
        FakeSession session = new(template, valid);
        AITool[] tools = [AIFunctionFactory.CreateDeclaration("get_weather", "d", JsonElement.Parse("""{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}"""))];
        ChatOptions options = new() { Tools = tools };
        Assert.That(await Answers("Hello!", valid, invalid, "", call), Is.EqualTo(new[] { true, true, false, true, false }), "the model chooses");
        if (separator is not null) Assert.That(await Answers(valid + separator + valid), Is.EqualTo(new[] { true }));
        options.AllowMultipleToolCalls = false;
        if (separator is not null) Assert.That(await Answers(valid, valid + separator + valid), Is.EqualTo(new[] { true, false }));
        options.ToolMode = ChatToolMode.RequireAny;
        Assert.That(await Answers("Hello!", valid, invalid, ""), Is.EqualTo(new[] { false, true, false, false }), "a call is required");
        options.ResponseFormat = ChatResponseFormat.Json;
        options.ToolMode = ChatToolMode.Auto;
        Assert.That(await Answers("Hello!", valid, invalid, "{\"a\": 1}"), Is.EqualTo(new[] { false, true, template == Llama, true }), "JSON, or a call");
        options.ToolMode = ChatToolMode.None;
        Assert.That(await Answers("Hello!", "{\"a\": 1}"), Is.EqualTo(new[] { false, true }), "no tools are offered");
        Assert.That(session.Requests[^1].Prompt, Is.EqualTo("[user]U[assistant]"));

        async Task<bool[]> Answers(params string[] answers)
        {
            await session.AsChatClient().GetResponseAsync("U", options);
            return [.. answers.Select(session.Requests[^1].Options.Grammar!.IsMatch)];
        }
    }

    private const string CoderSchema = """
        {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "d"}, "unit": {"type": "string", "enum": ["C", "F"]}, "days": {"type": "integer"},
                "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}}, "code": {"type": "string", "pattern": "^[A-Z]{2}$"}, "any": {}
            },
            "required": ["city", "days"],
            "$defs": {"tag": {"type": "string"}}
        }
        """;

    /// <summary>What stands in tags is a text or JSON, as the schema says: "5" may be either.</summary>
    [TestCase("<parameter=city>\n5\n</parameter>\n<parameter=days>\n5\n</parameter>\n", "{\"city\":\"5\",\"days\":5}")]
    [TestCase("<parameter=city>\n\nK\u00f6ln\n\"a\"\n\n</parameter>\n<parameter=days>\n-1\n</parameter>\n", "{\"city\":\"\\nK\u00f6ln\\n\\u0022a\\u0022\\n\",\"days\":-1}")]
    [TestCase("<parameter=city>\n\n</parameter>\n<parameter=unit>\nC\n</parameter>\n<parameter=days>\n0\n</parameter>\n", "{\"city\":\"\",\"unit\":\"C\",\"days\":0}")]
    [TestCase("<parameter=city>\nx\n</parameter>\n<parameter=days>\n1\n</parameter>\n<parameter=tags>\n[\"a\", \"b\"]\n</parameter>\n", "{\"city\":\"x\",\"days\":1,\"tags\":[\"a\", \"b\"]}")]
    [TestCase("<parameter=city>\nx\n</parameter>\n<parameter=days>\n1\n</parameter>\n<parameter=code>\n\"DE\"\n</parameter>\n<parameter=any>\nnull\n</parameter>\n", "{\"city\":\"x\",\"days\":1,\"code\":\"DE\",\"any\":null}")]
    [TestCase("<parameter=city>\n<parameter=a> </function>\n</parameter>\n<parameter=days>\n1\n</parameter>\n<parameter=code>\n\"DE\"\n</parameter>\n", "{\"city\":\"\\u003Cparameter=a\\u003E \\u003C/function\\u003E\",\"days\":1,\"code\":\"DE\"}")]
    [TestCase("<parameter=city>\nx\n</parameter>\n<parameter=days>\n1\n</parameter>\n<parameter=tags>\n[\"</parameter>\"]\n</parameter>\n<parameter=any>\n2\n</parameter>\n", "{\"city\":\"x\",\"days\":1,\"tags\":[\"</parameter>\"],\"any\":2}")]
    public async Task Calls_in_tags_are_read_by_the_schema(string parameters, string arguments)
    {
        string call = $"<tool_call>\n<function=f>\n{parameters}</function>\n</tool_call>";
        (FunctionCallContent[] calls, Grammar grammar) = await CallCoder("I see.\n" + call + "\n" + call);
        Assert.That(calls.Select(found => found.Name), Is.EqualTo(new[] { "f", "f" }));
        Assert.That($"{{{string.Join(',', calls[0].Arguments!.Select(pair => $"\"{pair.Key}\":{(pair.Value is JsonElement value ? value.GetRawText() : "null")}"))}}}", Is.EqualTo(arguments).Or.EqualTo(arguments.Replace("\u00f6", "\\u00F6", StringComparison.Ordinal)));
        Assert.That(new[] { call, "I see.\n" + call, call + "\n" + call }.Select(grammar.IsMatch), Is.All.True);
    }

    [TestCase("<parameter=city>\nx\n</parameter>\n", "days are lacking")]
    [TestCase("<parameter=city>\nx\n</parameter>\n<parameter=days>\nfive\n</parameter>\n", "no number")]
    [TestCase("<parameter=city>\na</parameter>b\n</parameter>\n<parameter=days>\n5\n</parameter>\n", "a closing tag in a text")]
    [TestCase("<parameter=days>\n5\n</parameter>\n<parameter=city>\nx\n</parameter>\n", "another order")]
    [TestCase("<parameter=city>\nx\n</parameter>\n<parameter=unit>\nK\n</parameter>\n<parameter=days>\n5\n</parameter>\n", "not in the list")]
    [TestCase("<parameter=city>\nx\n</parameter>\n<parameter=days>\n5\n</parameter>\n<parameter=code>\n\"de\"\n</parameter>\n", "another pattern")]
    public async Task Calls_in_tags_match_the_schema(string parameters, string why)
    {
        (_, Grammar grammar) = await CallCoder("x");
        Assert.That(grammar.IsMatch($"<tool_call>\n<function=f>\n{parameters}</function>\n</tool_call>"), Is.False, why);
        Assert.That(grammar.IsMatch("<function=f>\n</function>"), Is.False, "a call without its outer tag is no text");
    }

    /// <summary>Where no grammar has held a model to the form.</summary>
    [TestCase("<tool_call><function=f><parameter=city>x</parameter><parameter=days>2</parameter></function></tool_call>")]
    [TestCase("<tool_call>\n<function=f>\n<parameter=city>\nx\n<parameter=days>\n2\n</function>\n</tool_call>")]
    [TestCase("<tool_call>\n<function=f>\n<parameter=city>\nx\n</parameter>\n<parameter=days>\n2")]
    public async Task Careless_calls_in_tags_are_read(string answer)
    {
        (FunctionCallContent[] calls, _) = await CallCoder(answer);
        Assert.That(((JsonElement)calls.Single().Arguments!["city"]!).GetString(), Is.EqualTo("x"));
        Assert.That(((JsonElement)calls.Single().Arguments!["days"]!).GetInt32(), Is.EqualTo(2));
    }

    private static async Task<(FunctionCallContent[] Calls, Grammar Grammar)> CallCoder(string answer)
    {
        FakeSession session = new(Coder, answer);
        ChatResponse response = await session.AsChatClient().GetResponseAsync("U", new() { Tools = [AIFunctionFactory.CreateDeclaration("f", "d", JsonElement.Parse(CoderSchema))] });
        return ([.. response.Messages.Single().Contents.OfType<FunctionCallContent>()], session.Requests[0].Options.Grammar!);
    }

    /// <summary>Arguments are an object, even if a function's schema does not say so.</summary>
    [TestCase("""{"properties": {"a": {"type": "integer"}}, "required": ["a"]}""", "{\"a\": 1}", "{\"a\": \"x\"}", "1", "\"x\"")]
    [TestCase("""{"anyOf": [{"type": "object", "required": ["a"]}, {"type": "integer"}]}""", "{\"a\": 1}", "{}", "1")]
    [TestCase("""{"$ref": "#/$defs/p", "$defs": {"p": {"properties": {"a": {"type": "boolean"}}}}}""", "{\"a\": true}", "{\"a\": 1}", "true")]
    public async Task Arguments_are_an_object(string schema, string arguments, params string[] others)
    {
        FakeSession session = new(Hermes, "x");
        ChatOptions options = new() { Tools = [AIFunctionFactory.CreateDeclaration("f", "d", JsonElement.Parse(schema))], ToolMode = ChatToolMode.RequireAny };
        await session.AsChatClient().GetResponseAsync("U", options);
        Grammar grammar = session.Requests[0].Options.Grammar!;
        Assert.That(grammar.IsMatch(Call(arguments)), Is.True);
        foreach (string other in others) Assert.That(grammar.IsMatch(Call(other)), Is.False, other);

        static string Call(string arguments) => $"<tool_call>\n{{\"name\": \"f\", \"arguments\": {arguments}}}\n</tool_call>";
    }

    [TestCase(Hermes, """{"type": "boolean"}""")]
    [TestCase(Hermes, "false")]
    [TestCase(Coder, """{"type": "boolean"}""")]
    [TestCase(Coder, "false")]
    [TestCase(Coder, """{"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}""")]
    [TestCase(Coder, """{"properties": {"a": {}}, "minProperties": 1}""")]
    [TestCase(Coder, """{"properties": {"a": {}, "b": {}}, "maxProperties": 1}""")]
    [TestCase(Coder, """{"required": ["a"], "additionalProperties": false}""")]
    [TestCase(Coder, """{"properties": {"a": false}, "required": ["a"]}""")]
    [TestCase(Coder, """{"properties": {"a": {"type": 1}}}""")]
    [TestCase(Coder, """{"properties": {"a>b": {}}}""")]
    [TestCase(Coder, """{"properties": {"x ": {}}}""")]
    [TestCase(Coder, """{"$ref": "#/$defs/p", "$defs": {"p": {"$ref": "#/$defs/p"}}}""")]
    public void Functions_that_cannot_be_called_are_refused(string template, string schema)
    {
        AITool[] tools = [AIFunctionFactory.CreateDeclaration("f", "d", JsonElement.Parse(schema))];
        Assert.That(async () => await new FakeSession(template, "x").AsChatClient().GetResponseAsync("U", new() { Tools = tools }), Throws.TypeOf<GrammarException>());
    }

    /// <summary>What a schema says in other places than its properties, and types that are lists.</summary>
    [TestCase("""{"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]}""", "null")]
    [TestCase("""{"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]}""", "\"x\"")]
    [TestCase("""{"$ref": "#/$defs/p", "$defs": {"p": {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "required": ["a"]}, "n": {"type": "integer"}}}""", "5")]
    [TestCase("""{"required": ["a"], "additionalProperties": {"type": "integer"}}""", "5")]
    [TestCase("""{"required": ["a"], "minProperties": 1}""", "[1]")]
    [TestCase("""{"properties": {"never": false, "a": {"type": "integer"}}, "required": ["a"], "maxProperties": 1}""", "5")]
    public async Task Parameters_in_tags_are_found_in_the_schema(string schema, string value)
    {
        string call = $"<tool_call>\n<function=f>\n<parameter=a>\n{value}\n</parameter>\n</function>\n</tool_call>";
        FakeSession session = new(Coder, call);
        ChatResponse response = await session.AsChatClient().GetResponseAsync("U", new() { Tools = [AIFunctionFactory.CreateDeclaration("f", "d", JsonElement.Parse(schema))], ToolMode = ChatToolMode.RequireAny });
        Grammar grammar = session.Requests[0].Options.Grammar!;
        Assert.That(grammar.IsMatch(call), Is.True);
        Assert.That(grammar.IsMatch("<tool_call>\n<function=f>\n</function>\n</tool_call>"), Is.False, "it is required");
        object? found = response.Messages.Single().Contents.OfType<FunctionCallContent>().Single().Arguments!["a"];
        Assert.That(found is JsonElement json ? json.GetRawText() : "null", Is.EqualTo(value));
    }

    [Test]
    public void Functions_have_different_names()
    {
        AITool[] tools = [AIFunctionFactory.CreateDeclaration("f", "d", JsonElement.Parse("{}")), AIFunctionFactory.CreateDeclaration("f", "e", JsonElement.Parse("{}"))];
        Assert.That(async () => await new FakeSession(Hermes, "x").AsChatClient().GetResponseAsync("U", new() { Tools = tools }), Throws.ArgumentException.With.Message.Contains("\"f\""));
    }

    [Test]
    public void A_required_function_must_be_offered()
    {
        IChatClient client = new FakeSession(Hermes, "x").AsChatClient();
        Assert.That(async () => await client.GetResponseAsync("U", new() { Tools = Tools, ToolMode = ChatToolMode.RequireSpecific("nope") }), Throws.ArgumentException);
        Assert.That(async () => await client.GetResponseAsync("U", new() { ToolMode = ChatToolMode.RequireAny }), Throws.ArgumentException);
        AITool[] tools = [AIFunctionFactory.CreateDeclaration("f", "d", JsonElement.Parse("""{"type": "array", "contains": {}}"""))];
        Assert.That(async () => await client.GetResponseAsync("U", new() { Tools = tools }), Throws.TypeOf<GrammarException>());
    }
}
