using Decart.Inference.Memory;
using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Session;

/// <summary>The system describes a process's addresses as so many ranges and no more: requests that need further ones wait, and none fails.</summary>
[Platform(Include = "Linux")]
[CancelAfter(120_000)]
internal sealed class AddressRangeTests
{
    private static readonly GenerationOptions Short = new() { Temperature = 0, MaxTokens = 2 };

    [Test]
    public async Task Thousands_of_forks_leave_room_for_other_requests_and_other_sessions()
    {
        LlmSessionOptions options = new() { MaxConcurrentSequences = 8, KvCacheBytes = 110 << 20 };
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40), options);
        using Conversation conversation = session.StartConversation();
        await conversation.GenerateAsync(Prompt(0, 480), Short);
        List<Conversation> forks = [];
        for (int i = 0; i < 3_499; i++) forks.Add(conversation.Fork());
        GenerationResult[] results = await Task.WhenAll(Enumerable.Range(1, 50).Select(i => session.GenerateAsync(Prompt(i, 200), Short)));
        Assert.That(results.Select(result => result.Usage.CompletionTokens), Is.All.EqualTo(2));
        TestContext.Out.WriteLine($"{AddressRanges.OfProcess.Taken} of {AddressRanges.OfProcess.Limit} address ranges for {forks.Count} forks");
        SessionStatistics statistics = session.GetStatistics();
        Assert.That(statistics.KvPagesInUse, Is.LessThan(0.13 * statistics.KvPagesTotal));

        await using LlmSession other = SessionOver(FakeDecoder.Hashed(40), options);
        Assert.That((await other.GenerateAsync(Prompt(0, 200), Short)).Usage.CompletionTokens, Is.EqualTo(2));
        Assert.That((await forks[^1].GenerateAsync(Prompt(9, 3), Short)).Usage.CachedPromptTokens, Is.GreaterThan(470));
        forks.ForEach(fork => fork.Dispose());
    }

    [Test]
    public async Task Hundreds_of_conversations_over_one_long_prompt_share_its_pages()
    {
        KvLayout llama3 = new(Layers: 32, KvHeads: 8, HeadDim: 128, ElementBytes: sizeof(float));
        LlmSessionOptions options = new() { MaxConcurrentSequences = 8, KvCacheBytes = 4L << 30 };
        if (new HostMemory().MeasureFree() < 6L << 30) Assert.Ignore("6 GiB of memory must be free, though few of them are touched.");
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40, 4096, llama3), options);
        int[] system = Prompt(0, 2_000);
        await session.GenerateAsync(system, Short);
        List<Conversation> conversations = [];
        for (int i = 0; i < 500; i++)
        {
            conversations.Add(session.StartConversation());
            GenerationResult result = await conversations[^1].GenerateAsync((int[])[.. system, i % 40, i / 40], Short);
            Assert.That(result.Usage.CachedPromptTokens, Is.GreaterThanOrEqualTo(2_000), $"conversation {i}");
        }
        KvMap map = await session.GetKvMapAsync();
        Assert.That(map.Sequences, Has.Count.EqualTo(500), "all are kept");
        TestContext.Out.WriteLine($"{AddressRanges.OfProcess.Taken} of {AddressRanges.OfProcess.Limit} address ranges for {conversations.Count} conversations");
        conversations.ForEach(conversation => conversation.Dispose());
    }

    [Test]
    public async Task A_session_gets_what_another_keeps_for_conversations_that_nobody_uses_now()
    {
        AddressRanges ranges = new(400);
        await using LlmSession keeping = Limited(ranges), asking = Limited(ranges);
        List<Conversation> conversations = [keeping.StartConversation()];
        await conversations[0].GenerateAsync(Prompt(0, 60), Short);
        for (int i = 0; i < 150; i++) conversations.Add(conversations[0].Fork());
        await keeping.GetKvMapAsync();
        Assert.That(ranges.Available, Is.LessThan(20), "the limit is reached");
        GenerationResult[] results = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => asking.GenerateAsync(Prompt(i, 700), Short)));
        Assert.That(results.Select(result => result.Usage.CompletionTokens), Is.All.EqualTo(2));
        GenerationResult last = await conversations[0].GenerateAsync(Prompt(7, 3), Short);
        Assert.That(last.TokenIds, Is.EqualTo((await asking.GenerateAsync((int[])[.. conversations[0].TokenIds.SkipLast(2)], Short)).TokenIds), "what was given up is computed again");
    }

    [Test]
    public async Task Sessions_that_are_short_of_ranges_at_the_same_time_answer_all_requests_as_if_alone()
    {
        AddressRanges ranges = new(120);
        await using LlmSession first = Limited(ranges), second = Limited(ranges), alone = Limited(AddressRanges.OfProcess);
        GenerationOptions options = new() { Temperature = 0, MaxTokens = 60 };
        Task<GenerationResult>[] results =
            [.. Enumerable.Range(0, 80).Select(i => (i % 2 == 0 ? first : second).GenerateAsync(Prompt(i / 4, 100 + (i % 4 * 150)), options))];
        for (int i = 0; i < results.Length; i++)
        {
            GenerationResult expected = await alone.GenerateAsync(Prompt(i / 4, 100 + (i % 4 * 150)), options);
            Assert.That((await results[i]).TokenIds, Is.EqualTo(expected.TokenIds));
        }
        Assert.That(first.GetStatistics().WaitingSequences + second.GetStatistics().WaitingSequences, Is.Zero);
    }

    /// <summary>A session that shares a limit.</summary>
    private static LlmSession Limited(AddressRanges ranges) => SessionOver(
        FakeDecoder.Hashed(40), new() { MaxConcurrentSequences = 8, KvCacheBytes = ranges.Limit > 1000 ? 200 * 4096 : ranges.Limit / 2 * 4096, PrefixCaching = false }, memory: new HostMemory(ranges));

    private static int[] Prompt(int seed, int length) => [.. Enumerable.Range(0, length).Select(i => (i * (seed + 3) / 2 + seed) % 40)];
}
