using System.Net;
using System.Text.Json;

namespace Decart.Inference.Tests.Server;

/// <summary><c>/v1/chat/completions</c> with a model that has a chat template.</summary>
public class ChatTests
{
    private const string Path = "v1/chat/completions";

    private static readonly object[] Hello = [new { role = "user", content = "Tell me a story." }];

    private static readonly object Weather = new
    {
        type = "function",
        function = new { name = "get_weather", description = "The weather", parameters = JsonElement.Parse("""{"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"], "additionalProperties": false}""") },
    };

    private RunningServer _server = null!;

    [OneTimeSetUp]
    public async Task StartAsync() => _server = await RunningServer.StartChatAsync();

    [OneTimeTearDown]
    public async Task StopAsync() => await _server.DisposeAsync();

    [Test]
    public async Task An_answer_is_the_same_in_both_styles()
    {
        (HttpStatusCode status, JsonElement body) = await _server.PostAsync(Path, new { model = "chatty", messages = Hello, max_tokens = 20, seed = 3 });
        Assert.That((status, body.GetProperty("object").GetString()), Is.EqualTo((HttpStatusCode.OK, "chat.completion")));
        JsonElement choice = body.GetProperty("choices")[0];
        Assert.That((choice.GetProperty("message").GetProperty("role").GetString(), choice.GetProperty("finish_reason").GetString()), Is.EqualTo(("assistant", "length")));
        List<JsonElement> events = await _server.StreamAsync(Path, new { model = "chatty", messages = Hello, max_completion_tokens = 20, seed = 3, stream = true, stream_options = new { include_usage = true } });
        Assert.That(Text(events, 0), Is.EqualTo(choice.GetProperty("message").GetProperty("content").GetString()).And.Not.Empty);
        Assert.That(events[0].GetProperty("choices")[0].GetProperty("delta").GetProperty("role").GetString(), Is.EqualTo("assistant"));
        Assert.That(events.Select(update => update.GetProperty("object").GetString()), Is.All.EqualTo("chat.completion.chunk"));
        Assert.That(events[^1].GetProperty("choices").GetArrayLength(), Is.Zero);
        Assert.That(events.SkipLast(1).Select(update => update.GetProperty("usage").ValueKind), Is.All.EqualTo(JsonValueKind.Null));
        string?[] reasons = [.. events.SkipLast(1).Select(update => update.GetProperty("choices")[0].GetProperty("finish_reason").GetString())];
        Assert.That(reasons.Select(reason => reason ?? "none"), Is.EqualTo(Enumerable.Repeat("none", reasons.Length - 1).Append("length")));
        Assert.That(await _server.StreamAsync(Path, new { model = "chatty", messages = Hello, max_tokens = 2, stream = true }), Has.None.Matches<JsonElement>(update => update.TryGetProperty("usage", out _)));
        JsonElement usage = events[^1].GetProperty("usage");
        Assert.That(usage.GetProperty("completion_tokens").GetInt32(), Is.EqualTo(20));
        Assert.That(usage.GetProperty("prompt_tokens").GetInt32(), Is.EqualTo(body.GetProperty("usage").GetProperty("prompt_tokens").GetInt32()));
        Assert.That(usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32(), Is.Positive);
    }

    [Test]
    public async Task Several_answers_have_log_probabilities_of_their_own()
    {
        JsonElement body = (await _server.PostAsync(Path, new { model = "chatty", messages = Hello, max_tokens = 10, n = 3, seed = 1, logprobs = true, top_logprobs = 2 })).Body;
        JsonElement[] choices = [.. body.GetProperty("choices").EnumerateArray()];
        Assert.That(choices.Select(choice => choice.GetProperty("index").GetInt32()), Is.EqualTo(new[] { 0, 1, 2 }));
        Assert.That(choices.Select(choice => choice.GetProperty("message").GetProperty("content").GetString()), Is.Unique);
        foreach (JsonElement choice in choices)
        {
            JsonElement[] tokens = [.. choice.GetProperty("logprobs").GetProperty("content").EnumerateArray()];
            byte[] bytes = [.. tokens.SelectMany(token => token.GetProperty("bytes").EnumerateArray().Select(value => value.GetByte()))];
            Assert.That(System.Text.Encoding.UTF8.GetString(bytes), Is.EqualTo(choice.GetProperty("message").GetProperty("content").GetString()!));
            Assert.That(tokens.Select(token => token.GetProperty("top_logprobs").GetArrayLength()), Is.All.EqualTo(2));
            Assert.That(tokens.Select(token => token.GetProperty("logprob").GetSingle()), Is.All.AtMost(0));
        }
        List<JsonElement> events = await _server.StreamAsync(Path, new { model = "chatty", messages = Hello, max_tokens = 10, logprobs = true, stream = true });
        int streamed = events.SelectMany(update => update.GetProperty("choices").EnumerateArray()).Sum(choice => choice.GetProperty("logprobs") is { ValueKind: JsonValueKind.Object } logprobs ? logprobs.GetProperty("content").GetArrayLength() : 0);
        Assert.That(streamed, Is.EqualTo(10));
    }

