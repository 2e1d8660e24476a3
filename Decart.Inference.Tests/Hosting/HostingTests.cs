using Decart.Inference.Tests.Chat;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Session;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using static Decart.Inference.Tests.Hosting.TestHost;

namespace Decart.Inference.Tests.Hosting;

/// <summary>Models in the generic host: loading, services, health, and the host's end.</summary>
[CancelAfter(120_000)]
public class HostingTests
{
    private static readonly GenerationOptions Greedy = new() { Temperature = 0, MaxTokens = 16 };

    [Test]
    public async Task A_hosted_model_answers_as_a_loaded_one()
    {
        using var log = new RecordingLog();
        using IHost host = Create(builder => builder.Services.AddDecartInference(Section("Llm", ("Model", Storyteller), ("Device", "cpu"), ("Threads", "1"))), log);
        ILlmSession session = host.Services.GetRequiredService<ILlmSession>();
        Task<GenerationResult> early = session.GenerateAsync("Once upon a time", Greedy);
        await host.StartAsync();
        GenerationResult story = await early;
        LlmSession loaded = await host.Services.GetRequiredService<ILlmSessionProvider>().GetAsync();
        string streamed = string.Concat((await session.StreamAsync("Once upon a time", Greedy).ToListAsync()).Select(update => update.Text));
        Assert.Multiple(() =>
        {
            Assert.That(story.Text, Is.Not.Empty.And.EqualTo(streamed));
            Assert.That(host.Services.GetRequiredService<LlmSession>(), Is.SameAs(loaded));
            Assert.That((session.Model, session.Tokenizer, session.ChatTemplate), Is.EqualTo((loaded.Model, loaded.Tokenizer, loaded.ChatTemplate)));
            Assert.That(session.GetStatistics().GeneratedTokens, Is.GreaterThanOrEqualTo(32));
            Assert.That(log.Messages(LogLevel.Information), Has.One.Contains($"Loading {Storyteller}: Warming up."));
            Assert.That(log.Messages(LogLevel.Information), Has.One.StartsWith($"{Storyteller} is ready"));
        });
        Assert.That(await session.NextTokenLogitsAsync("Once"), Is.EqualTo(await loaded.NextTokenLogitsAsync("Once")));
        await host.StopAsync();
        await Assert.ThrowsAsync<SessionDrainingException>(() => session.GenerateAsync("Once upon a time", Greedy));
        Assert.Throws<ObjectDisposedException>(() => loaded.StartConversation(), "the session is disposed with the host");
    }

    [Test]
    public async Task Several_models_are_keyed_services()
    {
        using IHost host = Create(builder => builder.Services
            .AddDecartInference("stories", Small())
            .AddDecartInference("more", Small(options => options.MaxConcurrentSequences = 2)));
        await host.StartAsync();
        ILlmSessionProvider[] providers = [.. new[] { "stories", "more" }.Select(key => host.Services.GetRequiredKeyedService<ILlmSessionProvider>(key))];
        LlmSession first = await providers[0].GetAsync(), second = await providers[1].GetAsync();
        string[] texts = [.. await Task.WhenAll(new[] { "stories", "more" }.Select(async key =>
            (await host.Services.GetRequiredKeyedService<ILlmSession>(key).GenerateAsync("One morning", Greedy)).Text))];
        Assert.Multiple(() =>
        {
            Assert.That(first, Is.Not.SameAs(second));
            Assert.That(host.Services.GetRequiredKeyedService<LlmSession>("stories"), Is.SameAs(first));
            Assert.That(host.Services.GetRequiredKeyedService<LlmSession>("more"), Is.SameAs(second));
            Assert.That(texts[0], Is.EqualTo(texts[1]).And.Not.Empty);
            Assert.That(host.Services.GetService<ILlmSession>(), Is.Null, "none has no key");
            Assert.That(host.Services.GetServices<IHostedService>().Count(), Is.EqualTo(2));
        });
        await host.StopAsync();
    }

