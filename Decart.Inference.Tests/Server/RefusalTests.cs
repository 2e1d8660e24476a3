using System.Net;
using System.Text;
using System.Text.Json;

namespace Decart.Inference.Tests.Server;

/// <summary>What cannot be understood or honoured is refused with a reason that names the field.</summary>
public class RefusalTests
{
    private const string Message = """{"role": "user", "content": "Hi"}""";

    private RunningServer _texts = null!, _chats = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _texts = await RunningServer.StartAsync("--Server:MaxChoices=4", "--Server:MaxTokens=100", "--Server:MaxBodyBytes=20000");
        _chats = await RunningServer.StartChatAsync("--Server:MaxMessages=3", "--Server:MaxTools=2");
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        await _texts.DisposeAsync();
        await _chats.DisposeAsync();
    }

    [TestCase("", null)]
    [TestCase("[]", null)]
    [TestCase("null", null)]
    [TestCase("{", null)]
    [TestCase("{} {}", null)]
    [TestCase("""{"model": "storyteller", "prompt": "\ud800"}""", null)]
    [TestCase("""{"prompt": "a"}""", "model")]
    [TestCase("""{"model": "storyteller"}""", "prompt")]
    [TestCase("""{"model": "storyteller", "prompt": ""}""", "prompt")]
    [TestCase("""{"model": "storyteller", "prompt": []}""", "prompt")]
    [TestCase("""{"model": "storyteller", "prompt": 7}""", "prompt")]
    [TestCase("""{"model": "storyteller", "prompt": [1, "a"]}""", "prompt[1]")]
    [TestCase("""{"model": "storyteller", "prompt": ["a", 1]}""", "prompt[1]")]
    [TestCase("""{"model": "storyteller", "prompt": [[1], []]}""", "prompt[1]")]
    [TestCase("""{"model": "storyteller", "prompt": [1536]}""", "prompt[0]")]
    [TestCase("""{"model": "storyteller", "prompt": [[5], [1, -1]]}""", "prompt[1][1]")]
    [TestCase("""{"model": "storyteller", "prompt": [1536], "echo": true}""", "prompt[0]")]
    [TestCase("""{"model": "storyteller", "prompt": ["a", "a", "a", "a", "a"]}""", "prompt")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "unheard": 1}""", "unheard")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "suffix": "b"}""", "suffix")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "prompt": "b"}""", "prompt")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "stream": "yes"}""", "stream")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "stream_options": {"include_usage": true}}""", "stream_options")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "stream": true, "stream_options": {"other": true}}""", "stream_options.other")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "max_tokens": 0}""", "max_tokens")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "max_tokens": 101}""", "max_tokens")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "max_tokens": 1.5}""", "max_tokens")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "max_tokens": 99999999999}""", "max_tokens")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "n": 0}""", "n")]
    [TestCase("""{"model": "storyteller", "prompt": ["a", "b"], "n": 3}""", "n")]
    [TestCase("""{"model": "storyteller", "prompt": ["a", "b"], "n": 2147483647}""", "n")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "best_of": 2}""", "best_of")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "echo": true, "max_tokens": 0, "temperature": -0.1}""", "temperature")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "echo": true, "max_tokens": 0, "logprobs": 1, "stop": [""]}""", "stop")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "echo": true, "max_tokens": 0, "stream": true, "top_p": 2}""", "top_p")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "logprobs": 21}""", "logprobs")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "temperature": -0.1}""", "temperature")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "temperature": 1e300}""", "temperature")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "top_p": 0}""", "top_p")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "top_k": -1}""", "top_k")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "min_p": 2}""", "min_p")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "frequency_penalty": 3}""", "frequency_penalty")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "presence_penalty": -3}""", "presence_penalty")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "repetition_penalty": 0}""", "repetition_penalty")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "seed": "x"}""", "seed")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "stop": 1}""", "stop")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "stop": [""]}""", "stop")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "stop": ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17"]}""", "stop")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "logit_bias": {"1536": 1}}""", "logit_bias")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "logit_bias": {"-1": 1}}""", "logit_bias")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "logit_bias": {"x": 1}}""", "logit_bias")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "logit_bias": {"5": 101}}""", "logit_bias")]
    [TestCase("""{"model": "storyteller", "prompt": "a", "logit_bias": {"5": 1, "05": 1}}""", "logit_bias")]
    public Task A_completion(string body, string? param) => RefusedAsync(_texts, "v1/completions", body, param);

    [TestCase("{}", "messages")]
    [TestCase("""{"messages": []}""", "messages")]
    [TestCase("""{"messages": "Hi"}""", "messages")]
    [TestCase("""{"messages": [null]}""", "messages[0]")]
    [TestCase("""{"messages": [MESSAGE, MESSAGE, MESSAGE, MESSAGE]}""", "messages")]
    [TestCase("""{"messages": [{"role": "king", "content": "Hi"}]}""", "messages[0].role")]
    [TestCase("""{"messages": [{"content": "Hi"}]}""", "messages[0].role")]
    [TestCase("""{"messages": [{"role": "user"}]}""", "messages[0].content")]
    [TestCase("""{"messages": [{"role": "user", "content": 5}]}""", "messages[0].content")]
    [TestCase("""{"messages": [{"role": "user", "content": [5]}]}""", "messages[0].content[0].type")]
    [TestCase("""{"messages": [{"role": "user", "content": [{"type": "text"}]}]}""", "messages[0].content[0]")]
    [TestCase("""{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]}""", "messages[0].content[0].type")]
    [TestCase("""{"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}""", "messages[0].content[0].type")]
    [TestCase("""{"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "colour": "red"}]}]}""", "messages[0].content[0].colour")]
    [TestCase("""{"messages": [{"role": "user", "content": "a", "colour": "red"}]}""", "messages[0].colour")]
    [TestCase("""{"messages": [{"role": "user", "content": "a", "tool_call_id": "1"}]}""", "messages[0]")]
    [TestCase("""{"messages": [{"role": "user", "content": "a", "tool_calls": []}]}""", "messages[0]")]
    [TestCase("""{"messages": [{"role": "tool", "content": "a"}]}""", "messages[0].tool_call_id")]
    [TestCase("""{"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "type": "custom"}]}]}""", "messages[0].tool_calls[0].type")]
    [TestCase("""{"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{"}}]}]}""", "messages[0].tool_calls[0].arguments")]
    [TestCase("""{"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{\"a\": \"\\ud800\"}"}}]}]}""", "messages[0].tool_calls[0].arguments")]
    [TestCase("""{"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "[1]"}}]}]}""", "messages[0].tool_calls[0].arguments")]
    [TestCase("""{"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]}""", "messages[0].tool_calls[0]")]
    [TestCase("""{"messages": [MESSAGE], "functions": []}""", "functions")]
    [TestCase("""{"messages": [MESSAGE], "function_call": "auto"}""", "function_call")]
    [TestCase("""{"messages": [MESSAGE], "web_search_options": {}}""", "web_search_options")]
    [TestCase("""{"messages": [MESSAGE], "verbosity": "low"}""", "verbosity")]
    [TestCase("""{"messages": [{"role": "assistant", "content": "a", "function_call": {"name": "f", "arguments": ""}}]}""", "messages[0].function_call")]
    [TestCase("""{"messages": [{"role": "assistant", "content": "a", "audio": {"id": "1"}}]}""", "messages[0].audio")]
    [TestCase("""{"messages": [MESSAGE], "audio": {"voice": "x"}}""", "audio")]
    [TestCase("""{"messages": [MESSAGE], "modalities": ["text", "audio"]}""", "modalities")]
    [TestCase("""{"messages": [MESSAGE], "store": true}""", "store")]
    [TestCase("""{"messages": [MESSAGE], "max_tokens": 5, "max_completion_tokens": 6}""", "max_tokens")]
    [TestCase("""{"messages": [MESSAGE], "max_completion_tokens": 100000}""", "max_completion_tokens")]
    [TestCase("""{"messages": [MESSAGE], "top_logprobs": 2}""", "top_logprobs")]
    [TestCase("""{"messages": [MESSAGE], "logprobs": true, "top_logprobs": 21}""", "top_logprobs")]
    [TestCase("""{"messages": [MESSAGE], "logprobs": 5}""", "logprobs")]
    [TestCase("""{"messages": [MESSAGE], "n": 17}""", "n")]
    [TestCase("""{"messages": [MESSAGE], "tools": [{"type": "web_search"}]}""", "tools[0].type")]
    [TestCase("""{"messages": [MESSAGE], "tools": [null]}""", "tools[0].type")]
    [TestCase("""{"messages": [MESSAGE], "tools": [{"type": "function"}]}""", "tools[0].function.name")]
    [TestCase("""{"messages": [MESSAGE], "tools": [{"type": "function", "function": {"name": "a b"}}]}""", "tools[0].function.name")]
    [TestCase("""{"messages": [MESSAGE], "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "f"}}]}""", "tools[1].function.name")]
    [TestCase("""{"messages": [MESSAGE], "tools": [{"type": "function", "function": {"name": "f", "parameters": 5}}]}""", "tools[0].function.parameters")]
    [TestCase("""{"messages": [MESSAGE], "tools": [{"type": "function", "function": {"name": "f", "parameters": {"$ref": "http://elsewhere"}}}]}""", "tools[0].function.parameters")]
    [TestCase("""{"messages": [MESSAGE], "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "g"}}, {"type": "function", "function": {"name": "h"}}]}""", "tools")]
    [TestCase("""{"messages": [MESSAGE], "tool_choice": "required"}""", "tool_choice")]
    [TestCase("""{"messages": [MESSAGE], "tool_choice": "perhaps", "tools": [{"type": "function", "function": {"name": "f"}}]}""", "tool_choice")]
    [TestCase("""{"messages": [MESSAGE], "tool_choice": {"type": "function", "function": {"name": "g"}}, "tools": [{"type": "function", "function": {"name": "f"}}]}""", "tool_choice")]
    [TestCase("""{"messages": [MESSAGE], "tool_choice": {"type": "allowed_tools"}, "tools": [{"type": "function", "function": {"name": "f"}}]}""", "tool_choice")]
    [TestCase("""{"messages": [MESSAGE], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "none", "tools": [{"type": "function", "function": {"name": "f"}}]}}, "tools": [{"type": "function", "function": {"name": "f"}}]}""", "tool_choice")]
    [TestCase("""{"messages": [MESSAGE], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}, "tools": [{"type": "function", "function": {"name": "f"}}]}""", "tool_choice")]
    [TestCase("""{"messages": [MESSAGE], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [null]}}, "tools": [{"type": "function", "function": {"name": "f"}}]}""", "tool_choice")]
    [TestCase("""{"messages": [MESSAGE], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "g"}}]}}, "tools": [{"type": "function", "function": {"name": "f"}}]}""", "tool_choice")]
    [TestCase("""{"messages": [MESSAGE], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}}}""", "tool_choice")]
    [TestCase("""{"messages": [MESSAGE], "response_format": {"type": "xml"}}""", "response_format.type")]
    [TestCase("""{"messages": [MESSAGE], "response_format": {}}""", "response_format.type")]
    [TestCase("""{"messages": [MESSAGE], "response_format": {"type": "json_schema"}}""", "response_format.json_schema.schema")]
    [TestCase("""{"messages": [MESSAGE], "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"not": {}}}}}""", "response_format.json_schema.schema")]
    [TestCase("""{"messages": [MESSAGE], "response_format": {"type": "text", "json_schema": {"name": "n"}}}""", "response_format.json_schema.schema")]
    [TestCase("""{"messages": [MESSAGE], "reasoning_effort": "heroic"}""", "reasoning_effort")]
    [TestCase("""{"messages": [MESSAGE], "reasoning_effort": "high"}""", null)]
    [TestCase("""{"messages": [MESSAGE], "chat_template_kwargs": {"no_such_variable": 1}}""", null)]
    public Task A_chat(string body, string? param) =>
        RefusedAsync(_chats, "v1/chat/completions", body.Replace("MESSAGE", Message, StringComparison.Ordinal), param, model: "chatty");

    [Test]
    public async Task A_chat_with_a_model_that_has_no_template()
    {
        (HttpStatusCode status, JsonElement body) = await _texts.PostAsync("v1/chat/completions", $$"""{"model": "storyteller", "messages": [{{Message}}]}""");
        Assert.That((status, Error(body, "param"), Error(body, "code")), Is.EqualTo((HttpStatusCode.BadRequest, "model", "no_chat_template")));
    }

    [Test]
    public async Task A_prompt_that_is_longer_than_the_context([Values] bool stream)
    {
        (HttpStatusCode status, JsonElement body) = await _texts.PostAsync("v1/completions", new { model = "storyteller", prompt = string.Join(' ', Enumerable.Repeat("word", 600)), stream });
        Assert.That((status, Error(body, "code")), Is.EqualTo((HttpStatusCode.BadRequest, "context_length_exceeded")));
    }

    [Test]
    public async Task A_model_that_is_not_there()
    {
        (HttpStatusCode status, JsonElement body) = await _texts.PostAsync("v1/completions", new { model = "gpt", prompt = "a" });
        Assert.That((status, Error(body, "code"), Error(body, "param")), Is.EqualTo((HttpStatusCode.NotFound, "model_not_found", "model")));
    }

    [Test]
    public async Task A_body_that_is_too_large_or_no_json()
    {
        (HttpStatusCode status, JsonElement body) = await _texts.PostAsync("v1/completions", new { model = "storyteller", prompt = new string('a', 30_000) });
        Assert.That((status, Error(body, "type")), Is.EqualTo((HttpStatusCode.RequestEntityTooLarge, "invalid_request_error")));
        using StringContent text = new("""{"model": "storyteller", "prompt": "a"}""", Encoding.UTF8, "text/plain");
        using HttpResponseMessage plain = await _texts.Client.PostAsync("v1/completions", text);
        Assert.That(plain.StatusCode, Is.EqualTo(HttpStatusCode.UnsupportedMediaType));
        using ByteArrayContent latin = new([.. "{\"model\": \"storyteller\", \"prompt\": \""u8, 0xE4, .. "\"}"u8]) { Headers = { ContentType = new("application/json") } };
        using HttpResponseMessage other = await _texts.Client.PostAsync("v1/completions", latin);
        Assert.That(other.StatusCode, Is.EqualTo(HttpStatusCode.BadRequest));
    }

    [Test]
    public async Task Errors_say_no_more_than_can_be_read()
    {
        string name = new('\u00E9', 5000);
        foreach (string request in new[] { $$"""{"model": "{{name}}", "prompt": "a"}""", $$"""{"model": "storyteller", "prompt": "a", "{{name}}": 1}""", $$$"""{"model": "storyteller", "prompt": "a", "logit_bias": {"{{{name}}}": 1}}""" })
        {
            (HttpStatusCode status, JsonElement body) = await _texts.PostAsync("v1/completions", request);
            Assert.That(status, Is.AnyOf(HttpStatusCode.BadRequest, HttpStatusCode.NotFound));
            Assert.That(body.ToString(), Has.Length.LessThan(1500).And.Contains("\u00E9"));
        }
    }

    [Test]
    public async Task A_route_or_a_method_that_is_not_there()
    {
        using HttpResponseMessage route = await _texts.Client.GetAsync("v1/nothing"), method = await _texts.Client.GetAsync("v1/completions");
        Assert.That((route.StatusCode, method.StatusCode), Is.EqualTo((HttpStatusCode.NotFound, HttpStatusCode.MethodNotAllowed)));
        Assert.That(Error(JsonElement.Parse(await route.Content.ReadAsStringAsync()), "message"), Does.Contain("/v1/nothing"));
        Assert.That(Error(JsonElement.Parse(await method.Content.ReadAsStringAsync()), "message"), Does.Contain("GET"));
    }

    private static async Task RefusedAsync(RunningServer server, string path, string body, string? param, string? model = null)
    {
        if (model is not null) body = body == "{}" ? $$"""{"model": "{{model}}"}""" : $$"""{"model": "{{model}}", {{body[1..]}}""";
        (HttpStatusCode status, JsonElement answer) = await server.PostAsync(path, body);
        Assert.That((status, Error(answer, "param")), Is.EqualTo((HttpStatusCode.BadRequest, param)), answer.ToString());
        Assert.That(Error(answer, "message"), Is.Not.Empty);
        Assert.That(Error(answer, "type"), Is.EqualTo("invalid_request_error"));
        await server.UntilIdleAsync();
    }

    private static string? Error(JsonElement body, string field) => body.GetProperty("error").GetProperty(field).GetString();
}
