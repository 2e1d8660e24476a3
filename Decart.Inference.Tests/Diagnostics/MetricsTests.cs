using System.Diagnostics;
using System.Diagnostics.Metrics;
using Decart.Inference.Diagnostics;
using Decart.Inference.Engine;
using Decart.Inference.Sampling;
using Decart.Inference.Tests.Session;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Diagnostics;

/// <summary>What listeners of the meter see of sessions and their requests.</summary>
[CancelAfter(60_000)]
public class MetricsTests
{
    private const string
        Duration = "gen_ai.server.request.duration",
        FirstToken = "gen_ai.server.time_to_first_token",
        OutputToken = "gen_ai.server.time_per_output_token",
        Tokens = "gen_ai.client.token.usage",
        Submitted = "decart.requests.submitted",
        Ended = "decart.requests.ended";

    [Test]
    public async Task Instruments_have_the_conventions_names_units_and_buckets()
    {
        using Measurements measurements = new();
        await using LlmSession session = Answering("a", new() { MeterFactory = measurements.Factory });
        Assert.Multiple(() =>
        {
            Assert.That(measurements.Instruments.Select(instrument => (instrument.Name, instrument.Unit, instrument.GetType().Name)), Is.EquivalentTo(new (string, string?, string)[]
            {
                (Duration, "s", "Histogram`1"),
                (FirstToken, "s", "Histogram`1"),
                (OutputToken, "s", "Histogram`1"),
                (Tokens, "{token}", "Histogram`1"),
                (Submitted, "{request}", "Counter`1"),
                (Ended, "{request}", "Counter`1"),
                ("decart.queue.length", "{request}", "ObservableUpDownCounter`1"),
                ("decart.requests.running", "{request}", "ObservableUpDownCounter`1"),
                ("decart.kv.pages", "{page}", "ObservableUpDownCounter`1"),
                ("decart.prefix.hits", "{token}", "ObservableCounter`1"),
                ("decart.preemptions", "{preemption}", "ObservableCounter`1"),
            }));
            Assert.That(measurements.Instruments.Select(instrument => instrument.Meter.Name), Is.All.EqualTo("Decart.Inference"));
            Assert.That(measurements.Instruments.Select(instrument => instrument.Description), Is.All.Not.Empty);
            Assert.That(Buckets(Duration), Is.EqualTo(new[] { 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92 }));
            Assert.That(Buckets(FirstToken), Is.EqualTo(new[] { 0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0 }));
            Assert.That(Buckets(OutputToken), Is.EqualTo(new[] { 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5 }));
            Assert.That(
                ((Histogram<long>)measurements.Instruments.Single(instrument => instrument.Name == Tokens)).Advice!.HistogramBucketBoundaries,
                Is.EqualTo(Enumerable.Range(0, 14).Select(power => 1L << (2 * power))));
        });

        IReadOnlyList<double>? Buckets(string name) => ((Histogram<double>)measurements.Instruments.Single(instrument => instrument.Name == name)).Advice!.HistogramBucketBoundaries;
    }

    [Test]
    public async Task A_completed_request_is_measured_by_what_it_used()
    {
        using Measurements measurements = new();
        await using LlmSession session = Answering("an answer", new() { MeterFactory = measurements.Factory });
        Usage usage = (await session.GenerateAsync("?", new() { Temperature = 0 })).Usage;
        Dictionary<string, object?> tags = new()
        {
            ["gen_ai.operation.name"] = "text_completion",
            ["gen_ai.provider.name"] = "decart.inference",
            ["gen_ai.request.model"] = "fake",
            ["gen_ai.response.model"] = "fake",
        };
        Assert.Multiple(() =>
        {
            Assert.That(measurements.Of(FirstToken).Single() is var first ? (first.Value, first.Tags) : default, Is.EqualTo((usage.TimeToFirstToken.TotalSeconds, tags)));
            Assert.That(measurements.Of(OutputToken).Single() is var output ? (output.Value, output.Tags) : default, Is.EqualTo((usage.TimePerOutputToken.TotalSeconds, tags)));
            Assert.That(measurements.Of(Duration).Single().Tags, Is.EqualTo(tags));
            Assert.That(
                measurements.Of(Duration).Single().Value,
                Is.EqualTo((usage.TimeToFirstToken + (usage.TimePerOutputToken * (usage.CompletionTokens - 1))).TotalSeconds).Within(1e-9));
            Assert.That(
                measurements.Of(Tokens).Select(measured => (measured.Tags["gen_ai.token.type"], measured.Value)),
                Is.EqualTo(new (object?, double)[] { ("input", 2), ("output", 10) }));
            Assert.That(measurements.Of(Ended).Single() is var ended ? (ended.Value, ended.Tags["decart.request.outcome"]) : default, Is.EqualTo((1.0, (object)"completed")));
        });
    }

