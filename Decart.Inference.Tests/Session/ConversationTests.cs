using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Session;

/// <summary>Turns give what one long prompt would give, whatever is kept, shared or taken back between them.</summary>
[CancelAfter(60_000)]
internal sealed class ConversationTests
{
    private static readonly GenerationOptions Greedy = new() { Temperature = 0, MaxTokens = 30 };

    [Test]
    public async Task A_turn_answers_as_to_everything_before_and_computes_only_what_is_new([Values] bool prefixCaching)
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40), new() { PrefixCaching = prefixCaching });
        using Conversation conversation = session.StartConversation();
        List<int> history = [];
        for (int turn = 0; turn < 5; turn++)
        {
            int[] prompt = [turn, 7, 7];
            GenerationResult result = await conversation.GenerateAsync(prompt, Greedy with { Seed = turn, Temperature = turn % 2 });
            Assert.That(result.Usage.PromptTokens, Is.EqualTo(history.Count + 3));
            Assert.That(result.Usage.CachedPromptTokens, Is.EqualTo(Math.Max(0, history.Count - 1)), "all but the last answer's last token is stored");
            history.AddRange(prompt);
            Assert.That(result.TokenIds, Is.EqualTo(await AloneAsync(session, history, Greedy with { Seed = turn, Temperature = turn % 2 })));
            history.AddRange(result.TokenIds);
            Assert.That(conversation.TokenIds, Is.EqualTo(history));
        }
        Assert.That(session.GetStatistics().KvPagesInUse, Is.GreaterThan(0), "it holds its pages between turns");
        conversation.Dispose();
        await UntilPagesAreFree(session);
    }

    [Test]
    public async Task Text_begins_once_and_an_empty_prompt_goes_on()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(258), tokenizer: new ByteTokenizer());
        using Conversation conversation = session.StartConversation();
        await conversation.GenerateAsync("ab", Greedy with { MaxTokens = 1, IgnoreEndOfText = true });
        await conversation.GenerateAsync("cd", Greedy with { MaxTokens = 2, IgnoreEndOfText = true });
        int[] tokens = [.. conversation.TokenIds];
        Assert.That(tokens, Is.EqualTo(new[] { ByteTokenizer.Bos, 'a', 'b', tokens[3], 'c', 'd', tokens[6], tokens[7] }));
        GenerationResult more = await conversation.GenerateAsync("", Greedy with { MaxTokens = 5, IgnoreEndOfText = true });
        Assert.That(more.TokenIds, Is.EqualTo(await AloneAsync(session, tokens, Greedy with { MaxTokens = 5, IgnoreEndOfText = true })));
        conversation.Rewind(0);
        await Assert.ThrowsAsync<ArgumentException>(() => conversation.GenerateAsync(Array.Empty<int>()));
        Assert.That(conversation.TokenCount, Is.Zero);
    }

    [Test]
    public async Task A_fork_shares_its_pages_and_goes_its_own_way([Values] bool prefixCaching, [Values(PagingMode.Hardware, PagingMode.Table)] PagingMode paging)
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40), new() { PrefixCaching = prefixCaching, Paging = paging });
        using Conversation conversation = session.StartConversation();
        await conversation.GenerateAsync(Enumerable.Range(0, 200).Select(i => i % 40).ToArray(), Greedy);
        int pages = session.GetStatistics().KvPagesInUse;
        using Conversation fork = conversation.Fork();
        KvMap map = await session.GetKvMapAsync();
        Assert.That(map.Sequences, Has.Count.EqualTo(2));
        Assert.That(session.GetStatistics().KvPagesInUse, Is.LessThanOrEqualTo(pages + 1), "at most one page is copied");
        Assert.That(map.Sequences.Select(sequence => sequence.SharedPages), Is.All.EqualTo((int)(229 * map.TokenBytes / map.PageBytes)));

        List<int> before = [.. conversation.TokenIds];
        Task<GenerationResult> one = conversation.GenerateAsync(new[] { 1 }, Greedy), two = fork.GenerateAsync(new[] { 2 }, Greedy);
        Assert.That((await one).TokenIds, Is.EqualTo(await AloneAsync(session, [.. before, 1], Greedy)));
        Assert.That((await two).TokenIds, Is.EqualTo(await AloneAsync(session, [.. before, 2], Greedy)));
        Assert.That((await two).Usage.CachedPromptTokens, Is.EqualTo(229));
    }

    [Test]
    public async Task The_map_names_the_pages_that_are_cached()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40));
        using (Conversation conversation = session.StartConversation()) await conversation.GenerateAsync(Enumerable.Range(0, 200).Select(i => i % 40).ToArray(), Greedy);
        await UntilPagesAreFree(session);
        KvMap map = await session.GetKvMapAsync();
        Assert.That(map.Cached, Has.Count.EqualTo(map.CachedPages).And.Count.GreaterThan(5).And.Unique.And.All.InRange(0, map.Pages - 1));
    }

    [Test]
    public async Task Rewinding_forgets_what_came_later_and_leaves_forks_alone([Values(0, 1, 20, 21, 22, 100, 229, 230)] int tokens)
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40), new() { PrefixCaching = false });
        using Conversation conversation = session.StartConversation();
        await conversation.GenerateAsync(Enumerable.Range(0, 200).Select(i => i % 40).ToArray(), Greedy);
        using Conversation fork = conversation.Fork();
        List<int> before = [.. conversation.TokenIds];
        conversation.Rewind(tokens);
        Assert.That(conversation.TokenIds, Is.EqualTo(before.Take(tokens)));
        GenerationResult result = await conversation.GenerateAsync(new[] { 3, 5 }, Greedy);
        Assert.That(result.TokenIds, Is.EqualTo(await AloneAsync(session, [.. before.Take(tokens), 3, 5], Greedy)));
        Assert.That(result.Usage.CachedPromptTokens, Is.EqualTo(Math.Min(tokens, 229)));
        Assert.That((await fork.GenerateAsync(new[] { 4 }, Greedy)).TokenIds, Is.EqualTo(await AloneAsync(session, [.. before, 4], Greedy)));
    }

    [Test]
    public async Task It_holds_what_its_reader_has_seen_of_a_turn_that_was_left_or_cancelled([Values] bool cancels)
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = _ => Thread.Sleep(1);
        await using LlmSession session = SessionOver(decoder);
        using Conversation conversation = session.StartConversation();
        await conversation.GenerateAsync(new[] { 1, 2 }, Greedy);
        List<int> expected = [.. conversation.TokenIds, 3];
        using var cancellation = new CancellationTokenSource();
        int seen = 0;
        try
        {
            await foreach (GenerationUpdate update in conversation.StreamAsync(new[] { 3 }, new() { MaxTokens = 500 }, cancellation.Token))
            {
                expected.AddRange(update.TokenIds);
                if (++seen < 40) continue;
                if (cancels) await cancellation.CancelAsync();
                else break;
            }
        }
        catch (OperationCanceledException)
        {
        }
        Assert.That(seen, Is.EqualTo(40));
        Assert.That(conversation.TokenIds, Is.EqualTo(expected));
        Assert.That((await conversation.GenerateAsync(new[] { 4 }, Greedy)).TokenIds, Is.EqualTo(await AloneAsync(session, [.. expected, 4], Greedy)));
    }

    [Test]
    public async Task A_turn_that_fails_is_as_if_it_had_not_been()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        await using LlmSession session = SessionOver(decoder);
        using Conversation conversation = session.StartConversation();
        await conversation.GenerateAsync(new[] { 1, 2 }, Greedy);
        List<int> before = [.. conversation.TokenIds];
        int steps = decoder.Steps;
        decoder.OnForward = _ => { if (decoder.Steps > steps + 5) throw new IOException("the disk is gone"); };
        await Assert.ThrowsAsync<InvalidOperationException>(() => conversation.GenerateAsync(new[] { 3 }, Greedy));
        decoder.OnForward = null;
        Assert.That(conversation.TokenIds, Is.EqualTo(before));
        await Assert.ThrowsAsync<ArgumentException>(() => conversation.GenerateAsync(new[] { 999 }, Greedy));
        await Assert.ThrowsAsync<ContextLengthExceededException>(() => conversation.GenerateAsync(new int[1000], Greedy));
        Assert.That(conversation.TokenIds, Is.EqualTo(before));
        Assert.That((await conversation.GenerateAsync(new[] { 3 }, Greedy)).TokenIds, Is.EqualTo(await AloneAsync(session, [.. before, 3], Greedy)));
    }

    [Test]
    public async Task One_caller_at_a_time()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        await using LlmSession session = SessionOver(decoder);
        Conversation conversation = session.StartConversation();
        await using (IAsyncEnumerator<GenerationUpdate> turn = conversation.StreamAsync(new[] { 1 }, new() { MaxTokens = 500 }).GetAsyncEnumerator())
        {
            Assert.That(await turn.MoveNextAsync());
            await Assert.ThrowsAsync<InvalidOperationException>(() => conversation.GenerateAsync(new[] { 1 }));
            Assert.Throws<InvalidOperationException>(() => conversation.Fork());
            Assert.Throws<InvalidOperationException>(() => conversation.Rewind(0));
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => conversation.Rewind(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => conversation.Rewind(conversation.TokenCount + 1));
        conversation.Rewind(0);
        conversation.Dispose();
        conversation.Dispose();
        Assert.Throws<ObjectDisposedException>(() => conversation.Rewind(0));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => conversation.GenerateAsync(new[] { 1 }));
        await UntilPagesAreFree(session);
    }

    [Test]
    public async Task Conversations_give_their_pages_up_to_others_and_answer_the_same_later()
    {
        // 16 pages of 4 KiB hold 341 tokens of 192 bytes.
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40), new() { KvCacheBytes = 16 << 12, PrefixCaching = false });
        Conversation[] conversations = [.. Enumerable.Range(0, 6).Select(_ => session.StartConversation())];
        for (int turn = 0; turn < 4; turn++)
        {
            foreach (Conversation conversation in conversations)
            {
                int[] expected = [.. conversation.TokenIds, turn, 9, 9];
                Assert.That(
                    (await conversation.GenerateAsync(new[] { turn, 9, 9 }, Greedy)).TokenIds, Is.EqualTo(await AloneAsync(session, expected, Greedy)));
            }
        }
        foreach (Conversation conversation in conversations) conversation.Dispose();
        await UntilPagesAreFree(session);
    }

    [Test]
    public async Task A_forgotten_conversation_gives_its_pages_back()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(40));
        await ForgetAsync(session);
        await Until(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return session.GetStatistics().KvPagesInUse == 0;
        });

        static async Task ForgetAsync(LlmSession session)
        {
            Conversation conversation = session.StartConversation();
            await conversation.GenerateAsync(new[] { 1, 2, 3 }, Greedy);
            Assert.That(session.GetStatistics().KvPagesInUse, Is.GreaterThan(0));
        }
    }

    [Test]
    public async Task A_turn_that_was_abandoned_frees_its_conversation()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        await using LlmSession session = SessionOver(decoder);
        using Conversation conversation = session.StartConversation();
        for (int turn = 0; turn < 3; turn++)
        {
            int[] expected = [.. conversation.TokenIds, turn, .. await AbandonAsync(conversation, new[] { turn }, updates: 1 + (2 * turn))];
            await Until(() =>
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
                return IsFree(conversation);
            });
            Assert.That(conversation.TokenIds, Is.EqualTo(expected), "the prompt and what was read");
            int[] prompt = [.. expected, 7];
            Assert.That((await conversation.GenerateAsync(new[] { 7 }, Greedy)).TokenIds, Is.EqualTo(await AloneAsync(session, prompt, Greedy)));
        }
        conversation.Dispose();
        await UntilPagesAreFree(session);

        static async Task<List<int>> AbandonAsync(Conversation conversation, Prompt prompt, int updates)
        {
            IAsyncEnumerator<GenerationUpdate> turn = conversation.StreamAsync(prompt, new() { MaxTokens = 500 }).GetAsyncEnumerator();
            List<int> read = [];
            for (int i = 0; i < updates; i++)
            {
                Assert.That(await turn.MoveNextAsync());
                read.AddRange(turn.Current.TokenIds);
            }
            return read;
        }

        static bool IsFree(Conversation conversation)
        {
            try
            {
                conversation.Rewind(conversation.TokenCount);
                return true;
            }
            catch (InvalidOperationException)
            {
                return false;
            }
        }
    }

    [Test]
    public async Task A_session_that_is_disposed_ends_its_conversations()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(40);
        decoder.OnForward = _ => Thread.Sleep(1);
        LlmSession session = SessionOver(decoder);
        using Conversation conversation = session.StartConversation(), idle = session.StartConversation();
        await idle.GenerateAsync(new[] { 5 }, Greedy);
        Task<GenerationResult> turn = conversation.GenerateAsync(new[] { 1 }, new() { MaxTokens = 900 });
        await Until(() => session.GetStatistics().GeneratedTokens > 40);
        await session.DisposeAsync();
        Assert.That((await turn).FinishReason, Is.EqualTo(FinishReason.Cancelled));
        Assert.That(conversation.TokenIds, Is.EqualTo(new[] { 1 }.Concat((await turn).TokenIds)));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => idle.GenerateAsync(new[] { 1 }, Greedy));
        Assert.Throws<ObjectDisposedException>(() => session.StartConversation());
        Assert.DoesNotThrow(() => idle.Rewind(0));
    }

    private static async Task<IReadOnlyList<int>> AloneAsync(LlmSession session, IReadOnlyList<int> tokens, GenerationOptions options) =>
        (await session.GenerateAsync(tokens.ToArray(), options)).TokenIds;
}
