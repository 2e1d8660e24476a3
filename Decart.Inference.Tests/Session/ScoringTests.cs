using Decart.Inference.Sampling;
using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Session;

/// <summary>Prompts are scored as their tokens would be when they are generated, whatever else is computed and however memory is divided.</summary>
[CancelAfter(60_000)]
public class ScoringTests
{
    private const int Vocabulary = 40;

    private static readonly LlmSessionOptions Narrow = new() { MaxConcurrentSequences = 3, MaxBatchTokens = 7 };

    [Test]
    public async Task Every_token_has_the_log_probability_that_its_logits_give_it()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(Vocabulary), Narrow);
        int[] prompt = Prompt(33);
        IReadOnlyList<TokenLogprobs> scores = await session.ScoreAsync(prompt, topLogprobs: 3);
        Assert.That(scores, Has.Count.EqualTo(32), "nothing stands before the first");
        Sampler sampler = new(Vocabulary);
        for (int i = 0; i < scores.Count; i++)
        {
            float[] logits = await session.NextTokenLogitsAsync(prompt[..(i + 1)]);
            Assert.That(scores[i], Is.EqualTo(sampler.Logprobs(prompt[i + 1], logits, 3)), "to the last bit");
            double sum = logits.Sum(logit => Math.Exp(logit));
            Assert.That(scores[i].Logprob, Is.EqualTo(Math.Log(Math.Exp(logits[prompt[i + 1]]) / sum)).Within(1e-5));
        }
        Assert.That((await session.ScoreAsync(prompt)).Select(score => score.Top.Count), Is.All.Zero);
    }

    [Test]
    public async Task A_completion_is_scored_as_it_was_generated()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(Vocabulary));
        int[] prompt = Prompt(9);
        GenerationResult result = await session.GenerateAsync(prompt, new() { Seed = 5, MaxTokens = 30, TopLogprobs = 2 });
        IReadOnlyList<TokenLogprobs> scores = await session.ScoreAsync((int[])[.. prompt, .. result.TokenIds], topLogprobs: 2);
        Assert.That(scores.Skip(prompt.Length - 1), Is.EqualTo(result.Logprobs));
    }

    [TestCase(1, 1)]
    [TestCase(1, 5)]
    [TestCase(3, 16)]
    [TestCase(32, 512)]
    public async Task Chunks_and_batches_change_no_bit(int sequences, int batchTokens)
    {
        int[][] prompts = [.. Enumerable.Range(2, 60).Select(i => Prompt(2 + (i * 7 % 50), i))];
        List<IReadOnlyList<TokenLogprobs>> alone = [];
        await using (LlmSession session = SessionOver(FakeDecoder.Hashed(Vocabulary), new() { PrefixCaching = false }))
        {
            foreach (int[] prompt in prompts) alone.Add(await session.ScoreAsync(prompt, 1));
        }
        await using LlmSession many = SessionOver(FakeDecoder.Hashed(Vocabulary), new() { MaxConcurrentSequences = sequences, MaxBatchTokens = batchTokens });
        Assert.That(await Task.WhenAll(prompts.Select(prompt => many.ScoreAsync(prompt, 1))), Is.EqualTo(alone));
        Assert.That(await many.ScoreAsync(prompts[0], 1), Is.EqualTo(alone[0]), "also where its pages are cached");
        await UntilPagesAreFree(many);
    }

    [Test]
    public async Task Sixty_four_calls_share_steps_and_memory_with_completions_and_have_the_bits_that_they_have_alone([Values] bool prefixCaching)
    {
        const int Calls = 64;
        GenerationOptions options = new() { Seed = 3, MaxTokens = 20, TopLogprobs = 1 };
        EmbeddingOptions last = new() { Pooling = EmbeddingPooling.LastToken };
        List<object> alone = [], together = [];
        await using (LlmSession session = SessionOver(FakeDecoder.Hashed(Vocabulary), new() { PrefixCaching = false }))
        {
            for (int i = 0; i < Calls; i++) alone.Add(await Call(session, i));
        }
        LlmSessionOptions tight = new() { MaxConcurrentSequences = 8, MaxBatchTokens = 24, KvCacheBytes = 6 << 12, PrefixCaching = prefixCaching };
        await using LlmSession many = SessionOver(FakeDecoder.Hashed(Vocabulary), tight);
        for (int round = 0; round < 2; round++)
        {
            together = [.. await Task.WhenAll(Enumerable.Range(0, Calls).Select(i => Task.Run(() => Call(many, i))))];
            Assert.That(together, Is.EqualTo(alone));
        }
        await UntilPagesAreFree(many);

        async Task<object> Call(LlmSession session, int i)
        {
            int[] prompt = Prompt(2 + (i * 13 % 60), i % 7);
            return (i % 4) switch
            {
                0 => (await session.GenerateAsync(prompt, options)).Logprobs!,
                1 => await session.ScoreAsync(prompt, 2),
                2 => await session.EmbedAsync(prompt),
                _ => await session.EmbedAsync(prompt, last),
            };
        }
    }

    /// <summary>Eight pages of 21 tokens: the completion grows into what the other request holds when that is half done.</summary>
    [Test]
    public async Task What_gives_its_pages_up_goes_on_where_it_was([Values("score", "mean", "last")] string kind, [Values] bool prefixCaching)
    {
        LlmSessionOptions options = new() { MaxConcurrentSequences = 2, MaxBatchTokens = 2, KvCacheBytes = 8 << 12, PrefixCaching = prefixCaching };
        using ManualResetEventSlim gate = new();
        FakeDecoder decoder = FakeDecoder.Hashed(Vocabulary);
        decoder.OnForward = _ => gate.Wait();
        await using LlmSession roomy = SessionOver(FakeDecoder.Hashed(Vocabulary)), tight = SessionOver(decoder, options);
        Task<GenerationResult> completion = tight.GenerateAsync(Prompt(40, seed: 2), new() { Priority = 1, MaxTokens = 50, Seed = 1 });
        Task<object> found = Call(tight);
        gate.Set();
        Assert.That(await found, Is.EqualTo(await Call(roomy)));
        Assert.That((await completion).TokenIds, Has.Count.EqualTo(50));
        SessionStatistics statistics = tight.GetStatistics();
        Assert.That((statistics.Preemptions, statistics.PrefixHitTokens > 0), Is.EqualTo((1, prefixCaching)), "what it had read of itself is cached");
        await UntilPagesAreFree(tight);

        async Task<object> Call(LlmSession session) => kind switch
        {
            "score" => await session.ScoreAsync(Prompt(84), 2),
            "mean" => await session.EmbedAsync(Prompt(84)),
            _ => await session.EmbedAsync(Prompt(84), new() { Pooling = EmbeddingPooling.LastToken }),
        };
    }

    [Test]
    public async Task What_scoring_has_stored_serves_completions_but_scores_need_every_token()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(Vocabulary));
        int[] prompt = Prompt(100);
        await session.ScoreAsync(prompt);
        await session.ScoreAsync(prompt);
        Assert.That(session.GetStatistics().PrefixHitTokens, Is.Zero);
        Assert.That(session.GetStatistics().PromptTokens, Is.EqualTo(198));
        await session.GenerateAsync(prompt, new() { MaxTokens = 1 });
        Assert.That(session.GetStatistics().PrefixHitTokens, Is.GreaterThan(60));
        Assert.That(session.GetStatistics().GeneratedTokens, Is.EqualTo(1));
    }

    [Test]
    public async Task Logits_are_computed_in_groups_of_few_rows()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(Vocabulary);
        int groups = 0;
        decoder.OnComputeLogits = () => groups++;
        await using LlmSession session = SessionOver(decoder);
        await session.ScoreAsync(Prompt(201));
        Assert.That(groups, Is.EqualTo(200 / decoder.MaxBatchSequences + 1), "the model checks that none is larger");
    }

    [Test]
    public async Task A_prompt_of_one_token_has_no_scores_and_costs_nothing()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(Vocabulary);
        await using LlmSession session = SessionOver(decoder);
        Assert.That(await session.ScoreAsync(new[] { 1 }), Is.Empty);
        Assert.That(decoder.Steps, Is.Zero);
    }

    [Test]
    public async Task What_cannot_be_scored_is_refused()
    {
        LlmSession session = SessionOver(FakeDecoder.Hashed(Vocabulary, contextLength: 50));
        await Assert.ThatAsync(() => session.ScoreAsync(default), Throws.ArgumentException.With.Message.Contains("empty"));
        await Assert.ThatAsync(() => session.ScoreAsync(new[] { 1, Vocabulary }), Throws.ArgumentException.With.Message.Contains("token id 40"));
        await Assert.ThatAsync(() => session.ScoreAsync(new[] { 1 }, -1), Throws.TypeOf<ArgumentOutOfRangeException>());
        await Assert.ThatAsync(() => session.ScoreAsync(new[] { 1 }, 21), Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("0 to 20"));
        await Assert.ThatAsync(() => session.ScoreAsync(Prompt(51)), Throws.TypeOf<ContextLengthExceededException>());
        await Assert.ThatAsync(() => session.ScoreAsync("text"), Throws.TypeOf<NotSupportedException>());
        Assert.That(() => session.ScoreAsync((string)null!), Throws.ArgumentNullException);
        Assert.That(await session.ScoreAsync(Prompt(50)), Has.Count.EqualTo(49));
        await Assert.CatchAsync<OperationCanceledException>(() => session.ScoreAsync(Prompt(9), 0, new CancellationToken(canceled: true)));
        await session.DisposeAsync();
        await Assert.ThatAsync(() => session.ScoreAsync(Prompt(9)), Throws.TypeOf<ObjectDisposedException>());
        await Assert.ThatAsync(() => session.ScoreAsync(Prompt(1)), Throws.TypeOf<ObjectDisposedException>());
    }

    [TestCase(float.NaN)]
    [TestCase(float.PositiveInfinity)]
    public async Task Logits_that_are_no_numbers_fail_their_own_request_only(float value)
    {
        FakeDecoder decoder = new(Vocabulary, (tokens, logits) => logits[3] = tokens[^1] == 13 ? value : 1);
        await using LlmSession session = SessionOver(decoder);
        Task<IReadOnlyList<TokenLogprobs>> good = session.ScoreAsync(Enumerable.Repeat(5, 30).ToArray());
        await Assert.ThatAsync(() => session.ScoreAsync(new[] { 5, 5, 13, 5 }), Throws.InvalidOperationException.With.Message.Contains("damaged"));
        Assert.That((await good).Select(score => score.Logprob), Is.All.EqualTo(-Math.Log(Vocabulary - 1 + Math.E)).Within(1e-5));
        Assert.That(await session.ScoreAsync(new[] { 5, 5, 13 }), Has.Count.EqualTo(2), "what would follow the last token is not asked");
        await UntilPagesAreFree(session);
    }

    [Test]
    public async Task A_decoder_that_fails_to_give_logits_fails_those_that_it_gives_none()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(Vocabulary);
        int calls = 0;
        decoder.OnComputeLogits = () =>
        {
            if (calls++ == 0) throw new IOException("out of order");
        };
        await using LlmSession session = SessionOver(decoder);
        await Assert.ThatAsync(() => session.ScoreAsync(Prompt(9)), Throws.InvalidOperationException.With.Message.Contains("out of order"));
        Assert.That(await session.ScoreAsync(Prompt(9)), Has.Count.EqualTo(8));
        await UntilPagesAreFree(session);
    }

    [Test]
    public async Task Cancellation_and_disposal_end_what_is_being_scored()
    {
        using ManualResetEventSlim gate = new(), entered = new();
        FakeDecoder decoder = FakeDecoder.Hashed(Vocabulary);
        decoder.OnForward = _ =>
        {
            entered.Set();
            gate.Wait();
        };
        LlmSession session = SessionOver(decoder, Narrow);
        using CancellationTokenSource cancellation = new();
        Task<IReadOnlyList<TokenLogprobs>> cancelled = session.ScoreAsync(Prompt(30), 0, cancellation.Token), running = session.ScoreAsync(Prompt(30));
        Task<float[]> embedding = session.EmbedAsync(Prompt(30));
        entered.Wait();
        await cancellation.CancelAsync();
        await Assert.CatchAsync<OperationCanceledException>(() => cancelled);
        Task disposal = session.DisposeAsync().AsTask();
        gate.Set();
        await disposal;
        await Assert.ThatAsync(() => running, Throws.TypeOf<ObjectDisposedException>());
        await Assert.ThatAsync(() => embedding, Throws.TypeOf<ObjectDisposedException>());
    }

    private static int[] Prompt(int length, int seed = 1) => [.. Enumerable.Range(0, length).Select(i => ((i * i) + (seed * 31) + i) % Vocabulary)];
}