    [Test]
    public async Task A_request_of_one_token_has_no_time_between_tokens()
    {
        using Measurements measurements = new();
        await using LlmSession session = Answering("an answer", new() { MeterFactory = measurements.Factory });
        await session.GenerateAsync("?", new() { MaxTokens = 1 });
        Assert.That((measurements.Of(FirstToken).Length, measurements.Of(OutputToken).Length), Is.EqualTo((1, 0)));
    }

    [Test]
    public async Task Embeddings_scores_and_logits_are_measured_too()
    {
        using Measurements measurements = new();
        await using LlmSession session = await LlmSession.LoadAsync(
            Hosting.TestHost.Storyteller, new() { Device = Device.Cpu, Threads = 1, MeterFactory = measurements.Factory });
        await session.EmbedAsync(new[] { 3, 4, 5 });
        await session.ScoreAsync(new[] { 3, 4, 5, 6 });
        await session.ScoreAsync(new[] { 3 });
        await session.NextTokenLogitsAsync(new[] { 3, 4 });
        string[] operations = ["embeddings", "score", "score", "logits"];
        Assert.Multiple(() =>
        {
            Assert.That(measurements.Of(Submitted).Select(submitted => submitted.Tags["gen_ai.operation.name"]), Is.EqualTo(operations));
            Assert.That(measurements.Of(Ended).Select(ended => ended.Tags["gen_ai.operation.name"]), Is.EqualTo(operations));
            Assert.That(measurements.Of(Ended).Select(ended => ended.Tags["decart.request.outcome"]), Is.All.EqualTo("completed"));
            Assert.That(measurements.Of(Duration).Select(duration => duration.Value), Is.All.Positive);
            Assert.That(measurements.Of(Tokens).Select(tokens => (tokens.Value, tokens.Tags["gen_ai.token.type"])), Is.EqualTo(new (double, object?)[] { (3, "input"), (4, "input"), (2, "input") }));
            Assert.That(measurements.Of(FirstToken), Is.Empty);
        });
    }

    [Test]
    public async Task Requests_that_fail_or_are_cancelled_say_so()
    {
        using Measurements measurements = new();
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = batch =>
        {
            if (batch.TokenIds.Contains(13)) throw new IOException("the disk is gone");
            Thread.Sleep(1);
        };
        GenerationOptions harmless = new() { MaxTokens = 900, LogitBias = new Dictionary<int, float> { [13] = float.NegativeInfinity } };
        await using LlmSession session = SessionOver(decoder, new() { MeterFactory = measurements.Factory });
        await Assert.ThrowsAsync<InvalidOperationException>(() => session.GenerateAsync(new[] { 13 }));
        await foreach (GenerationUpdate update in session.StreamAsync(new[] { 1 }, harmless)) break;
        using var cancellation = new CancellationTokenSource(20);
        await Assert.CatchAsync<OperationCanceledException>(() => session.GenerateAsync(new[] { 1 }, harmless, cancellation.Token));
        Task<GenerationResult> drained = session.GenerateAsync(new[] { 1 }, harmless);
        await Until(() => session.GetStatistics().RunningSequences == 1);
        using var patience = new CancellationTokenSource(20);
        await session.DrainAsync(patience.Token);
        GenerationResult result = await drained;
        await Assert.ThrowsAsync<SessionDrainingException>(() => session.GenerateAsync(new[] { 1 }));
        Assert.Multiple(() =>
        {
            Assert.That(
                measurements.Of(Ended).Select(ended => (ended.Tags["decart.request.outcome"], ended.Tags["error.type"])),
                Is.EqualTo(new (object?, object?)[]
                {
                    ("failed", "System.IO.IOException"), ("cancelled", "cancelled"), ("cancelled", "cancelled"), ("cancelled", "cancelled"), ("failed", typeof(SessionDrainingException).FullName),
                }));
            Assert.That(measurements.Of(Duration).Select(duration => duration.Tags["error.type"]), Is.EqualTo(measurements.Of(Ended).Select(ended => ended.Tags["error.type"])));
            Assert.That(measurements.Of(Duration).Select(duration => duration.Value), Is.All.GreaterThan(0));
            Assert.That(measurements.Of(FirstToken), Is.Empty, "of successes only");
            Assert.That(measurements.Of(Tokens).Select(tokens => tokens.Value), Is.EqualTo(new double[] { 1, result.TokenIds.Count }));
        });
    }

