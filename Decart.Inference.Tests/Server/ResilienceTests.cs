using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Decart.Inference.Tests.Session;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Tests.Server;

/// <summary>Clients that leave, stall or send anything at all: afterwards no sequence and no page is left.</summary>
public class ResilienceTests
{
    private const string Path = "v1/completions";

    private static readonly object Short = new { model = "storyteller", prompt = "Once", max_tokens = 2 };

    [Test, CancelAfter(120_000)]
    public async Task Clients_that_leave_in_the_middle_leave_nothing_behind()
    {
        const int clients = 500, tokens = 400, asked = clients * 3 / 2 * tokens;
        await using RunningServer server = await RunningServer.StartAsync($"--Server:MaxConcurrentRequests={clients}");
        int begun = 0;
        await Parallel.ForEachAsync(Enumerable.Range(0, clients), new ParallelOptions { MaxDegreeOfParallelism = 50 }, async (client, cancellation) =>
        {
            object request = new { model = "storyteller", prompt = $"Once upon a time, {client}", max_tokens = tokens, ignore_eos = true, stream = true, n = 1 + (client % 2) };
            using HttpResponseMessage response = await server.SendAsync(Path, request, cancellation);
            if (client % 3 == 0) return; // before the first token, or soon after
            using Stream body = await response.Content.ReadAsStreamAsync(cancellation);
            await body.ReadAtLeastAsync(new byte[50 + client], 1, cancellationToken: cancellation);
            Interlocked.Increment(ref begun);
        });
        await server.UntilIdleAsync();
        Assert.That(begun, Is.GreaterThan(clients / 2));
        Assert.That((await server.Session.GetKvMapAsync()).Sequences, Is.Empty);
        Assert.That(server.Session.GetStatistics().GeneratedTokens, Is.LessThan(asked * 3 / 4), "what nobody reads is not generated");
        Assert.That((await server.PostAsync(Path, Short)).Status, Is.EqualTo(HttpStatusCode.OK));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_request_that_is_left_before_its_answer_is_cancelled()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        using CancellationTokenSource leaving = new(TimeSpan.FromMilliseconds(300));
        Assert.That(async () => await server.SendAsync(Path, new { model = "storyteller", prompt = "Once", max_tokens = 500, ignore_eos = true, n = 16 }, leaving.Token), Throws.InstanceOf<OperationCanceledException>());
        await server.UntilIdleAsync();
        Assert.That(server.Session.GetStatistics().GeneratedTokens, Is.LessThan(16 * 500));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_client_that_does_not_read_holds_up_nobody_and_is_cut_off()
    {
        await using RunningServer server = await RunningServer.StartAsync(["--Server:SendTimeout=00:00:01"], sendBuffer: 4096);
        string body = JsonSerializer.Serialize(new { model = "storyteller", prompt = "Once", max_tokens = 500, ignore_eos = true, stream = true, n = 16, logprobs = 20 });
        using TcpClient client = await ConnectAsync(server, receiveBuffer: 2048);
        await client.Client.SendAsync(Encoding.ASCII.GetBytes($"POST /{Path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
        await SessionFixture.Until(() => server.Session.GetStatistics().GeneratedTokens > 100);
        Assert.That((await server.PostAsync(Path, Short)).Status, Is.EqualTo(HttpStatusCode.OK));
        await server.UntilIdleAsync();
        Assert.That(server.Session.GetStatistics().GeneratedTokens, Is.LessThan(16 * 500));
    }

    [Test, CancelAfter(60_000)]
    public async Task Clients_that_send_headers_only_take_nobody_s_place_and_time_out()
    {
        await using RunningServer server = await RunningServer.StartAsync("--Server:MaxConcurrentRequests=1");
        List<TcpClient> clients = [];
        for (int i = 0; i < 40; i++)
        {
            TcpClient client = await ConnectAsync(server);
            string length = i % 2 == 0 ? "Content-Length: 1000\r\n\r\n{" : "";
            await client.Client.SendAsync(Encoding.ASCII.GetBytes($"POST /{Path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{length}"));
            clients.Add(client);
        }
        Assert.That((await server.PostAsync(Path, Short)).Status, Is.EqualTo(HttpStatusCode.OK));
        using StreamReader reader = new(clients[0].GetStream());
        Assert.That(await reader.ReadLineAsync(), Does.Contain("408"));
        clients.ForEach(client => client.Dispose());
        await server.UntilIdleAsync();
    }

    [Test, CancelAfter(60_000)]
    public async Task Bodies_that_come_too_late_are_no_errors_of_the_server()
    {
        RecordingLog log = new();
        await using (RunningServer server = await RunningServer.StartWithLogAsync(log, "--Server:ReceiveTimeout=00:00:00.3"))
        {
            using TcpClient client = await ConnectAsync(server);
            await client.Client.SendAsync(Encoding.ASCII.GetBytes($"POST /{Path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"));
            using StreamReader reader = new(client.GetStream());
            Assert.That(await reader.ReadLineAsync(), Does.Contain("408"));
        }
        Assert.That(log.Entries, Is.Not.Empty);
        Assert.That(log.Messages(LogLevel.Error), Is.Empty);
    }

    [TestCase("ffffffffffffffff\r\n{}")]
    [TestCase("zz\r\n{}")]
    [TestCase("2;a\r\n{}xx")]
    [CancelAfter(60_000)]
    public async Task Chunks_that_cannot_be_read_are_the_caller_s_fault(string chunks)
    {
        await using RunningServer server = await RunningServer.StartAsync();
        using TcpClient client = await ConnectAsync(server);
        await client.Client.SendAsync(Encoding.ASCII.GetBytes($"POST /{Path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunks}"));
        string answer = await new StreamReader(client.GetStream()).ReadToEndAsync();
        Assert.That(answer, Does.StartWith("HTTP/1.1 400").And.Contain("\"invalid_request_error\""));
    }

    [Test, CancelAfter(120_000)]
    public async Task A_schema_that_is_made_to_need_much_work_is_refused()
    {
        await using RunningServer server = await RunningServer.StartChatAsync();
        const string Schema = """{"type": "object", "patternProperties": {"(x{1000}){1000}": {"type": "integer"}}}""";
        (HttpStatusCode status, JsonElement body) = await server.PostAsync("v1/chat/completions", $$$$"""{"model": "chatty", "messages": [{"role": "user", "content": "Hi"}], "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {{{{Schema}}}}}}}""");
        Assert.That((status, body.GetProperty("error").GetProperty("param").GetString()), Is.EqualTo((HttpStatusCode.BadRequest, "response_format.json_schema.schema")), body.ToString());
        Assert.That(body.GetProperty("error").GetProperty("message").GetString(), Does.Contain("too many parts"));
    }

    [Test, CancelAfter(60_000)]
    public async Task Bodies_that_are_arriving_take_only_so_much_memory_of_a_key_and_only_for_a_while()
    {
        await using RunningServer server = await RunningServer.StartAsync(
            "--Server:ApiKeys:0=one", "--Server:ApiKeys:1=two", "--Server:MaxBodyBytes=100000", "--Server:MaxBufferedBytes=262300", "--Server:ReceiveTimeout=00:00:03");
        List<TcpClient> clients = [];
        for (int i = 0; i < 2; i++)
        {
            TcpClient client = await ConnectAsync(server);
            await client.Client.SendAsync(Encoding.ASCII.GetBytes($"POST /{Path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer one\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n\"{new string('a', 90_000)}"));
            clients.Add(client);
        }
        await SessionFixture.Until(() => SendAsync("one").Result == HttpStatusCode.TooManyRequests);
        Assert.That(await SendAsync("two"), Is.EqualTo(HttpStatusCode.OK), "others have their own");
        string?[] answers = await Task.WhenAll(clients.Select(client => new StreamReader(client.GetStream()).ReadLineAsync()));
        Assert.That(answers, Is.All.Contains("408"));
        await SessionFixture.Until(() => SendAsync("one").Result == HttpStatusCode.OK);
        clients.ForEach(client => client.Dispose());

        async Task<HttpStatusCode> SendAsync(string key)
        {
            using HttpRequestMessage request = new(HttpMethod.Post, Path) { Content = System.Net.Http.Json.JsonContent.Create(new { model = "storyteller", prompt = new string('a', 200), max_tokens = 1 }), Headers = { Authorization = new("Bearer", key) } };
            using HttpResponseMessage response = await server.Client.SendAsync(request);
            return response.StatusCode;
        }
    }

    [Test, CancelAfter(120_000)]
    public async Task Bodies_of_any_kind_are_answered_or_refused([Values(1, 2)] int seed)
    {
        string[] settings = ["--Server:MaxTokens=4", "--Server:MaxChoices=2", "--Server:MaxBodyBytes=20000"];
        await using RunningServer texts = await RunningServer.StartAsync(settings), chats = await RunningServer.StartChatAsync(settings);
        (RunningServer Server, string Path, string Body)[] samples =
        [
            (texts, Path, """{"model": "storyteller", "prompt": ["Once", "One"], "max_tokens": 3, "temperature": 0.5, "stop": ["a"], "logit_bias": {"5": 1}, "logprobs": 2, "seed": 1, "stream": false, "n": 1, "echo": false}"""),
            (texts, Path, """{"model": "storyteller", "prompt": [[1, 2, 3], [4]], "max_tokens": 3, "stream": true, "stream_options": {"include_usage": true}, "top_k": 3, "min_p": 0.1}"""),
            (chats, "v1/chat/completions", """{"model": "chatty", "messages": [{"role": "system", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": [1, null]}"}}]}, {"role": "tool", "tool_call_id": "1", "content": "c"}], "max_tokens": 3, "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}}}], "tool_choice": "auto", "logprobs": true, "top_logprobs": 1}"""),
            (chats, "v1/chat/completions", """{"model": "chatty", "messages": [{"role": "user", "content": "a"}], "max_tokens": 4, "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "string", "maxLength": 1, "pattern": "^a+$"}}}, "stream": true}"""),
            (chats, "v1/responses", """{"model": "chatty", "input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}, {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}, {"type": "function_call_output", "call_id": "1", "output": "b"}], "max_output_tokens": 3, "text": {"format": {"type": "text"}}, "stream": true, "metadata": {"a": "b"}}"""),
        ];
        Random random = new(seed);
        Dictionary<HttpStatusCode, int> statuses = [];
        for (int i = 0; i < 600; i++)
        {
            (RunningServer server, string path, string body) = samples[i % samples.Length];
            for (int changes = random.Next(1, 3); changes > 0; changes--) body = Changed(body, random);
            using ByteArrayContent content = new(Encoding.UTF8.GetBytes(body)) { Headers = { ContentType = new("application/json") } };
            using HttpResponseMessage response = await server.Client.PostAsync(path, content);
            string answer = await response.Content.ReadAsStringAsync();
            Assert.That((int)response.StatusCode, Is.LessThan(500), $"{body}\n{answer}");
            if (!response.IsSuccessStatusCode) Assert.That(JsonElement.Parse(answer).GetProperty("error").GetProperty("message").GetString(), Is.Not.Empty, body);
            Assert.That(answer, Does.Not.Contain("\"server_error\""), body);
            statuses[response.StatusCode] = statuses.GetValueOrDefault(response.StatusCode) + 1;
        }
        await texts.UntilIdleAsync();
        await chats.UntilIdleAsync();
        Assert.That((statuses.GetValueOrDefault(HttpStatusCode.OK), statuses.GetValueOrDefault(HttpStatusCode.BadRequest)), Is.GreaterThan((20, 100)));
    }

    [Test, CancelAfter(60_000)]
    public async Task A_server_that_stops_lets_answers_end_and_takes_no_more()
    {
        await using RunningServer server = await RunningServer.StartAsync("--Llm:DrainTimeout=00:00:20");
        using HttpResponseMessage response = await server.SendAsync(Path, new { model = "storyteller", prompt = "Once", max_tokens = 300, ignore_eos = true, stream = true });
        Task stopping = server.StopAsync();
        await SessionFixture.Until(() => server.IsStopping);
        string text = await response.Content.ReadAsStringAsync();
        Assert.That(text, Does.Contain("\"finish_reason\":\"length\"").And.Contain("[DONE]"));
        Assert.That(async () => await server.PostAsync(Path, Short), Throws.InstanceOf<HttpRequestException>(), "nobody listens any longer");
        await stopping;
    }

    [Test, CancelAfter(60_000)]
    public async Task Answers_that_do_not_end_in_time_end_with_a_reason()
    {
        await using RunningServer server = await RunningServer.StartAsync("--Llm:DrainTimeout=00:00:00.2");
        object request = new { model = "storyteller", prompt = "Once", max_tokens = 500, ignore_eos = true, stream = true, n = 16 };
        using HttpResponseMessage response = await server.SendAsync(Path, request);
        await SessionFixture.Until(() => server.Session.GetStatistics().GeneratedTokens > 10);
        Task stopping = server.StopAsync();
        string text = await response.Content.ReadAsStringAsync();
        string last = text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries)[^1];
        Assert.That(JsonElement.Parse(last["data: ".Length..]).GetProperty("error").GetProperty("code").GetString(), Is.EqualTo("shutting_down"));
        await stopping;
    }

    /// <summary>A body with a value, a character or a piece changed.</summary>
    private static string Changed(string body, Random random)
    {
        string[] values = ["null", "-1", "0", "1e999", "\"\"", "\"\\ud800\"", "[]", "{}", "true", "99999999999999999999", "[null]", "{\"type\": 1}", "1", "2", "0.5", "\"a\"", "\"b\"", "false", "\"\u0000\"", new string('[', 70) + new string(']', 70)];
        MatchCollection found = Regex.Matches(body, "(?<=[:\\[,] ?)(\"[^\"]*\"|[0-9.]+|true|false|null)");
        int at = random.Next(body.Length);
        switch (random.Next(8))
        {
            case 0: return body.Remove(at, Math.Min(random.Next(1, 5), body.Length - at));
            case 1: return body.Insert(at, ((char)random.Next(1, 0x2000)).ToString());
            case 2: return body.Replace("\"a\"", $"\"{(char)random.Next(0xA0, 0xD000)}\\n\"", StringComparison.Ordinal);
            case 3: return body.Insert(at, body[at..Math.Min(body.Length, at + random.Next(1, 40))]);
            default:
                if (found.Count == 0) return body;
                Match match = found[random.Next(found.Count)];
                return body[..match.Index] + values[random.Next(values.Length)] + body[(match.Index + match.Length)..];
        }
    }

    private static async Task<TcpClient> ConnectAsync(RunningServer server, int? receiveBuffer = null)
    {
        TcpClient client = new();
        if (receiveBuffer is { } size) client.ReceiveBufferSize = size;
        await client.ConnectAsync(IPAddress.Loopback, server.Client.BaseAddress!.Port);
        return client;
    }
}
