using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Decart.Inference.Tests.Session;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Server;

namespace Decart.Inference.Tests.Server;

/// <summary>The server of the samples in this process, on a port of its own, with the storyteller: as it is, or with a chat template.</summary>
internal sealed class RunningServer : IAsyncDisposable
{
    /// <summary>A template in the style of Hermes and Qwen: turns, tools and calls.</summary>
    private const string Template = """
        {%- for tool in tools or [] %}{{ tool | tojson }}
        {% endfor %}
        {%- for message in messages %}[{{ message.role }}] {{ message.content or '' }}
        {%- for call in message.tool_calls or [] %}<tool_call>
        {{ call.function | tojson }}
        </tool_call>{% endfor %}
        {% endfor %}
        {%- if add_generation_prompt %}[assistant] {% endif %}
        """;

    private readonly WebApplication _app;
    private readonly string? _folder;

    private RunningServer(WebApplication app, LlmSession session, string? folder)
    {
        _app = app;
        Session = session;
        _folder = folder;
        Uri address = new(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
        Client = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 1000 }) { BaseAddress = address };
    }

    public HttpClient Client { get; }

    public LlmSession Session { get; }

    /// <summary>The storyteller, which continues texts.</summary>
    public static Task<RunningServer> StartAsync(params string[] settings) => StartAsync(null, settings);

    /// <param name="log">What the server logs goes there.</param>
    /// <param name="settings">Settings of the configuration.</param>
    public static Task<RunningServer> StartWithLogAsync(ILoggerProvider log, params string[] settings) => StartAsync(null, settings, builder => builder.Logging.AddProvider(log));

    /// <param name="settings">Settings of the configuration.</param>
    /// <param name="sendBuffer">Bytes that the system keeps for a client that does not read.</param>
    public static Task<RunningServer> StartAsync(string[] settings, int sendBuffer) => StartAsync(null, settings, builder => builder.WebHost.UseSockets(sockets => sockets.CreateBoundListenSocket = address =>
    {
        Socket socket = SocketTransportOptions.CreateDefaultBoundListenSocket(address);
        socket.SendBufferSize = sendBuffer;
        return socket;
    }));

    /// <summary>The storyteller with a chat template: its answers are stories whatever it is asked, but for grammars.</summary>
    public static Task<RunningServer> StartChatAsync(params string[] settings) => StartWithTemplateAsync(Template, settings);

    /// <summary>The storyteller with another chat template.</summary>
    public static Task<RunningServer> StartWithTemplateAsync(string template, params string[] settings) => StartWithFileAsync("chat_template.jinja", _ => template, settings);

    /// <summary>The storyteller with another tokenizer.</summary>
    /// <param name="change">Makes the tokenizer of the storyteller's.</param>
    /// <param name="settings">Settings of the configuration.</param>
    public static Task<RunningServer> StartWithTokenizerAsync(Action<JsonNode> change, params string[] settings) => StartWithFileAsync(
        "tokenizer.json",
        file =>
        {
            JsonNode tokenizer = JsonNode.Parse(File.ReadAllText(file))!;
            change(tokenizer);
            return tokenizer.ToJsonString();
        },
        settings);

    private static Task<RunningServer> StartWithFileAsync(string name, Func<string, string> create, string[] settings)
    {
        string storyteller = Path.Combine(Fixtures.RepositoryRoot()!, "samples", "models", "storyteller");
        string folder = Path.Combine(Directory.CreateTempSubdirectory().FullName, "chatty");
        Directory.CreateDirectory(folder);
        IEnumerable<string> files = Directory.GetFiles(storyteller, "*.json").Append(Path.Combine(storyteller, "model.safetensors"));
        foreach (string file in files.Where(file => Path.GetFileName(file) != name)) File.CreateSymbolicLink(Path.Combine(folder, Path.GetFileName(file)), file);
        File.WriteAllText(Path.Combine(folder, name), create(Path.Combine(storyteller, name)));
        return StartAsync(folder, settings);
    }

    /// <summary>Posts JSON and gives the status with the answer.</summary>
    public async Task<(HttpStatusCode Status, JsonElement Body)> PostAsync(string path, object body)
    {
        using HttpResponseMessage response = await SendAsync(path, body);
        string text = await response.Content.ReadAsStringAsync();
        return (response.StatusCode, text.Length > 0 ? JsonElement.Parse(text) : default);
    }

    public Task<HttpResponseMessage> SendAsync(string path, object body, CancellationToken cancellationToken = default)
    {
        HttpRequestMessage request = new(HttpMethod.Post, path) { Content = body is string text ? new StringContent(text, Encoding.UTF8, "application/json") : JsonContent.Create(body) };
        return Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
    }

    /// <summary>Posts JSON and gives the events of the answer, without the one that ends them.</summary>
    public async Task<List<JsonElement>> StreamAsync(string path, object body)
    {
        using HttpResponseMessage response = await SendAsync(path, body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.That((response.StatusCode, response.Content.Headers.ContentType?.MediaType), Is.EqualTo((HttpStatusCode.OK, "text/event-stream")), text);
        string[] events = [.. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split('\n').Single(part => part.StartsWith("data: ", StringComparison.Ordinal))[6..])];
        return [.. events.Where(line => line != "[DONE]").Select(line => JsonElement.Parse(line))];
    }

    /// <summary>Waits until no request holds pages or waits for any.</summary>
    public Task UntilIdleAsync() => SessionFixture.Until(() => Session.GetStatistics() is { RunningSequences: 0, WaitingSequences: 0, KvPagesInUse: 0 });

    /// <summary>Whether the server has begun to shut down.</summary>
    public bool IsStopping => _app.Lifetime.ApplicationStopping.IsCancellationRequested;

    /// <summary>Shuts the server down as a signal does.</summary>
    public Task StopAsync() => _app.StopAsync();

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
        if (_folder is not null) Directory.Delete(Path.GetDirectoryName(_folder)!, recursive: true);
    }

    private static async Task<RunningServer> StartAsync(string? folder, string[] settings, Action<WebApplicationBuilder>? configure = null)
    {
        string[] args = [.. folder is null ? [] : new[] { folder }, "--urls=http://127.0.0.1:0", "--Llm:Device=cpu", .. settings];
        WebApplication app = ServerApp.Create(args, builder =>
        {
            builder.Logging.ClearProviders();
            configure?.Invoke(builder);
        });
        await app.StartAsync();
        return new RunningServer(app, await app.Services.GetRequiredService<ILlmSessionProvider>().GetAsync(), folder);
    }
}
