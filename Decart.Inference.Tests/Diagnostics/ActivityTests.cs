using System.Collections.Concurrent;
using System.Diagnostics;
using Decart.Inference.Tests.Session;
using Microsoft.Extensions.AI;
using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Diagnostics;

/// <summary>What listeners of the activity source see of requests.</summary>
[CancelAfter(60_000)]
public class ActivityTests
{
    private readonly ConcurrentQueue<Activity> _activities = [];
    private ActivityListener _listener = null!;

    [SetUp]
    public void Listen()
    {
        _activities.Clear();
        _listener = new()
        {
            ShouldListenTo = source => source.Name == "Decart.Inference",
            Sample = (ref _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = _activities.Enqueue,
        };
        ActivitySource.AddActivityListener(_listener);
    }

    [TearDown]
    public void StopListening() => _listener.Dispose();

    [Test]
    public async Task A_request_is_an_activity_with_the_conventions_attributes()
    {
        await using LlmSession session = Answering("an answer");
        using Activity caller = new Activity("caller").Start();
        GenerationResult result = await session.GenerateAsync("?", new()
        {
            Temperature = 0,
            TopK = 5,
            TopP = 0.95f,
            Seed = 7,
            MaxTokens = 64,
            FrequencyPenalty = 0.1f,
            PresencePenalty = 0.25f,
            StopSequences = ["no"],
        });
        Assert.That(Activity.Current, Is.SameAs(caller));
        Activity activity = _activities.Single();
        Assert.Multiple(() =>
        {
            Assert.That((activity.DisplayName, activity.Kind, activity.ParentId, activity.Status), Is.EqualTo(("text_completion fake", ActivityKind.Internal, caller.Id, ActivityStatusCode.Unset)));
            Assert.That(activity.TagObjects.ToDictionary(tag => tag.Key, tag => tag.Value), Is.EqualTo(new Dictionary<string, object?>
            {
                ["gen_ai.operation.name"] = "text_completion",
                ["gen_ai.provider.name"] = "decart.inference",
                ["gen_ai.request.model"] = "fake",
                ["gen_ai.request.max_tokens"] = 64,
                ["gen_ai.request.temperature"] = 0.0,
                ["gen_ai.request.top_k"] = 5.0,
                ["gen_ai.request.top_p"] = 0.95,
                ["gen_ai.request.seed"] = 7L,
                ["gen_ai.request.frequency_penalty"] = 0.1,
                ["gen_ai.request.presence_penalty"] = 0.25,
                ["gen_ai.request.stop_sequences"] = new[] { "no" },
                ["gen_ai.response.model"] = "fake",
                ["gen_ai.response.finish_reasons"] = new[] { "stop" },
                ["gen_ai.response.time_to_first_chunk"] = result.Usage.TimeToFirstToken.TotalSeconds,
                ["gen_ai.usage.input_tokens"] = 2,
                ["gen_ai.usage.cache_read.input_tokens"] = 0,
                ["gen_ai.usage.output_tokens"] = 10,
            }));
        });
    }

    [Test]
    public async Task A_chat_is_an_activity_of_its_kind()
    {
        await using LlmSession session = Answering("an answer");
        await session.AsChatClient(ChatTemplate.Parse("?")).GetResponseAsync("Hello", new() { MaxOutputTokens = 3, Temperature = 0 });
        Activity activity = _activities.Single();
        Assert.That(activity.DisplayName, Is.EqualTo("chat fake"));
        Assert.That(activity.GetTagItem("gen_ai.response.finish_reasons"), Is.EqualTo(new[] { "length" }));
        Assert.That(activity.TagObjects.Select(tag => tag.Value).OfType<string>(), Has.None.Contains("Hello"), "prompts are no attributes");
    }

    [Test]
    public async Task Activities_of_requests_that_do_not_complete_say_why()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = batch =>
        {
            if (batch.TokenIds.Contains(13)) throw new IOException("the disk is gone");
            Thread.Sleep(1);
        };
        LlmSession session = SessionOver(decoder);
        await Assert.ThrowsAsync<InvalidOperationException>(() => session.GenerateAsync(new[] { 13 }));
        GenerationOptions harmless = new() { MaxTokens = 900, LogitBias = new Dictionary<int, float> { [13] = float.NegativeInfinity } };
        await foreach (GenerationUpdate update in session.StreamAsync(new[] { 1 }, harmless)) break;
        Task<GenerationResult> abandoned = session.GenerateAsync(new[] { 1 }, harmless);
        await Until(() => session.GetStatistics().RunningSequences == 1);
        await session.DisposeAsync();
        await abandoned;
        Activity[] activities = [.. _activities];
        Assert.Multiple(() =>
        {
            Assert.That(activities.Select(activity => activity.GetTagItem("error.type")), Is.EqualTo(new[] { "System.IO.IOException", "cancelled", "cancelled" }));
            Assert.That(activities.Select(activity => activity.Status), Is.EqualTo(new[] { ActivityStatusCode.Error, ActivityStatusCode.Unset, ActivityStatusCode.Unset }));
            Assert.That(activities[0].StatusDescription, Does.Contain("the disk is gone"));
            Assert.That(activities.Select(activity => activity.GetTagItem("gen_ai.response.finish_reasons")), Is.EqualTo(new[] { null, null, new[] { "cancelled" } }));
        });
    }
}