    [Test]
    public async Task Chats_wait_for_a_model_with_a_template()
    {
        using TemporaryFolder chat = new();
        foreach (string file in Directory.EnumerateFiles(Storyteller)) File.Copy(file, Path.Combine(chat.Path, Path.GetFileName(file)));
        chat.Write("chat_template.jinja", "{{ messages[0].content }}");
        using IHost host = Create(builder => builder.Services.AddDecartInference(Small(options => options.Model = chat.Path)));
        IChatClient client = host.Services.GetRequiredService<IChatClient>(), own = host.Services.GetRequiredService<ILlmSession>().AsChatClient();
        Assert.That(client.GetService<ChatClientMetadata>()!.DefaultModelId, Is.EqualTo(Path.GetFileName(chat.Path)));
        Assert.That(client.GetService<LlmSession>(), Is.Null, "it is not loaded");
        Task<ChatResponse> early = client.GetResponseAsync("Once upon a time", new() { Temperature = 0, MaxOutputTokens = 8 });
        await host.StartAsync();
        string text = (await early).Text;
        string streamed = string.Concat((await own.GetStreamingResponseAsync("Once upon a time", new() { Temperature = 0, MaxOutputTokens = 8 }).ToListAsync()).Select(update => update.Text));
        Assert.That(text, Is.Not.Empty.And.EqualTo(streamed));
        Assert.That(client.GetService<LlmSession>(), Is.SameAs(host.Services.GetRequiredService<LlmSession>()));
        await host.StopAsync();
    }

    [Test]
    public async Task Embeddings_and_scores_wait_for_the_model()
    {
        using IHost host = Create(builder => builder.Services.AddDecartInference(Small()));
        ILlmSession session = host.Services.GetRequiredService<ILlmSession>();
        var generator = host.Services.GetRequiredService<IEmbeddingGenerator<string, Embedding<float>>>();
        Assert.That(generator.GetService<EmbeddingGeneratorMetadata>()!.DefaultModelId, Is.EqualTo("storyteller"));
        Task<Embedding<float>> embedding = generator.GenerateAsync("a fox"), own = session.AsEmbeddingGenerator().GenerateAsync("a fox");
        Task<float[]> vector = session.EmbedAsync("a fox");
        Task<IReadOnlyList<TokenLogprobs>> scores = session.ScoreAsync("a fox");
        await host.StartAsync();
        Assert.That((await embedding).Vector.ToArray(), Is.EqualTo(await vector).And.EqualTo((await own).Vector.ToArray()));
        Assert.That(await scores, Is.Not.Empty);
        Assert.That(generator.GetService<EmbeddingGeneratorMetadata>()!.DefaultModelDimensions, Is.EqualTo(256));
        await host.StopAsync();
    }

    [Test]
    public async Task A_model_without_a_template_refuses_chats_and_says_why()
    {
        using IHost host = Create(builder => builder.Services.AddDecartInference(Small()));
        await host.StartAsync();
        NotSupportedException error = (await Assert.ThrowsAsync<NotSupportedException>(() => host.Services.GetRequiredService<IChatClient>().GetResponseAsync("Hello")))!;
        Assert.That(error.Message, Does.Contain("has no chat template"));
        await host.StopAsync();
    }

    [Test]
    public async Task What_an_application_registered_itself_is_left_alone()
    {
        ServiceCollection services = new();
        await using var fake = new FakeSession("", "");
        services.AddSingleton<ILlmSession>(fake);
        services.AddDecartInference(Small());
        await using ServiceProvider provider = services.BuildServiceProvider();
        Assert.That(provider.GetRequiredService<ILlmSession>(), Is.SameAs(fake));
    }

