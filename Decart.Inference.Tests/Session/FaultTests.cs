using Decart.Inference.Memory;
using Decart.Inference.Tests.Memory;
using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Session;

/// <summary>When something gives way, those concerned hear of it, the others go on, and nothing is left behind.</summary>
[CancelAfter(60_000)]
internal sealed class FaultTests
{
    private static readonly GenerationOptions Greedy = new() { Temperature = 0, MaxTokens = 40 };

    [TestCase(MemoryOperation.CreateVirtualMemory, PagingMode.Hardware)]
    [TestCase(MemoryOperation.CreatePage, PagingMode.Hardware)]
    [TestCase(MemoryOperation.Allocate, PagingMode.Table)]
    public void Memory_that_is_not_there_at_the_start_is_said_at_once(MemoryOperation operation, PagingMode paging)
    {
        FaultPlan faults = new();
        faults.Fail(operation);
        Assert.That(
            () => SessionOver(FakeDecoder.Hashed(8), new() { Paging = paging }, memory: new FaultyDeviceMemory(new HostMemory(), faults)),
            Throws.TypeOf<InsufficientMemoryException>().With.Message.Contains("pages of").And.Message.Contains("KvCacheBytes").And.Message.Contains("Injected"));
    }

    [Test]
    public void Addresses_that_are_short_make_fewer_ranges()
    {
        FaultPlan faults = new();
        faults.FailWhen(MemoryOperation.Reserve, call => call <= 3);
        Assert.That(
            async () =>
            {
                await using LlmSession session = SessionOver(FakeDecoder.Hashed(8), memory: new FaultyDeviceMemory(new HostMemory(), faults));
                return (await session.GenerateAsync(new[] { 1 }, Greedy)).TokenIds.Count;
            },
            Is.EqualTo(40));
        Assert.That(faults.Calls(MemoryOperation.Reserve), Is.EqualTo(5), "three smaller each time, then the window");
    }

    [Test]
    public async Task A_page_that_cannot_be_mapped_fails_its_own_request_only([Values] bool prefixCaching)
    {
        FaultPlan faults = new();
        faults.FailWhen(MemoryOperation.Map, call => call % 11 == 0);
        LlmSessionOptions options = new() { PrefixCaching = prefixCaching, MaxConcurrentSequences = 8 };
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40), options, memory: new FaultyDeviceMemory(new HostMemory(), faults));
        Task<GenerationResult>[] requests = [.. Enumerable.Range(0, 100).Select(i => session.GenerateAsync(Prompt(i), Greedy))];
        await Task.WhenAll(requests.Select(request => request.ContinueWith(_ => { }, TaskScheduler.Default)));
        await UntilPagesAreFree(session);
        faults.Clear();
        int failed = 0;
        for (int i = 0; i < requests.Length; i++)
        {
            if (requests[i].IsFaulted)
            {
                failed++;
                Assert.That(requests[i].Exception!.InnerException, Is.TypeOf<InvalidOperationException>().With.Message.Contains("Injected: Map"));
            }
            else
            {
                Assert.That(requests[i].Result.TokenIds, Is.EqualTo((await session.GenerateAsync(Prompt(i), Greedy)).TokenIds));
            }
        }
        Assert.That(failed, Is.InRange(3, 97));
    }

    [Test]
    public async Task What_a_step_has_written_that_fails_on_the_device_is_no_ones_prefix()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        await using LlmSession session = SessionOver(decoder, new() { PrefixCaching = true });
        int[] prompt = [.. Enumerable.Range(0, 200).Select(i => i % 40)];
        decoder.OnWait = () => throw new InvalidOperationException("the device has failed");
        await Assert.ThatAsync(() => session.GenerateAsync(prompt, Greedy), Throws.InvalidOperationException.With.Message.Contains("the device has failed"));
        decoder.OnWait = null;
        Assert.That((await session.GenerateAsync(prompt, Greedy)).Usage.CachedPromptTokens, Is.Zero);
        Assert.That((await session.GenerateAsync(prompt, Greedy)).Usage.CachedPromptTokens, Is.Positive, "what has been computed is");
    }

    [Test]
    public async Task A_request_that_breaks_a_step_fails_alone()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = batch =>
        {
            Thread.Sleep(1);
            if (batch.TokenIds.Contains(39)) throw new InsufficientMemoryException("no memory for this batch");
        };
        await using LlmSession session = SessionOver(decoder);
        GenerationOptions options = Greedy with { LogitBias = new Dictionary<int, float> { [39] = float.NegativeInfinity } };
        Task<GenerationResult>[] others = [.. Enumerable.Range(0, 6).Select(i => session.GenerateAsync(new[] { i, 1 }, options))];
        for (int i = 0; i < 3; i++)
        {
            await Assert.ThatAsync(
                () => session.GenerateAsync(new[] { 1, 39 }, options), Throws.InvalidOperationException.With.Message.Contains("no memory for this batch"));
        }
        foreach (Task<GenerationResult> other in others) Assert.That((await other).TokenIds, Has.Count.EqualTo(40));
        await UntilPagesAreFree(session);
    }

    [Test]
    public async Task A_caller_that_throws_within_its_loop_frees_its_request()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40));
        await Assert.ThrowsAsync<InvalidDataException>(async () =>
        {
            await foreach (GenerationUpdate _ in session.StreamAsync(new[] { 1 }, new() { MaxTokens = 900 })) throw new InvalidDataException("the caller's own");
        });
        await Until(() => session.GetStatistics() is { RunningSequences: 0, WaitingSequences: 0, KvPagesInUse: 0 });
    }

    [Test]
    public async Task A_forgotten_enumeration_frees_its_request()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40));
        await ForgetAsync(session);
        await Until(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return session.GetStatistics() is { RunningSequences: 0, WaitingSequences: 0, KvPagesInUse: 0 };
        });

        static async Task ForgetAsync(LlmSession session)
        {
            IAsyncEnumerator<GenerationUpdate> reader = session.StreamAsync(new[] { 1 }, new() { MaxTokens = 900 }).GetAsyncEnumerator();
            Assert.That(await reader.MoveNextAsync());
        }
    }

    [Test]
    public async Task What_is_longer_than_the_pool_is_refused_and_what_grows_beyond_it_ends()
    {
        // 4 pages of 4 KiB hold 85 tokens of 192 bytes.
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40), new() { KvCacheBytes = 4 << 12, Paging = PagingMode.Hardware });
        await Assert.ThatAsync(
            () => session.GenerateAsync(new int[86], Greedy),
            Throws.TypeOf<ContextLengthExceededException>().With.Message.Contains("4 pages of 4096 bytes").And.Message.Contains("KvCacheBytes").And
                .Property("MaxPromptTokens").EqualTo(85));
        await Assert.ThrowsAsync<ContextLengthExceededException>(() => session.NextTokenLogitsAsync(new int[86]));
        Assert.That(await session.NextTokenLogitsAsync(new int[85]), Has.Length.EqualTo(40));
        GenerationResult[] results = await Task.WhenAll(Enumerable.Range(0, 5).Select(i => session.GenerateAsync(Prompt(i)[..50], new() { MaxTokens = 500 })));
        foreach (GenerationResult result in results)
        {
            Assert.That(result.FinishReason, Is.EqualTo(FinishReason.Length));
            Assert.That(result.TokenIds, Has.Count.EqualTo(36), "the last token needs no place");
        }
        Assert.That(session.GetStatistics().KvPagesInUse, Is.Zero);
    }

    private static int[] Prompt(int i) => [.. Enumerable.Range(0, 60 + i).Select(token => (token * (1 + i % 5)) % 40)];
}
