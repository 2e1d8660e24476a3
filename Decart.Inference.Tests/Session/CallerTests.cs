using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Session;

/// <summary>What callers do with what they have passed in or been given: arrays and lists that change, calls that overlap.</summary>
[CancelAfter(60_000)]
public class CallerTests
{
    [Test]
    public async Task A_prompts_array_may_change_once_the_request_is_made()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40));
        GenerationOptions options = new() { Temperature = 0, MaxTokens = 5 };
        int[] prompt = [1, 2, 3];
        IAsyncEnumerable<GenerationUpdate> updates = session.StreamAsync(prompt, options);
        prompt.AsSpan().Fill(999);
        IEnumerable<int> tokens = (await updates.ToListAsync()).SelectMany(update => update.TokenIds);
        Assert.That(tokens, Is.EqualTo((await session.GenerateAsync(new[] { 1, 2, 3 }, options)).TokenIds));
    }

    [Test]
    public async Task Lists_of_options_may_change_once_the_request_is_made()
    {
        await using LlmSession session = Answering("one, two, three");
        List<string> stops = [","];
        List<int> stopIds = [1];
        Dictionary<int, float> bias = new() { ['o'] = 1 };
        IAsyncEnumerable<GenerationUpdate> updates = session.StreamAsync("?", new() { Temperature = 0, StopSequences = stops, StopTokenIds = stopIds, LogitBias = bias });
        stops[0] = null!;
        stopIds[0] = 'o';
        bias[999] = float.NaN;
        Assert.That(string.Concat((await updates.ToListAsync()).Select(update => update.Text)), Is.EqualTo("one"));
    }

    [Test]
    public async Task Overlapping_calls_throw_at_their_caller([Values] bool conversation)
    {
        using var gate = new SemaphoreSlim(0);
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = _ => gate.Wait();
        await using LlmSession session = SessionOver(decoder);
        using Conversation started = session.StartConversation();
        GenerationOptions options = new() { Seed = 1, MaxTokens = 20 };
        IAsyncEnumerator<GenerationUpdate> reader =
            (conversation ? started.StreamAsync(new[] { 1 }, options) : session.StreamAsync(new[] { 1 }, options)).GetAsyncEnumerator();
        List<int> tokens = [];
        for (int i = 0; i < 20; i++)
        {
            ValueTask<bool> next = reader.MoveNextAsync();
            Assert.That(next.IsCompleted, Is.False);
            for (int again = 0; again < 3; again++) await Assert.ThrowsAsync<InvalidOperationException>(async () => await reader.MoveNextAsync());
            await Assert.ThrowsAsync<InvalidOperationException>(async () => await reader.DisposeAsync());
            gate.Release();
            Assert.That(await next);
            tokens.AddRange(reader.Current.TokenIds);
        }
        Assert.That(await reader.MoveNextAsync(), Is.False);
        await reader.DisposeAsync();
        gate.Release(1000);
        Assert.That(tokens, Is.EqualTo((await session.GenerateAsync(new[] { 1 }, options)).TokenIds));
    }

    [Test]
    public async Task Callers_that_fight_over_a_stream_get_exceptions_and_the_session_goes_on()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40));
        for (int round = 0; round < 50; round++)
        {
            IAsyncEnumerator<GenerationUpdate> reader = session.StreamAsync(new[] { round % 40 }, new() { MaxTokens = 100 }).GetAsyncEnumerator();
            await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
            {
                for (int i = 0; i < 50; i++)
                {
                    try
                    {
                        if (!await reader.MoveNextAsync()) return;
                    }
                    catch (InvalidOperationException)
                    {
                    }
                }
            })));
            await reader.DisposeAsync();
        }
        await UntilPagesAreFree(session);
    }
}
