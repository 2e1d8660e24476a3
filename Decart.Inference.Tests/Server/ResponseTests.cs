using System.Net;
using System.Text.Json;

namespace Decart.Inference.Tests.Server;

/// <summary><c>/v1/responses</c>.</summary>
public class ResponseTests
{
    private const string Path = "v1/responses";

    private static readonly object Weather = new
    {
        type = "function",
        name = "get_weather",
        strict = true,
        parameters = JsonElement.Parse("""{"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"], "additionalProperties": false}"""),
    };

    private RunningServer _server = null!;

    [OneTimeSetUp]
    public async Task StartAsync() => _server = await RunningServer.StartChatAsync("--Server:MaxMessages=8");

    [OneTimeTearDown]
    public async Task StopAsync() => await _server.DisposeAsync();

    [Test]
    public async Task A_response_says_what_it_was_asked_and_what_it_cost()
    {
        (HttpStatusCode status, JsonElement body) = await _server.PostAsync(Path, new { model = "chatty", input = "Hi", instructions = "Be kind.", max_output_tokens = 8, temperature = 0, metadata = new { a = "b" }, store = false });
        Assert.That((status, Of(body, "object"), Of(body, "status"), Of(body, "instructions")), Is.EqualTo((HttpStatusCode.OK, "response", "incomplete", "Be kind.")));
        Assert.That(Of(body.GetProperty("incomplete_details"), "reason"), Is.EqualTo("max_output_tokens"));
        JsonElement message = body.GetProperty("output")[0];
        Assert.That((Of(message, "type"), Of(message, "role"), Of(message.GetProperty("content")[0], "type")), Is.EqualTo(("message", "assistant", "output_text")));
        Assert.That(Of(message.GetProperty("content")[0], "text"), Is.Not.Empty);
        JsonElement usage = body.GetProperty("usage");
        Assert.That((usage.GetProperty("output_tokens").GetInt32(), usage.GetProperty("total_tokens").GetInt32()), Is.EqualTo((8, 8 + usage.GetProperty("input_tokens").GetInt32())));
        Assert.That(body.GetProperty("metadata").GetProperty("a").GetString(), Is.EqualTo("b"));
        foreach (string field in new[] { "error", "previous_response_id", "top_p", "tools", "tool_choice", "parallel_tool_calls", "text", "truncation", "created_at", "model", "id" }) Assert.That(body.TryGetProperty(field, out _), field);
    }

    [Test]
    public async Task A_stream_has_the_events_of_its_items_in_order()
    {
        object request = new { model = "chatty", input = "Hi", max_output_tokens = 8, temperature = 0, stream = true, include = new[] { "message.output_text.logprobs" }, top_logprobs = 2 };
        List<JsonElement> events = await _server.StreamAsync(Path, request);
        Assert.That(events.Select(update => update.GetProperty("sequence_number").GetInt32()), Is.EqualTo(Enumerable.Range(0, events.Count)));
        string[] types = [.. events.Select(update => Of(update, "type")!)];
        Assert.That(types[..4], Is.EqualTo(new[] { "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added" }));
        Assert.That(types[4..^4], Is.All.EqualTo("response.output_text.delta"));
        Assert.That(types[^4..], Is.EqualTo(new[] { "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.incomplete" }));
        string text = string.Concat(events.Where(update => Of(update, "type") == "response.output_text.delta").Select(update => Of(update, "delta")));
        JsonElement part = events[^1].GetProperty("response").GetProperty("output")[0].GetProperty("content")[0];
        Assert.That((Of(part, "text"), Of(events[^4], "text")), Is.EqualTo((text, text)));
        Assert.That(part.GetProperty("logprobs").EnumerateArray().Select(token => token.GetProperty("top_logprobs").GetArrayLength()), Is.EqualTo(Enumerable.Repeat(2, 8)));
        JsonElement whole = (await _server.PostAsync(Path, new { model = "chatty", input = new[] { new { role = "user", content = "Hi" } }, max_output_tokens = 8, temperature = 0 })).Body;
        Assert.That(Of(whole.GetProperty("output")[0].GetProperty("content")[0], "text"), Is.EqualTo(text));
    }

    [Test]
    public async Task A_function_is_called_and_its_result_goes_back()
    {
        JsonElement first = (await _server.PostAsync(Path, new { model = "chatty", input = "Weather?", tools = new[] { Weather }, tool_choice = new { type = "function", name = "get_weather" }, parallel_tool_calls = false })).Body;
        JsonElement call = first.GetProperty("output")[0];
        Assert.That((Of(first, "status"), Of(call, "type"), Of(call, "name")), Is.EqualTo(("completed", "function_call", "get_weather")));
        Assert.That(JsonElement.Parse(Of(call, "arguments")!).GetProperty("city").GetString(), Is.AnyOf("Oslo", "Rome"));
        object[] input = [new { role = "user", content = new[] { new { type = "input_text", text = "Weather?" } } }, call, new { type = "function_call_output", call_id = Of(call, "call_id"), output = "Rain" }];
        (HttpStatusCode status, JsonElement body) = await _server.PostAsync(Path, new { model = "chatty", input, max_output_tokens = 4 });
        Assert.That(status, Is.EqualTo(HttpStatusCode.OK), body.ToString());
        List<JsonElement> events = await _server.StreamAsync(Path, new { model = "chatty", input = "Weather?", tools = new[] { Weather }, tool_choice = "required", parallel_tool_calls = false, stream = true });
        Assert.That(events.Select(update => Of(update, "type")), Is.EqualTo(new[]
        {
            "response.created", "response.in_progress", "response.output_item.added", "response.function_call_arguments.delta", "response.function_call_arguments.done", "response.output_item.done", "response.completed",
        }));
    }