    [Test]
    public async Task Each_request_that_is_submitted_ends_once_whatever_becomes_of_it()
    {
        using Measurements measurements = new();
        LlmSession session = SessionOver(FakeDecoder.Hashed(40), new() { MeterFactory = measurements.Factory });
        int[] tooLong = new int[2000];
        using CancellationTokenSource cancelled = new();
        await cancelled.CancelAsync();
        await session.GenerateAsync(new[] { 1 }, new() { MaxTokens = 3 });
        await Assert.ThatAsync(() => session.GenerateAsync(tooLong), Throws.TypeOf<ContextLengthExceededException>());
        Assert.That(() => session.StreamAsync(tooLong), Throws.TypeOf<ContextLengthExceededException>());
        await Assert.ThatAsync(() => session.ScoreAsync(tooLong), Throws.TypeOf<ContextLengthExceededException>());
        await Assert.ThatAsync(() => session.NextTokenLogitsAsync(tooLong), Throws.TypeOf<ContextLengthExceededException>());
        await Assert.ThatAsync(() => session.EmbedAsync(tooLong, new() { Pooling = EmbeddingPooling.Mean }), Throws.TypeOf<ContextLengthExceededException>());
        await Assert.ThatAsync(() => session.StartConversation().GenerateAsync(tooLong), Throws.TypeOf<ContextLengthExceededException>());
        await Assert.ThatAsync(() => session.GenerateAsync(new[] { 1 }, new() { MaxTokens = 0 }), Throws.InstanceOf<ArgumentException>());
        await Assert.ThatAsync(() => session.GenerateAsync(new[] { 99 }), Throws.InstanceOf<ArgumentException>());
        await Assert.ThatAsync(() => session.GenerateAsync(new[] { 1 }, cancellationToken: cancelled.Token), Throws.InstanceOf<OperationCanceledException>());
        await Assert.ThatAsync(() => session.ScoreAsync(new[] { 1, 2 }, cancellationToken: cancelled.Token), Throws.InstanceOf<OperationCanceledException>());
        _ = session.StreamAsync(new[] { 1 });
        await ForgetAsync();
        await Until(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return measurements.Of(Ended).Length == measurements.Of(Submitted).Length;
        });
        Task<IReadOnlyList<TokenLogprobs>> scores = session.ScoreAsync(new int[1000]);
        await session.DisposeAsync();
        await ((Task)scores).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await Assert.ThatAsync(() => session.GenerateAsync(new[] { 1 }), Throws.TypeOf<ObjectDisposedException>());
        Dictionary<string, int> outcomes = measurements.Of(Ended).CountBy(ended => $"{ended.Tags["decart.request.outcome"]} {ended.Tags.GetValueOrDefault("error.type")}").ToDictionary();
        Assert.Multiple(() =>
        {
            Assert.That(measurements.Of(Submitted), Has.Length.EqualTo(14), "a stream that nobody enumerates is no request");
            Assert.That(measurements.Of(Ended), Has.Length.EqualTo(14));
            Assert.That(outcomes[$"failed {typeof(ContextLengthExceededException).FullName}"], Is.EqualTo(6));
            Assert.That(outcomes["failed System.ArgumentException"] + outcomes["failed System.ArgumentOutOfRangeException"], Is.EqualTo(2));
            Assert.That(outcomes["completed "] + outcomes["cancelled cancelled"], Is.EqualTo(6), "scores may or may not be there before the end of the session");
            Assert.That(outcomes["cancelled cancelled"], Is.GreaterThanOrEqualTo(4), "two by their callers, one forgotten, one after the end of the session");
        });

