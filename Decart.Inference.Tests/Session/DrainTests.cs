using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Session;

/// <summary>Sessions that finish what they have and take no more.</summary>
[CancelAfter(30_000)]
public class DrainTests
{
    [Test]
    public async Task Requests_that_were_there_end_by_themselves_and_new_ones_are_refused()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = _ => Thread.Sleep(1);
        await using LlmSession session = SessionOver(decoder, new() { MaxConcurrentSequences = 1 });
        Task<GenerationResult> running = session.GenerateAsync(new[] { 1 }, new() { MaxTokens = 50 });
        Task<GenerationResult> waiting = session.GenerateAsync(new[] { 2 }, new() { MaxTokens = 50 });
        Task<float[]> logits = session.NextTokenLogitsAsync(new[] { 2 });
        using Conversation conversation = session.StartConversation();

        Task drained = session.DrainAsync();
        Assert.That(drained.IsCompleted, Is.False);
        await Assert.ThrowsAsync<SessionDrainingException>(() => session.GenerateAsync(new[] { 1 }));
        await Assert.ThrowsAsync<SessionDrainingException>(() => session.NextTokenLogitsAsync(new[] { 1 }));
        await Assert.ThrowsAsync<SessionDrainingException>(() => conversation.GenerateAsync(new[] { 1 }));
        await Task.WhenAll(drained, session.DrainAsync());
        SessionStatistics statistics = session.GetStatistics();
        Assert.That((await running, await waiting) is ({ FinishReason: FinishReason.Length, TokenIds.Count: 50 }, { FinishReason: FinishReason.Length, TokenIds.Count: 50 }));
        Assert.That(await logits, Has.Length.EqualTo(40));
        Assert.That((statistics.RunningSequences, statistics.WaitingSequences), Is.EqualTo((0, 0)));
        Assert.That(conversation.TokenCount, Is.Zero);
    }

    [Test]
    public async Task Completions_that_are_not_finished_in_time_keep_what_they_have()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = _ => Thread.Sleep(1);
        await using LlmSession session = SessionOver(decoder, new() { MaxConcurrentSequences = 1 });
        Task<GenerationResult> running = session.GenerateAsync(new[] { 1 }, new() { MaxTokens = 1000 });
        Task<GenerationResult> waiting = session.GenerateAsync(new[] { 2 });
        Task<float[]> logits = session.NextTokenLogitsAsync(new[] { 2 });
        await Until(() => session.GetStatistics().GeneratedTokens > 2);
        using var patience = new CancellationTokenSource(20);
        await session.DrainAsync(patience.Token);
        Assert.Multiple(() =>
        {
            Assert.That(running.Result.FinishReason, Is.EqualTo(FinishReason.Cancelled));
            Assert.That(running.Result.TokenIds, Has.Count.GreaterThan(2).And.Count.EqualTo(running.Result.Usage.CompletionTokens));
            Assert.That((waiting.Result.FinishReason, waiting.Result.TokenIds.Count), Is.EqualTo((FinishReason.Cancelled, 0)));
        });
        await Assert.ThrowsAsync<ObjectDisposedException>(() => logits);
        await Assert.ThrowsAsync<SessionDrainingException>(() => session.GenerateAsync(new[] { 1 }));
        Assert.That(decoder.IsDisposed, Is.False, "that is left to disposal");
    }

    [Test]
    public async Task What_a_slow_reader_has_not_read_is_kept_for_it()
    {
        await using LlmSession session = Answering(new string('a', 40));
        await using IAsyncEnumerator<GenerationUpdate> stream = session.StreamAsync("?", new() { Temperature = 0 }).GetAsyncEnumerator();
        Assert.That(await stream.MoveNextAsync());
        await session.DrainAsync();
        await session.DisposeAsync();
        string text = stream.Current.Text;
        FinishReason? reason = null;
        while (await stream.MoveNextAsync()) (text, reason) = (text + stream.Current.Text, stream.Current.FinishReason);
        Assert.That((text.Length, reason), Is.EqualTo((40, FinishReason.Stop)));
    }

    [Test]
    public async Task An_idle_session_is_drained_at_once_and_a_cancelled_request_holds_nothing_up()
    {
        await using LlmSession idle = Answering("a");
        await idle.DrainAsync();

        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = _ => Thread.Sleep(1);
        await using LlmSession session = SessionOver(decoder);
        using var cancellation = new CancellationTokenSource();
        Task<GenerationResult> running = session.GenerateAsync(new[] { 1 }, new() { MaxTokens = 1000 }, cancellation.Token);
        Task drained = session.DrainAsync();
        cancellation.Cancel();
        await drained;
        await Assert.CatchAsync<OperationCanceledException>(() => running);
    }

    [Test]
    public async Task A_session_that_fails_or_is_disposed_is_drained()
    {
        LlmSession failing = Answering("a"), disposed = Answering("a");
        await using IAsyncEnumerator<GenerationUpdate> open = disposed.StreamAsync("?", new() { IgnoreEndOfText = true }).GetAsyncEnumerator();
        Assert.That(await open.MoveNextAsync());
        Task drained = disposed.DrainAsync();
        failing.PostToEngine(_ => throw new InvalidDataException("the engine is broken"));
        await failing.DrainAsync();
        Assert.That(failing.Failure, Is.TypeOf<InvalidDataException>());
        await disposed.DisposeAsync();
        await drained;
        await failing.DisposeAsync();
    }
}
