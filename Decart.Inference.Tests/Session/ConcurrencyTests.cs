using Decart.Inference.Engine;
using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Session;

/// <summary>Many callers on one session: batching, cancellation, failure and disposal concern only those that they should.</summary>
[CancelAfter(60_000)]
public class ConcurrencyTests
{
    private static readonly LlmSessionOptions Narrow = new() { MaxConcurrentSequences = 4, MaxBatchTokens = 16 };

    [Test]
    public async Task Tokens_do_not_depend_on_what_else_is_in_flight()
    {
        static (Prompt, GenerationOptions) Request(int i) => (
            Enumerable.Range(i, 1 + i * 7 % 50).Select(token => token % 40).ToArray(),
            new GenerationOptions { Seed = i, MaxTokens = 5 + i % 9, TopP = i % 2 == 0 ? 0.9f : 1, RepetitionPenalty = 1.2f });

        FakeDecoder decoder = FakeDecoder.Hashed(40);
        await using LlmSession session = SessionOver(decoder, Narrow);
        GenerationResult[] together = await Task.WhenAll(Enumerable.Range(0, 64).Select(i => Task.Run(() =>
        {
            (Prompt prompt, GenerationOptions options) = Request(i);
            return session.GenerateAsync(prompt, options);
        })));
        for (int i = 0; i < together.Length; i++)
        {
            (Prompt prompt, GenerationOptions options) = Request(i);
            GenerationResult alone = await session.GenerateAsync(prompt, options);
            Assert.That(together[i].TokenIds, Is.EqualTo(alone.TokenIds));
        }
        Assert.That(decoder.LargestBatch, Is.InRange(5, 16));
        await UntilPagesAreFree(session);
    }

