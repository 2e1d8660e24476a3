using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Decart.Inference.Tests.Session;

namespace Decart.Inference.Tests.Server;

/// <summary>Who is answered, and how much at a time.</summary>
public class AccessTests
{
    private const string Path = "v1/completions";

    private static readonly object Request = new { model = "storyteller", prompt = "Once", max_tokens = 1 };
    private static readonly object Long = new { model = "storyteller", prompt = "Once", max_tokens = 500, ignore_eos = true, stream = true };

    private RunningServer _server = null!;

    [OneTimeSetUp]
    public async Task StartAsync() => _server = await RunningServer.StartAsync("--Server:ApiKeys:0=first-key", "--Server:ApiKeys:1= second-key ", "--Server:MaxConcurrentRequests=2");

    [OneTimeTearDown]
    public async Task StopAsync() => await _server.DisposeAsync();

    [TestCase(null)]
    [TestCase("Bearer ")]
    [TestCase("Bearer wrong")]
    [TestCase("Bearer first-ke")]
    [TestCase("Bearer first-key2")]
    [TestCase("Bearer FIRST-KEY")]
    [TestCase("Basic first-key")]
    [TestCase("first-key")]
    [TestCase("Bearer first-key, Bearer second-key")]
    public async Task A_wrong_key_is_refused(string? header)
    {
        foreach ((HttpMethod method, string path) in new[] { (HttpMethod.Post, Path), (HttpMethod.Get, "v1/models"), (HttpMethod.Get, "kv"), (HttpMethod.Get, "metrics"), (HttpMethod.Post, "v1/chat/completions"), (HttpMethod.Post, "v1/responses"), (HttpMethod.Post, "v1/embeddings") })
        {
            using HttpRequestMessage request = new(method, path);
            if (header is not null) request.Headers.TryAddWithoutValidation("Authorization", header);
            using HttpResponseMessage response = await _server.Client.SendAsync(request);
            Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.Unauthorized), path);
            Assert.That(response.Headers.WwwAuthenticate.ToString(), Is.EqualTo("Bearer"));
            JsonElement error = JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("error");
            Assert.That((error.GetProperty("code").GetString(), error.GetProperty("type").GetString()), Is.EqualTo(("invalid_api_key", "authentication_error")));
        }
    }

    [TestCase("first-key", "Bearer")]
    [TestCase("second-key", "bearer")]
    public async Task A_key_lets_in(string key, string scheme)
    {
        using HttpResponseMessage response = await SendAsync(key, Request, scheme);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK));
    }

    [Test]
    public async Task Health_and_the_page_need_no_key()
    {
        foreach (string path in new[] { "health", "ready", "/", "page.css" })
        {
            using HttpResponseMessage response = await _server.Client.GetAsync(path);
            Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), path);
        }
    }

    [Test]
    public async Task A_key_has_so_many_requests_at_a_time_and_others_have_theirs()
    {
        using (HttpResponseMessage one = await SendAsync("first-key", Long), two = await SendAsync("first-key", Long))
        {
            using HttpResponseMessage third = await SendAsync("first-key", Request);
            Assert.That((one.StatusCode, two.StatusCode, third.StatusCode), Is.EqualTo((HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.TooManyRequests)));
            Assert.That(third.Headers.RetryAfter!.Delta, Is.EqualTo(TimeSpan.FromSeconds(1)));
            using HttpResponseMessage other = await SendAsync("second-key", Request);
            Assert.That(other.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        }
        await _server.UntilIdleAsync();
        await SessionFixture.Until(() => SendAsync("first-key", Request).Result.StatusCode == HttpStatusCode.OK);
    }

    [Test]
    public async Task Metrics_count_requests_by_route_and_status()
    {
        using (await SendAsync("first-key", Request)) { }
        using HttpRequestMessage request = new(HttpMethod.Get, "metrics") { Headers = { Authorization = new AuthenticationHeaderValue("Bearer", "first-key") } };
        using HttpResponseMessage response = await _server.Client.SendAsync(request);
        Assert.That(response.Content.Headers.ContentType!.ToString(), Does.StartWith("text/plain; version=0.0.4"));
        string text = await response.Content.ReadAsStringAsync();
        Assert.That(text, Does.Match("(?m)^http_server_request_duration_seconds_count\\{.*http_response_status_code=\"200\",http_route=\"/v1/completions\".*\\} [1-9]"));
        Assert.That(text, Does.Match("(?m)^http_server_request_duration_seconds_bucket\\{.*le=\"\\+Inf\"\\} [1-9]"));
        Assert.That(text, Does.Match("(?m)^decart_requests_ended_total\\{decart_request_outcome=\"completed\".*\\} [1-9]"));
        Assert.That(text, Does.Match("(?m)^decart_kv_pages\\{decart_kv_page_state=\"free\".*\\} [1-9]"));
        Assert.That(text.Split('\n', StringSplitOptions.RemoveEmptyEntries), Is.All.Match("^(# (HELP|TYPE) [a-z0-9_]+ .+|[a-zA-Z0-9_]+(\\{.*\\})? -?[0-9.eE+-]+)$"));
    }

    [Test]
    public async Task Requests_with_long_lines_or_headers_are_answered_in_the_api_s_form()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        using HttpResponseMessage target = await server.Client.GetAsync("v1/models?" + new string('a', 9000));
        await AssertErrorAsync(target, HttpStatusCode.RequestUriTooLong, "9011");
        foreach ((int count, int length) in new[] { (1, 40_000), (150, 1) })
        {
            using HttpRequestMessage request = new(HttpMethod.Get, "v1/models");
            for (int i = 0; i < count; i++) request.Headers.Add($"x-{i}", new string('a', length));
            using HttpResponseMessage answer = await server.Client.SendAsync(request);
            await AssertErrorAsync(answer, HttpStatusCode.RequestHeaderFieldsTooLarge, "100");
        }
        using HttpRequestMessage many = new(HttpMethod.Get, "v1/models");
        for (int i = 0; i < 80; i++) many.Headers.Add($"x-{i}", new string('a', 300));
        using HttpResponseMessage fine = await server.Client.SendAsync(many);
        Assert.That(fine.StatusCode, Is.EqualTo(HttpStatusCode.OK));
    }

    [TestCase("localhost", HttpStatusCode.OK)]
    [TestCase("127.0.0.1:80", HttpStatusCode.OK)]
    [TestCase("evil.example", HttpStatusCode.BadRequest)]
    public async Task Without_keys_only_this_machine_s_names_are_answered(string host, HttpStatusCode expected)
    {
        await using RunningServer open = await RunningServer.StartAsync();
        using HttpRequestMessage request = new(HttpMethod.Get, "v1/models") { Headers = { Host = host } };
        using HttpResponseMessage response = await open.Client.SendAsync(request);
        if (expected == HttpStatusCode.OK) Assert.That(response.StatusCode, Is.EqualTo(expected));
        else await AssertErrorAsync(response, expected, host);
    }

    [TestCase("--Server:ApiKeys:0= ")]
    [TestCase("--Server:MaxTokens=0")]
    [TestCase("--Server:SendTimeout=00:00:00")]
    [TestCase("--Server:MaxBufferedBytes=1000")]
    [TestCase("--Llm:Modle=x")]
    public void Settings_that_cannot_be_meant_stop_the_start(string setting) =>
        Assert.That(async () => await RunningServer.StartAsync(setting), Throws.TypeOf<Microsoft.Extensions.Options.OptionsValidationException>());

    [TestCase("--Server:ApiKeys=secret", "Server:ApiKeys")]
    [TestCase("--Server:ApiKey:0=secret", "'ApiKey'")]
    public void Settings_that_do_not_exist_stop_the_start(string setting, string named) =>
        Assert.That(async () => await RunningServer.StartAsync(setting), Throws.InvalidOperationException.With.Message.Contains(named));

    private static async Task AssertErrorAsync(HttpResponseMessage response, HttpStatusCode status, string named)
    {
        Assert.That(response.StatusCode, Is.EqualTo(status));
        JsonElement error = JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("error");
        Assert.That(error.GetProperty("message").GetString(), Does.Contain(named));
        Assert.That(error.GetProperty("type").GetString(), Is.EqualTo("invalid_request_error"));
    }

    private Task<HttpResponseMessage> SendAsync(string key, object body, string scheme = "Bearer")
    {
        HttpRequestMessage request = new(HttpMethod.Post, Path) { Content = System.Net.Http.Json.JsonContent.Create(body), Headers = { Authorization = new AuthenticationHeaderValue(scheme, key) } };
        return _server.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }
}