    [Test]
    public async Task Of_many_functions_only_the_allowed_ones_are_called()
    {
        object[] tools = [Weather, new { type = "function", name = "get_time" }];
        object allowed = new { type = "allowed_tools", mode = "required", tools = new[] { new { type = "function", name = "get_time" } } };
        JsonElement body = (await _server.PostAsync(Path, new { model = "chatty", input = "Weather?", tools, tool_choice = allowed, parallel_tool_calls = false, temperature = 2 })).Body;
        Assert.That(Of(body.GetProperty("output")[0], "name"), Is.EqualTo("get_time"));
        Assert.That((body.GetProperty("tools").GetArrayLength(), Of(body.GetProperty("tool_choice"), "type")), Is.EqualTo((2, "allowed_tools")));
    }

    [Test]
    public async Task A_text_matches_its_schema()
    {
        var format = new { type = "json_schema", name = "answer", schema = JsonElement.Parse("""{"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"], "additionalProperties": false}""") };
        JsonElement body = (await _server.PostAsync(Path, new { model = "chatty", input = "Yes?", text = new { format } })).Body;
        Assert.That(JsonElement.Parse(Of(body.GetProperty("output")[0].GetProperty("content")[0], "text")!).GetProperty("yes").ValueKind, Is.AnyOf(JsonValueKind.True, JsonValueKind.False));
    }

    [TestCase("{}", "input")]
    [TestCase("""{"input": []}""", "input")]
    [TestCase("""{"input": 5}""", "input")]
    [TestCase("""{"input": [5]}""", "input[0]")]
    [TestCase("""{"input": [{"type": "item_reference", "id": "x"}]}""", "input[0].type")]
    [TestCase("""{"input": [{"role": "king", "content": "x"}]}""", "input[0].role")]
    [TestCase("""{"input": [{"role": "user"}]}""", "input[0].content")]
    [TestCase("""{"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}""", "input[0].content[0].type")]
    [TestCase("""{"input": [{"type": "function_call_output", "output": "x"}]}""", "input[0].call_id")]
    [TestCase("""{"input": [{"type": "function_call", "name": "f"}]}""", "input[0]")]
    [TestCase("""{"input": "a", "store": true}""", "store")]
    [TestCase("""{"input": "a", "previous_response_id": "x"}""", "previous_response_id")]
    [TestCase("""{"input": "a", "background": true}""", "background")]
    [TestCase("""{"input": "a", "truncation": "auto"}""", "truncation")]
    [TestCase("""{"input": "a", "include": ["file_search_call.results"]}""", "include")]
    [TestCase("""{"input": "a", "reasoning": {"summary": "auto"}}""", "reasoning.summary")]
    [TestCase("""{"input": "a", "reasoning": {"effort": "heroic"}}""", "reasoning.effort")]
    [TestCase("""{"input": "a", "tools": [{"type": "web_search"}]}""", "tools[0].type")]
    [TestCase("""{"input": "a", "tools": [{"type": "function", "name": "f", "parameters": {"$ref": "http://elsewhere"}}]}""", "tools[0].parameters")]
    [TestCase("""{"input": "a", "text": {"format": {"type": "grammar"}}}""", "text.format.type")]
    [TestCase("""{"input": "a", "text": {"format": {"type": "json_schema", "name": "n", "schema": {"not": {}}}}}""", "text.format.schema")]
    [TestCase("""{"input": "a", "max_output_tokens": 0}""", "max_output_tokens")]
    [TestCase("""{"input": "a", "top_logprobs": 21}""", "top_logprobs")]
    [TestCase("""{"input": "a", "conversation": "x"}""", "conversation")]
    [TestCase("""{"input": ["a", "a", "a", "a", "a", "a", "a", "a", "a"]}""", "input")]
    public async Task What_cannot_be_honoured_is_refused(string body, string param)
    {
        (HttpStatusCode status, JsonElement answer) = await _server.PostAsync(Path, body == "{}" ? """{"model": "chatty"}""" : $$"""{"model": "chatty", {{body[1..]}}""");
        Assert.That((status, Of(answer.GetProperty("error"), "param")), Is.EqualTo((HttpStatusCode.BadRequest, param)), answer.ToString());
    }

    private static string? Of(JsonElement element, string field) => element.GetProperty(field).GetString();
}
