using System.Diagnostics;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Decart.Inference.Tests.Session;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Server;
using Server.Http;

namespace Decart.Inference.Tests.Server;

/// <summary>What fails on the server's own side: models, templates, answers that are under way.</summary>
[CancelAfter(60_000)]
public class FailureTests
{
    [Test]
    public void A_model_that_cannot_be_loaded_ends_the_server_with_its_own_error() => Assert.That(
        async () =>
        {
            await using WebApplication app = ServerApp.Create(["no/such/model.gguf", "--urls=http://127.0.0.1:0"], builder => builder.Logging.ClearProviders());
            await app.RunAsync();
        },
        Throws.TypeOf<ModelLoadException>().With.Message.Contains("no/such/model.gguf"));

    [Test]
    public async Task A_template_that_cannot_be_read_leaves_texts_to_be_continued()
    {
        await using RunningServer server = await RunningServer.StartWithTemplateAsync("{% if %}");
        JsonElement model = JsonElement.Parse(await server.Client.GetStringAsync("v1/models")).GetProperty("data")[0];
        Assert.That(model.GetProperty("is_chat_model").GetBoolean(), Is.False);
        (HttpStatusCode status, _) = await server.PostAsync("v1/completions", new { model = "chatty", prompt = "Once", max_tokens = 2 });
        Assert.That(status, Is.EqualTo(HttpStatusCode.OK));
        (HttpStatusCode refused, JsonElement body) = await server.PostAsync("v1/chat/completions", new { model = "chatty", messages = new[] { new { role = "user", content = "Hello" } } });
        Assert.That((refused, body.GetProperty("error").GetProperty("code").GetString()), Is.EqualTo((HttpStatusCode.BadRequest, "chat_template_error")));
    }

    [Test]
    public async Task A_text_that_the_tokenizer_takes_too_long_on_is_refused_once_with_its_reason()
    {
        await using RunningServer server = await RunningServer.StartWithTokenizerAsync(tokenizer => tokenizer["pre_tokenizer"] = JsonNode.Parse("""{"type": "Split", "pattern": {"Regex": "(a|aa)+$"}, "behavior": "Isolated", "invert": false}"""));
        Stopwatch time = Stopwatch.StartNew();
        string text = new string('a', 100) + "b";
        foreach ((string path, object request) in new[] { ("v1/completions", (object)new { model = "chatty", prompt = text, n = 16 }), ("v1/embeddings", new { model = "chatty", input = text }) })
        {
            (HttpStatusCode status, JsonElement body) = await server.PostAsync(path, request);
            Assert.That((status, body.GetProperty("error").GetProperty("code").GetString()), Is.EqualTo((HttpStatusCode.BadRequest, "tokenization_failed")), body.ToString());
            Assert.That(body.GetProperty("error").GetProperty("message").GetString(), Does.Contain("(a|aa)+$").And.Contain("2 s"));
        }
        Assert.That(time.Elapsed, Is.LessThan(TimeSpan.FromSeconds(20)), "16 answers do not wait 16 times");
        Assert.That((await server.PostAsync("v1/completions", new { model = "chatty", prompt = "a", max_tokens = 2 })).Status, Is.EqualTo(HttpStatusCode.OK));
    }

    [Test]
    public async Task What_fails_while_it_is_streamed_is_told_and_logged()
    {
        using RecordingLog log = new();
        await using ServiceProvider services = new ServiceCollection().AddOptions().AddSingleton<ILoggerFactory>(log).AddSingleton(typeof(ILogger<>), typeof(Logger<>)).BuildServiceProvider();
        using MemoryStream sent = new();
        DefaultHttpContext context = new() { RequestServices = services, TraceIdentifier = "request-7", Response = { Body = sent } };
        EventStream events = await EventStream.BeginAsync(context);
        await events.RunAsync(() => throw new InvalidOperationException("The device is gone."));
        string text = System.Text.Encoding.UTF8.GetString(sent.ToArray());
        Assert.That(text, Does.StartWith("data: ").And.Contain("its log says why").And.Not.Contain("The device is gone"));
        Assert.That(log.Messages(LogLevel.Error), Has.One.Contains("request-7"));
    }
}