    [Test]
    public async Task An_answer_matches_its_schema([Values(0f, 1f, 2f)] float temperature)
    {
        var format = new { type = "json_schema", json_schema = new { name = "pet", strict = true, schema = JsonElement.Parse("""{"type": "object", "properties": {"kind": {"enum": ["cat", "dog"]}, "age": {"type": "integer", "minimum": 0, "maximum": 30}}, "required": ["kind", "age"], "additionalProperties": false}""") } };
        JsonElement body = (await _server.PostAsync(Path, new { model = "chatty", messages = Hello, temperature, response_format = format })).Body;
        JsonElement pet = JsonElement.Parse(body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!);
        Assert.That(pet.GetProperty("kind").GetString(), Is.AnyOf("cat", "dog"));
        Assert.That(pet.GetProperty("age").GetInt32(), Is.InRange(0, 30));
        body = (await _server.PostAsync(Path, new { model = "chatty", messages = Hello, temperature, max_tokens = 40, response_format = new { type = "json_object" } })).Body;
        Assert.That(JsonElement.Parse(body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!).ValueKind, Is.EqualTo(JsonValueKind.Object));
    }

    [Test]
    public async Task A_function_is_called_and_its_result_goes_back()
    {
        object[] choices = ["required", new { type = "function", function = new { name = "get_weather" } }];
        foreach (object toolChoice in choices)
        {
            JsonElement choice = (await _server.PostAsync(Path, new { model = "chatty", messages = Hello, tools = new[] { Weather }, tool_choice = toolChoice, parallel_tool_calls = false })).Body.GetProperty("choices")[0];
            JsonElement call = choice.GetProperty("message").GetProperty("tool_calls")[0];
            Assert.That((choice.GetProperty("finish_reason").GetString(), choice.GetProperty("message").GetProperty("content").ValueKind), Is.EqualTo(("tool_calls", JsonValueKind.Null)));
            Assert.That((call.GetProperty("type").GetString(), call.GetProperty("function").GetProperty("name").GetString()), Is.EqualTo(("function", "get_weather")));
            Assert.That(JsonElement.Parse(call.GetProperty("function").GetProperty("arguments").GetString()!).GetProperty("city").GetString(), Is.AnyOf("Oslo", "Rome"));
            object[] more = [.. Hello, choice.GetProperty("message"), new { role = "tool", tool_call_id = call.GetProperty("id").GetString(), content = "Rain" }];
            (HttpStatusCode status, JsonElement body) = await _server.PostAsync(Path, new { model = "chatty", messages = more, tools = new[] { Weather }, tool_choice = "none", max_tokens = 5 });
            Assert.That(status, Is.EqualTo(HttpStatusCode.OK), body.ToString());
        }
        List<JsonElement> events = await _server.StreamAsync(Path, new { model = "chatty", messages = Hello, tools = new[] { Weather }, tool_choice = "required", stream = true });
        JsonElement streamed = events.SelectMany(update => update.GetProperty("choices").EnumerateArray()).First(choice => choice.GetProperty("delta").TryGetProperty("tool_calls", out _)).GetProperty("delta").GetProperty("tool_calls")[0];
        Assert.That((streamed.GetProperty("index").GetInt32(), streamed.GetProperty("function").GetProperty("name").GetString()), Is.EqualTo((0, "get_weather")));
        Assert.That(events[^1].GetProperty("choices")[0].GetProperty("finish_reason").GetString(), Is.EqualTo("tool_calls"));
    }