    [Test]
    public async Task Without_a_host_the_first_who_asks_loads_the_model()
    {
        ServiceCollection services = new();
        services.AddDecartInference(Small());
        await using ServiceProvider provider = services.BuildServiceProvider();
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => provider.GetRequiredService<LlmSession>())!;
        Assert.That(error.Message, Does.Contain("is not loaded yet").And.Contain("ILlmSessionProvider.GetAsync"));
        LlmSession session = await provider.GetRequiredService<ILlmSessionProvider>().GetAsync();
        Assert.That(provider.GetRequiredService<LlmSession>(), Is.SameAs(session));
        Task<GenerationResult> open = session.GenerateAsync("Once", new() { MaxTokens = 100, IgnoreEndOfText = true });
        await provider.DisposeAsync();
        Assert.That((await open).FinishReason, Is.AnyOf(FinishReason.Cancelled, FinishReason.Length));
        Assert.Throws<ObjectDisposedException>(() => session.StartConversation());
    }

    [Test]
    public async Task Readiness_follows_the_model_and_liveness_does_not()
    {
        using PausedLoad load = new("Warming up");
        using IHost host = Create(
            builder =>
            {
                builder.Services.AddDecartInference("stories", Small(options => options.ReadinessQueueLimit = 1000));
                builder.Services.AddHealthChecks().Add(DecartInferenceHealthChecks.Liveness("stories")).Add(DecartInferenceHealthChecks.Readiness("stories"));
            },
            load.Log);
        HealthCheckService health = host.Services.GetRequiredService<HealthCheckService>();
        await host.StartAsync();
        await load.Reached;
        HealthReport before = await health.CheckHealthAsync();
        load.GoOn();
        LlmSession session = await host.Services.GetRequiredKeyedService<ILlmSessionProvider>("stories").GetAsync();
        HealthReport ready = await health.CheckHealthAsync();
        await using IAsyncEnumerator<GenerationUpdate> open = session.StreamAsync("Once", new() { MaxTokens = 400, IgnoreEndOfText = true }).GetAsyncEnumerator();
        await open.MoveNextAsync();
        host.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();
        HealthReport stopping = await health.CheckHealthAsync();
        Assert.Multiple(() =>
        {
            Assert.That(before.Entries["decart.inference.live.stories"].Status, Is.EqualTo(HealthStatus.Healthy));
            Assert.That(before.Entries["decart.inference.ready.stories"].Status, Is.EqualTo(HealthStatus.Unhealthy));
            Assert.That(before.Entries["decart.inference.ready.stories"].Description, Is.EqualTo("The model is being loaded: Warming up."));
            Assert.That(load.Log.Messages(LogLevel.Information), Has.One.Contains("storyteller (stories) is ready"), "the key tells models apart");
            Assert.That(ready.Status, Is.EqualTo(HealthStatus.Healthy));
            Assert.That(ready.Entries["decart.inference.ready.stories"].Data.Keys, Is.EquivalentTo(new[] { "running", "waiting" }));
            Assert.That(ready.Entries["decart.inference.ready.stories"].Tags, Is.EqualTo(new[] { "ready" }));
            Assert.That(ready.Entries["decart.inference.live.stories"].Tags, Is.EqualTo(new[] { "live" }));
            Assert.That(stopping.Entries["decart.inference.live.stories"].Status, Is.EqualTo(HealthStatus.Healthy));
            Assert.That(stopping.Entries["decart.inference.ready.stories"].Description, Is.EqualTo("The host is stopping."));
        });
        while (await open.MoveNextAsync()) { }
        await host.StopAsync();
    }

    [Test]
    public async Task A_long_queue_is_not_ready()
    {
        using IHost host = Create(builder =>
        {
            builder.Services.AddDecartInference(Small(options => (options.MaxConcurrentSequences, options.ReadinessQueueLimit) = (1, 1)));
            builder.Services.AddHealthChecks().Add(DecartInferenceHealthChecks.Readiness());
        });
        await host.StartAsync();
        LlmSession session = await host.Services.GetRequiredService<ILlmSessionProvider>().GetAsync();
        HealthCheckService health = host.Services.GetRequiredService<HealthCheckService>();
        using var block = new ManualResetEventSlim();
        session.PostToEngine(_ => block.Wait(60_000));
        Task<GenerationResult>[] requests = [.. Enumerable.Range(0, 2).Select(_ => session.GenerateAsync("Once", Greedy))];
        HealthReport busy = await health.CheckHealthAsync();
        block.Set();
        await Task.WhenAll(requests);
        HealthReport idle = await health.CheckHealthAsync();
        Assert.That(busy.Entries["decart.inference.ready"].Description, Is.EqualTo("2 requests wait, more than ReadinessQueueLimit = 1 allows."));
        Assert.That((busy.Status, idle.Status), Is.EqualTo((HealthStatus.Unhealthy, HealthStatus.Healthy)));
        await host.StopAsync();
    }

    [Test]
    public async Task A_session_that_has_failed_is_not_alive()
    {
        using IHost host = Create(builder =>
        {
            builder.Services.AddDecartInference(Small());
            builder.Services.AddHealthChecks().Add(DecartInferenceHealthChecks.Liveness()).Add(DecartInferenceHealthChecks.Readiness());
        });
        await host.StartAsync();
        LlmSession session = await host.Services.GetRequiredService<ILlmSessionProvider>().GetAsync();
        session.PostToEngine(_ => throw new InvalidDataException("the engine is broken"));
        await SessionFixture.Until(() => session.Failure is not null);
        HealthReport report = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        Assert.That(report.Entries.Values.Select(entry => (entry.Status, entry.Description)), Is.All.EqualTo((HealthStatus.Unhealthy, "the engine is broken")));
        await host.StopAsync();
    }

    [Test]
    public async Task A_model_that_cannot_be_loaded_stops_the_host_with_the_error()
    {
        using var log = new RecordingLog();
        using IHost host = Create(
            builder =>
            {
                builder.Services.AddDecartInference(Small(options => options.Model = "no/such/model"));
                builder.Services.AddHealthChecks().Add(DecartInferenceHealthChecks.Liveness()).Add(DecartInferenceHealthChecks.Readiness());
            },
            log);
        HealthCheckService health = host.Services.GetRequiredService<HealthCheckService>();
        ILlmSession session = host.Services.GetRequiredService<ILlmSession>();
        await host.StartAsync();
        ModelLoadException error = (await Assert.ThrowsAsync<ModelLoadException>(() => session.GenerateAsync("Once")))!;
        Assert.That(error.Message, Does.Contain("no/such/model"));
        Assert.That(await Assert.ThrowsAsync<ModelLoadException>(() => host.WaitForShutdownAsync()), Is.SameAs(error), "what RunAsync throws");
        Assert.Throws<ModelLoadException>(() => session.GetStatistics());
        Assert.That(log.Messages(LogLevel.Critical), Has.One.EqualTo("no/such/model cannot be loaded, the host stops."));
        Assert.That((await health.CheckHealthAsync()).Entries.Values.Select(entry => entry.Exception), Is.All.SameAs(error));
    }

    [Test]
    public async Task A_model_that_cannot_be_loaded_before_the_start_fails_the_start()
    {
        using IHost host = Create(builder => builder.Services.AddDecartInference(Small(options => (options.Model, options.LoadBeforeStart) = ("no/such/model", true))));
        await Assert.ThrowsAsync<ModelLoadException>(() => host.StartAsync());
    }

    [Test]
    public async Task A_model_that_is_loaded_before_the_start_is_there_after_it()
    {
        using IHost host = Create(builder => builder.Services.AddDecartInference(Small(options => options.LoadBeforeStart = true)));
        await host.StartAsync();
        Assert.That(host.Services.GetRequiredService<ILlmSessionProvider>().Session, Is.Not.Null);
        await host.StopAsync();
    }

    [Test]
    public async Task A_host_that_stops_while_it_loads_ends_the_loading()
    {
        using PausedLoad load = new("Opening the device");
        using IHost host = Create(builder => builder.Services.AddDecartInference(Small()), load.Log);
        await host.StartAsync();
        Task<GenerationResult> early = host.Services.GetRequiredService<ILlmSession>().GenerateAsync("Once");
        await load.Reached;
        Task stopped = host.StopAsync();
        load.GoOn();
        await stopped;
        await Assert.ThrowsAsync<SessionDrainingException>(() => early);
        await Assert.ThrowsAsync<SessionDrainingException>(() => host.Services.GetRequiredService<ILlmSessionProvider>().GetAsync());
        Assert.That(load.Log.Messages(LogLevel.Critical), Is.Empty);
    }

    /// <summary>A log that holds loading up when it comes to a step, for no more than a minute: a test that fails must be able to end.</summary>
    private sealed class PausedLoad : IDisposable
    {
        private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly ManualResetEventSlim _goesOn = new();

        public PausedLoad(string step) => Log = new RecordingLog
        {
            OnMessage = message =>
            {
                // Only loading itself waits: what a health check says of it is logged too.
                if (message.Contains(step) && _reached.TrySetResult()) _goesOn.Wait(60_000);
            },
        };

        public RecordingLog Log { get; }

        public Task Reached => _reached.Task.WaitAsync(TimeSpan.FromMinutes(1));

        public void GoOn() => _goesOn.Set();

        public void Dispose()
        {
            Log.Dispose();
            _goesOn.Dispose();
        }
    }
}