        async Task ForgetAsync()
        {
            IAsyncEnumerator<GenerationUpdate> reader = session.StreamAsync(new[] { 1 }, new() { MaxTokens = 900 }).GetAsyncEnumerator();
            Assert.That(await reader.MoveNextAsync());
        }
    }

    [Test]
    public async Task Queue_pages_hits_and_preemptions_can_be_observed()
    {
        using Measurements measurements = new();
        LlmSessionOptions options = new() { MaxConcurrentSequences = 1, MeterFactory = measurements.Factory };
        using var block = new ManualResetEventSlim();
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = _ => block.Wait(30_000);
        await using LlmSession first = SessionOver(decoder, options);
        LlmSession second = SessionOver(FakeDecoder.Hashed(40), options);
        Task<GenerationResult>[] requests = [.. Enumerable.Range(0, 3).Select(_ => first.GenerateAsync(new[] { 1 }, new() { MaxTokens = 5 }))];
        await Until(() => first.GetStatistics() is { RunningSequences: 1, WaitingSequences: 2 });
        double running = Observe("decart.requests.running").Single().Value, waiting = Observe("decart.queue.length").Single().Value;
        block.Set();
        await Task.WhenAll(requests);
        int[] prompt = [.. Enumerable.Repeat(3, 100)];
        for (int i = 0; i < 2; i++) await second.GenerateAsync(prompt, new() { MaxTokens = 2 });
        SessionStatistics[] statistics = [first.GetStatistics(), second.GetStatistics()];
        Assert.Multiple(() =>
        {
            Assert.That((running, waiting), Is.EqualTo((1.0, 2.0)));
            Assert.That(Observe("decart.kv.pages").ToDictionary(pages => pages.Tags["decart.kv.page.state"]!, pages => pages.Value), Is.EqualTo(new Dictionary<object, double>
            {
                ["used"] = 0,
                ["cached"] = statistics.Sum(session => session.KvPagesCached),
                ["free"] = statistics.Sum(session => session.KvPagesTotal - session.KvPagesCached),
            }), "of both sessions, whose model is the same");
            Assert.That(Observe("decart.prefix.hits").Single().Value, Is.EqualTo(second.GetStatistics().PrefixHitTokens).And.Positive);
            Assert.That(Observe("decart.preemptions").Single().Value, Is.Zero);
            Assert.That(Observe("decart.preemptions").Single().Tags, Is.EqualTo(new Dictionary<string, object?> { ["gen_ai.request.model"] = "fake" }));
        });
        await second.DisposeAsync();
        Assert.That(Observe("decart.prefix.hits").Single().Value, Is.Zero, "a session that is gone is not observed");

        Measurements.Measured[] Observe(string name) => measurements.Observe(name);
    }

    [Test]
    public async Task A_hosted_model_uses_the_hosts_meters_and_does_not_measure_its_warming()
    {
        using Measurements measurements = new();
        using IHost host = Hosting.TestHost.Create(builder => builder.Services.AddSingleton(measurements.Factory).AddDecartInference(Hosting.TestHost.Small()));
        await host.StartAsync();
        LlmSession session = await host.Services.GetRequiredService<ILlmSessionProvider>().GetAsync();
        Assert.That(session.GetStatistics().GeneratedTokens, Is.Positive, "it is warm");
        Assert.That(measurements.Of(Ended), Is.Empty);
        await session.GenerateAsync("Once", new() { MaxTokens = 3 });
        Assert.That(measurements.Of(Ended).Single().Tags["gen_ai.request.model"], Is.EqualTo("storyteller"));
        await host.StopAsync();
    }

    [Test]
    public void A_request_that_nobody_listens_to_allocates_nothing_for_listeners()
    {
        using ServiceProvider services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        using SessionTelemetry telemetry = new("fake", () => throw new NotSupportedException(), services.GetRequiredService<IMeterFactory>());
        GenerationOptions options = new();
        SamplingParameters parameters = SamplingParameters.Resolve(options, options);
        GenerationSequence sequence = new([1], parameters, new Sampler(8), new CompletionText(null, EndConditions.Create(options, null, [])), contextLength: 100);
        Assert.That(Allocations.InSteadyState(Run), Is.Zero);
        using ActivityListener listener = new() { ShouldListenTo = source => source.Name == "Decart.Inference", Sample = (ref _) => ActivitySamplingResult.AllData };
        ActivitySource.AddActivityListener(listener);
        Assert.That(Allocations.InSteadyState(Run), Is.Positive, "what is measured here is what listeners cost");

        void Run()
        {
            for (int i = 0; i < 100; i++)
            {
                using RequestTelemetry? request = telemetry.Begin(options.Operation);
                request?.Follow(sequence, parameters, options);
            }
        }
    }
}