    [Test]
    public async Task Of_many_functions_only_the_allowed_ones_are_called([Values("auto", "required")] string mode)
    {
        object[] tools = [Weather, new { type = "function", function = new { name = "get_time" } }, new { type = "function", function = new { name = "get_date" } }];
        object allowed = new { type = "allowed_tools", allowed_tools = new { mode, tools = new[] { new { type = "function", function = new { name = "get_time" } }, new { type = "function", function = new { name = "get_date" } } } } };
        for (int seed = 0; seed < 6; seed++)
        {
            JsonElement choice = (await _server.PostAsync(Path, new { model = "chatty", messages = Hello, tools, tool_choice = allowed, parallel_tool_calls = false, temperature = 2, seed, max_tokens = 60 })).Body.GetProperty("choices")[0];
            bool calls = choice.GetProperty("message").TryGetProperty("tool_calls", out JsonElement made);
            if (mode == "required") Assert.That((calls, choice.GetProperty("finish_reason").GetString()), Is.EqualTo((true, "tool_calls")));
            if (calls) Assert.That(made.EnumerateArray().Select(call => call.GetProperty("function").GetProperty("name").GetString()), Is.All.AnyOf("get_time", "get_date"));
        }
    }

    [Test]
    public async Task Messages_may_have_parts_names_and_all_roles()
    {
        object[] messages =
        [
            new { role = "developer", content = "Be kind." },
            new { role = "user", name = "ada", content = new object[] { new { type = "text", text = "Hello, " }, new { type = "text", text = "you." } } },
            new { role = "assistant", content = "Hi." , reasoning_content = "Hm.", refusal = (string?)null },
            new { role = "user", content = "More." },
        ];
        (HttpStatusCode status, JsonElement body) = await _server.PostAsync(Path, new { model = "chatty", messages, max_tokens = 3, user = "u", metadata = new { a = "b" }, store = false, modalities = new[] { "text" }, logit_bias = new Dictionary<string, int>(), stop = (string?)null });
        Assert.That(status, Is.EqualTo(HttpStatusCode.OK), body.ToString());
        string prompt = _server.Session.ChatTemplate!.Render([new(Microsoft.Extensions.AI.ChatRole.System, "Be kind."), new(Microsoft.Extensions.AI.ChatRole.User, "Hello, you."), new(Microsoft.Extensions.AI.ChatRole.Assistant, "Hi."), new(Microsoft.Extensions.AI.ChatRole.User, "More.")]);
        Assert.That(body.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), Is.EqualTo(_server.Session.Tokenizer.Encode(prompt).Count));
    }

    /// <summary>Clients send back messages as they came, with every field that they know.</summary>
    [Test]
    public async Task Fields_that_are_null_are_as_if_they_were_not_there()
    {
        const string Body = """
            {"model": "chatty", "messages": [{"role": "user", "content": "Hi", "name": null, "tool_calls": null, "tool_call_id": null},
              {"role": "assistant", "content": "a", "refusal": null, "annotations": [], "audio": null, "function_call": null, "tool_calls": null, "reasoning_content": null}, {"role": "user", "content": "b"}],
             "functions": null, "function_call": null, "audio": null, "web_search_options": null, "verbosity": "medium", "prediction": null, "tools": null, "tool_choice": null, "response_format": null, "stop": null,
             "logit_bias": null, "n": null, "stream": null, "stream_options": null, "user": null, "seed": null, "logprobs": null, "top_logprobs": null, "modalities": null, "metadata": null, "store": null,
             "service_tier": "auto", "prompt_cache_retention": "24h", "max_tokens": 2, "max_completion_tokens": null, "temperature": null}
            """;
        (HttpStatusCode status, JsonElement body) = await _server.PostAsync(Path, Body);
        Assert.That(status, Is.EqualTo(HttpStatusCode.OK), body.ToString());
    }

    private static string Text(List<JsonElement> events, int index) => string.Concat(events
        .SelectMany(update => update.GetProperty("choices").EnumerateArray())
        .Where(choice => choice.GetProperty("index").GetInt32() == index)
        .Select(choice => choice.GetProperty("delta").TryGetProperty("content", out JsonElement content) ? content.GetString() : ""));
}