    [Test]
    public async Task Without_a_seed_two_requests_differ()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40));
        GenerationResult first = await session.GenerateAsync(new[] { 1 }, new() { MaxTokens = 40 });
        GenerationResult second = await session.GenerateAsync(new[] { 1 }, new() { MaxTokens = 40 });
        Assert.That(first.TokenIds, Is.Not.EqualTo(second.TokenIds));
    }

    [Test]
    public async Task A_stream_enumerated_again_is_a_request_of_its_own()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40));
        Assert.That(await Twice(session.StreamAsync(new[] { 1 }, new() { MaxTokens = 40 })), Is.False);
        Assert.That(await Twice(session.StreamAsync(new[] { 1 }, new() { MaxTokens = 40, Seed = 1 })), Is.True);

        static async Task<bool> Twice(IAsyncEnumerable<GenerationUpdate> updates)
        {
            IEnumerable<int> first = (await updates.ToListAsync()).SelectMany(update => update.TokenIds);
            IEnumerable<int> second = (await updates.ToListAsync()).SelectMany(update => update.TokenIds);
            return first.SequenceEqual(second);
        }
    }

    [Test]
    public async Task A_request_cancelled_before_it_starts_is_never_computed()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(8);
        await using LlmSession session = SessionOver(decoder);
        var cancelled = new CancellationToken(canceled: true);
        await Assert.CatchAsync<OperationCanceledException>(() => session.GenerateAsync(new[] { 1 }, null, cancelled));
        await Assert.CatchAsync<OperationCanceledException>(() => session.NextTokenLogitsAsync(new[] { 1 }, cancelled));
        await Assert.CatchAsync<OperationCanceledException>(async () => await session.StreamAsync(new[] { 1 }, null, cancelled).ToListAsync());
        await Assert.CatchAsync<OperationCanceledException>(async () => await session.StreamAsync(new[] { 1 }).ToListAsync(cancelled));
        Assert.That(decoder.Steps, Is.Zero);
    }

    [Test]
    public async Task A_waiting_request_can_be_cancelled()
    {
        using var gate = new ManualResetEventSlim();
        FakeDecoder decoder = FakeDecoder.Hashed(8);
        decoder.OnForward = _ => gate.Wait();
        await using LlmSession session = SessionOver(decoder, new() { MaxConcurrentSequences = 1 });
        Task<GenerationResult> running = session.GenerateAsync(new[] { 1 }, new() { MaxTokens = 3 });
        await Until(() => session.GetStatistics().RunningSequences == 1);
        using var cancellation = new CancellationTokenSource();
        Task<GenerationResult> waiting = session.GenerateAsync(new[] { 2 }, null, cancellation.Token);
        Task<float[]> waitingLogits = session.NextTokenLogitsAsync(new[] { 2 }, cancellation.Token);
        await Until(() => session.GetStatistics().WaitingSequences == 2);
        await cancellation.CancelAsync();
        await Assert.CatchAsync<OperationCanceledException>(() => waiting, "at once, though a step is being computed");
        await Assert.CatchAsync<OperationCanceledException>(() => waitingLogits);
        gate.Set();
        Assert.That((await running).TokenIds, Has.Count.EqualTo(3));
        await Until(() => session.GetStatistics() is { RunningSequences: 0, WaitingSequences: 0 });
        Assert.That(decoder.Steps, Is.EqualTo(3));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_prompt_can_be_cancelled_between_its_chunks(bool generates)
    {
        FakeDecoder decoder = FakeDecoder.Hashed(8);
        using var cancellation = new CancellationTokenSource();
        decoder.OnForward = batch =>
        {
            if (batch.Positions[^1] >= 40) cancellation.Cancel();
        };
        await using LlmSession session = SessionOver(decoder, Narrow);
        Prompt prompt = new int[1000];
        await Assert.CatchAsync<OperationCanceledException>(
            () => generates ? session.GenerateAsync(prompt, null, cancellation.Token) : session.NextTokenLogitsAsync(prompt, cancellation.Token));
        await Until(() => session.GetStatistics() is { KvPagesInUse: 0, RunningSequences: 0 });
        Assert.That(decoder.Steps, Is.EqualTo(3));
    }

    [Test]
    public async Task A_stream_can_be_cancelled_or_left_and_others_go_on()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = _ => Thread.Sleep(1);
        await using LlmSession session = SessionOver(decoder);
        Task<GenerationResult> other = session.GenerateAsync(new[] { 1 }, new() { Seed = 1, MaxTokens = 300 });

        using var cancellation = new CancellationTokenSource();
        int seen = 0;
        await Assert.CatchAsync<OperationCanceledException>(async () =>
        {
            await foreach (GenerationUpdate _ in session.StreamAsync(new[] { 2 }, new() { MaxTokens = 900 }, cancellation.Token))
            {
                if (++seen == 5) await cancellation.CancelAsync();
            }
        });
        Assert.That(seen, Is.EqualTo(5));
        await foreach (GenerationUpdate _ in session.StreamAsync(new[] { 3 }, new() { MaxTokens = 900 })) break;

        await Until(() => session.GetStatistics() is { RunningSequences: <= 1 });
        IReadOnlyList<int> tokens = (await other).TokenIds;
        Assert.That(tokens, Is.EqualTo((await session.GenerateAsync(new[] { 1 }, new() { Seed = 1, MaxTokens = 300 })).TokenIds));
        await UntilPagesAreFree(session);
    }

    [Test]
    public async Task Cancellation_frees_a_request_whose_reader_is_busy_elsewhere()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = _ => Thread.Sleep(1);
        await using LlmSession session = SessionOver(decoder);
        using var cancellation = new CancellationTokenSource();
        IAsyncEnumerable<GenerationUpdate> updates = session.StreamAsync(new[] { 2 }, new() { MaxTokens = 900 }, cancellation.Token);
        await using IAsyncEnumerator<GenerationUpdate> reader = updates.GetAsyncEnumerator();
        Assert.That(await reader.MoveNextAsync());
        await cancellation.CancelAsync();
        await UntilPagesAreFree(session);
        await Assert.CatchAsync<OperationCanceledException>(async () => await reader.MoveNextAsync());
    }

    [Test]
    public async Task A_slow_reader_pauses_its_own_request_only_and_loses_nothing()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        await using LlmSession session = SessionOver(decoder, new() { MaxConcurrentSequences = 1 });
        await using IAsyncEnumerator<GenerationUpdate> slow = session.StreamAsync(new[] { 1 }, new() { Seed = 5, MaxTokens = 200 }).GetAsyncEnumerator();
        Assert.That(await slow.MoveNextAsync());
        GenerationResult same = await session.GenerateAsync(new[] { 1 }, new() { Seed = 5, MaxTokens = 200 });
        await Until(() => session.GetStatistics() is { RunningSequences: 0, WaitingSequences: 1 });
        int unread = (int)session.GetStatistics().GeneratedTokens - 200 - 1;
        Assert.That(unread, Is.InRange(GenerationSequence.MaxUnreadUpdates - 1, GenerationSequence.MaxUnreadUpdates), "it waits, its updates are bounded");
        List<int> tokens = [.. slow.Current.TokenIds];
        while (await slow.MoveNextAsync()) tokens.AddRange(slow.Current.TokenIds);
        Assert.That(tokens, Is.EqualTo(same.TokenIds));
        await UntilPagesAreFree(session);
    }

    [Test]
    public async Task A_reader_never_runs_on_the_engines_thread()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40));
        await foreach (GenerationUpdate _ in session.StreamAsync(new[] { 1 }, new() { MaxTokens = 20 }).ConfigureAwait(false))
            Assert.That(Thread.CurrentThread.Name, Is.Not.EqualTo("Decart.Inference engine"));
        await session.NextTokenLogitsAsync(new[] { 1 }).ConfigureAwait(false);
        Assert.That(Thread.CurrentThread.Name, Is.Not.EqualTo("Decart.Inference engine"));
    }

    [Test]
    public async Task A_failing_step_fails_its_requests_and_the_session_goes_on()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = batch =>
        {
            if (batch.TokenIds.Contains(13)) throw new IOException("the disk is gone");
        };
        await using LlmSession session = SessionOver(decoder);
        InvalidOperationException error = (await Assert.ThrowsAsync<InvalidOperationException>(() => session.GenerateAsync(new[] { 13 })))!;
        Assert.That(error.Message, Does.Contain("the disk is gone"));
        Assert.That(error.InnerException, Is.TypeOf<IOException>());
        await Assert.ThrowsAsync<InvalidOperationException>(() => session.NextTokenLogitsAsync(new[] { 13 }));
        var harmless = new GenerationOptions { MaxTokens = 3, LogitBias = new Dictionary<int, float> { [13] = float.NegativeInfinity } };
        GenerationResult result = await session.GenerateAsync(new[] { 1 }, harmless);
        Assert.That(result.TokenIds, Has.Count.EqualTo(3));
        Assert.That(session.GetStatistics().KvPagesInUse, Is.Zero);
    }

    [Test]
    public async Task Logits_that_are_not_numbers_fail_only_their_request()
    {
        await using LlmSession session = SessionOver(new FakeDecoder(4, (tokens, logits) => logits[1] = tokens[0] == 3 ? float.NaN : 1));
        Task<GenerationResult>[] requests = [session.GenerateAsync(new[] { 3 }), session.GenerateAsync(new[] { 0 }, new() { MaxTokens = 5 })];
        await Assert.ThatAsync(
            () => requests[0],
            Throws.InvalidOperationException.With.Message.Contains("not a finite number (the largest is NaN)").And.Message.Contains("The weights of fake are probably damaged"));
        await Assert.ThatAsync(
            () => session.NextTokenLogitsAsync(new[] { 3 }), Throws.InvalidOperationException.With.Message.Contains("The weights of fake are probably damaged"));
        Assert.That(await session.NextTokenLogitsAsync(new[] { 0 }), Is.All.LessThan(2));
        Assert.That((await requests[1]).TokenIds, Has.Count.EqualTo(5));
    }

    [Test]
    public async Task Disposal_ends_running_and_waiting_requests()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = _ => Thread.Sleep(1);
        LlmSession session = SessionOver(decoder, new() { MaxConcurrentSequences = 1 });
        Task<GenerationResult> running = session.GenerateAsync(new[] { 1 }, new() { MaxTokens = 1000 });
        Task<GenerationResult> waiting = session.GenerateAsync(new[] { 2 });
        Task<float[]> logits = session.NextTokenLogitsAsync(new[] { 2 });
        await Until(() => session.GetStatistics() is { RunningSequences: 1, WaitingSequences: 2, GeneratedTokens: > 2 });

        await Task.WhenAll(Task.Run(session.Dispose), Task.Run(() => session.DisposeAsync().AsTask()));
        Assert.Multiple(() =>
        {
            Assert.That(decoder.IsDisposed);
            Assert.That(running.Result.FinishReason, Is.EqualTo(FinishReason.Cancelled));
            Assert.That(running.Result.TokenIds, Is.Not.Empty);
            Assert.That(running.Result.Usage.CompletionTokens, Is.EqualTo(running.Result.TokenIds.Count));
            Assert.That(waiting.Result.FinishReason, Is.EqualTo(FinishReason.Cancelled));
        });
        await Assert.ThrowsAsync<ObjectDisposedException>(() => logits);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => session.GenerateAsync(new[] { 1 }));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => session.NextTokenLogitsAsync(new[] { 1 }));
        Assert.DoesNotThrow(session.Dispose);
    }

    [Test]
    public async Task Disposal_within_a_synchronisation_context_that_nobody_serves_does_not_wait_for_it()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = _ => Thread.Sleep(1);
        LlmSession session = SessionOver(decoder);
        Task<GenerationResult> running = session.GenerateAsync(new[] { 1 }, new() { MaxTokens = 1000 });
        await Task.Run(() =>
        {
            SynchronizationContext.SetSynchronizationContext(new SynchronizationContextThatDropsEverything());
            session.Dispose();
            SynchronizationContext.SetSynchronizationContext(null);
        });
        Assert.That((await running).FinishReason, Is.EqualTo(FinishReason.Cancelled));
    }

    [Test]
    public async Task An_idle_session_is_disposed_promptly()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        await SessionOver(decoder).DisposeAsync();
        Assert.That(decoder.IsDisposed);
    }

    [Test]
    public async Task Statistics_count_what_was_computed()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40), Narrow);
        await session.GenerateAsync(new int[33], new() { MaxTokens = 7 });
        await session.NextTokenLogitsAsync(new[] { 5, 4, 3, 2, 1 });
        Assert.That(session.GetStatistics(), Has.Property("PromptTokens").EqualTo(38).And.Property("GeneratedTokens").EqualTo(7));
    }

    [Test]
    public async Task Whoever_has_the_end_of_a_request_finds_it_gone()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        await using LlmSession session = SessionOver(decoder);
        for (int i = 0; i < 20; i++)
        {
            await session.GenerateAsync(new[] { 1 }, new() { MaxTokens = 3 });
            Assert.That(session.GetStatistics(), Has.Property("RunningSequences").Zero.And.Property("KvPagesInUse").Zero);
            await session.NextTokenLogitsAsync(new[] { 1 });
            Assert.That(session.GetStatistics(), Has.Property("RunningSequences").Zero.And.Property("KvPagesInUse").Zero);
        }
        decoder.OnForward = _ => throw new IOException("the disk is gone");
        await Assert.ThrowsAsync<InvalidOperationException>(() => session.GenerateAsync(new[] { 1 }));
        Assert.That(session.GetStatistics(), Has.Property("RunningSequences").Zero.And.Property("KvPagesInUse").Zero);
    }

    private sealed class SynchronizationContextThatDropsEverything : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state)
        {
        }
    }
}
