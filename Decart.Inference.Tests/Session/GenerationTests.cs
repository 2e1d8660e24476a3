using System.Text;
using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Session;

/// <summary>What a single request gives: text, tokens, reasons, figures.</summary>
[CancelAfter(30_000)]
public class GenerationTests
{
    [Test]
    public async Task The_end_of_text_token_is_counted_but_not_part_of_the_text()
    {
        await using LlmSession session = Answering("Hi");
        GenerationResult result = await session.GenerateAsync("?", new() { Temperature = 0 });
        Assert.Multiple(() =>
        {
            Assert.That(result.Text, Is.EqualTo("Hi"));
            Assert.That(result.TokenIds, Is.EqualTo(new[] { 'H', 'i', ByteTokenizer.Eos }));
            Assert.That(result.FinishReason, Is.EqualTo(FinishReason.Stop));
            Assert.That((result.Usage.PromptTokens, result.Usage.CachedPromptTokens, result.Usage.CompletionTokens), Is.EqualTo((2, 0, 3)));
        });
    }

    [Test]
    public async Task End_of_text_can_be_ignored()
    {
        await using LlmSession session = Answering("ab");
        GenerationResult result = await session.GenerateAsync("?", new() { Temperature = 0, IgnoreEndOfText = true, MaxTokens = 5 });
        Assert.That(result.Text, Is.EqualTo("abab"));
        Assert.That(result.TokenIds, Has.Count.EqualTo(5));
        Assert.That(result.FinishReason, Is.EqualTo(FinishReason.Length));
    }

    [Test]
    public async Task Without_a_limit_a_completion_has_256_tokens()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(50));
        GenerationResult result = await session.GenerateAsync(new[] { 1 });
        Assert.That(result.TokenIds, Has.Count.EqualTo(256));
    }

    [Test]
    public async Task The_context_ends_a_completion()
    {
        await using LlmSession session = SessionOver(new FakeDecoder(8, (_, logits) => logits[3] = 1) { ContextLength = 10 });
        GenerationResult result = await session.GenerateAsync(new[] { 1, 2, 3 }, new() { MaxTokens = 100 });
        Assert.That(result.TokenIds, Has.Count.EqualTo(7));
        Assert.That(result.FinishReason, Is.EqualTo(FinishReason.Length));
    }

    [Test]
    public async Task A_prompt_beyond_the_context_is_refused()
    {
        await using LlmSession session = SessionOver(new FakeDecoder(8, (_, logits) => logits[3] = 1) { ContextLength = 10 });
        ContextLengthExceededException error = (await Assert.ThrowsAsync<ContextLengthExceededException>(() => session.GenerateAsync(new int[10])))!;
        Assert.That((error.PromptTokens, error.MaxPromptTokens), Is.EqualTo((10, 9)));
        await Assert.ThrowsAsync<ContextLengthExceededException>(() => session.NextTokenLogitsAsync(new int[11]));
        Assert.That(await session.NextTokenLogitsAsync(new int[10]), Is.EqualTo(new float[] { 0, 0, 0, 1, 0, 0, 0, 0 }));
    }

    [Test]
    public async Task An_empty_prompt_or_an_unknown_token_is_refused()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(8));
        await Assert.ThrowsAsync<ArgumentException>(() => session.GenerateAsync(Array.Empty<int>()));
        await Assert.ThrowsAsync<ArgumentException>(() => session.GenerateAsync(default));
        await Assert.ThatAsync(() => session.GenerateAsync(new[] { 1, 8 }), Throws.ArgumentException.With.Message.Contains("token id 8"));
        await Assert.ThatAsync(() => session.GenerateAsync(new[] { -1 }), Throws.ArgumentException.With.Message.Contains("token id -1"));
        Assert.Throws<ArgumentException>(() => session.StreamAsync(new[] { 99 }), "before the enumeration");
    }

    [Test]
    public async Task An_empty_text_is_the_tokens_that_begin_a_text()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Scripted(258, promptLength: 1, 'x', ByteTokenizer.Eos), tokenizer: new ByteTokenizer());
        Assert.That((await session.GenerateAsync("", new() { Temperature = 0 })).Text, Is.EqualTo("x"));
    }

    [Test]
    public async Task Without_a_tokenizer_tokens_work_and_text_says_why_not()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Scripted(8, promptLength: 1, 5, 6));
        GenerationResult result = await session.GenerateAsync(new[] { 1 }, new() { Temperature = 0, MaxTokens = 2 });
        Assert.That(result.TokenIds, Is.EqualTo(new[] { 5, 6 }));
        Assert.That(result.Text, Is.Empty);
        await Assert.ThatAsync(() => session.GenerateAsync("text"), Throws.TypeOf<NotSupportedException>().With.Message.Contains("has no tokenizer"));
        await Assert.ThatAsync(() => session.GenerateAsync(new[] { 1 }, new() { StopSequences = ["."] }), Throws.TypeOf<NotSupportedException>());
        Assert.That(() => session.Tokenizer, Throws.TypeOf<NotSupportedException>());
    }

    [Test]
    public async Task Updates_are_whole_characters_and_add_up_to_the_result()
    {
        const string answer = "naïve 東京 👩‍🚀 end";
        await using LlmSession session = Answering(answer);
        var text = new StringBuilder();
        List<GenerationUpdate> updates = await session.StreamAsync("?", new() { Temperature = 0, StopSequences = ["京!", "🚀🚀", "d."] }).ToListAsync();
        foreach (GenerationUpdate update in updates)
        {
            Assert.That(update.Text, Does.Not.Contain('\uFFFD'));
            Assert.That(update.Text.Length == 0 || !char.IsHighSurrogate(update.Text[^1]));
            text.Append(update.Text);
        }
        GenerationResult result = await session.GenerateAsync("?", new() { Temperature = 0 });
        Assert.Multiple(() =>
        {
            Assert.That(text.ToString(), Is.EqualTo(answer));
            Assert.That(result.Text, Is.EqualTo(answer));
            Assert.That(updates.SelectMany(update => update.TokenIds), Is.EqualTo(result.TokenIds));
            Assert.That(updates.SkipLast(1).All(update => update.FinishReason is null && update.Usage is null));
            Assert.That(updates[^1].FinishReason, Is.EqualTo(FinishReason.Stop));
            Assert.That(updates[^1].Usage!.CompletionTokens, Is.EqualTo(result.TokenIds.Count));
        });
    }

    [TestCase("one two three", new[] { "two" }, "one ")]
    [TestCase("one two three", new[] { "w", "two" }, "one t")]
    [TestCase("aab", new[] { "ab" }, "a")]
    [TestCase("一二三", new[] { "三" }, "一二")]
    [TestCase("one", new[] { "ones" }, "one", Description = "what was held back comes with the end")]
    public async Task A_stop_sequence_ends_the_text_before_it(string answer, string[] stops, string expected)
    {
        await using LlmSession session = Answering(answer);
        GenerationResult result = await session.GenerateAsync("?", new() { Temperature = 0, StopSequences = stops });
        Assert.That(result.Text, Is.EqualTo(expected));
        Assert.That(result.FinishReason, Is.EqualTo(FinishReason.Stop));
    }

    [Test]
    public async Task The_checkpoints_defaults_hold_unless_the_caller_says_otherwise()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(50), defaults: new() { Temperature = 0 });
        GenerationResult greedy = await session.GenerateAsync(new[] { 1 });
        Assert.That(greedy.TokenIds, Is.EqualTo((await session.GenerateAsync(new[] { 1 })).TokenIds));
        Assert.That((await session.GenerateAsync(new[] { 1 }, new() { Temperature = 1 })).TokenIds, Is.Not.EqualTo(greedy.TokenIds));
    }

    [Test]
    public async Task Log_probabilities_come_with_each_token()
    {
        await using LlmSession session = SessionOver(new FakeDecoder(4, (_, logits) => new float[] { 0, 2, 1, -1 }.CopyTo(logits, 0)));
        var bias = new Dictionary<int, float> { [3] = 100 };
        GenerationResult result = await session.GenerateAsync(new[] { 1 }, new() { Temperature = 0, MaxTokens = 2, TopLogprobs = 2, LogitBias = bias });
        float logSum = MathF.Log(1 + MathF.Exp(2) + MathF.Exp(1) + MathF.Exp(-1));
        Assert.That(result.Logprobs, Has.Count.EqualTo(2));
        TokenLogprobs first = result.Logprobs![0];
        Assert.Multiple(() =>
        {
            Assert.That(first.TokenId, Is.EqualTo(3));
            Assert.That(first.Logprob, Is.EqualTo(-1 - logSum).Within(1e-6), "of the model's distribution, without the bias");
            Assert.That(first.Top.Select(entry => entry.TokenId), Is.EqualTo(new[] { 1, 2 }));
            Assert.That(first.Top[0].Logprob, Is.EqualTo(2 - logSum).Within(1e-6));
        });
    }

    [Test]
    public async Task Penalties_see_the_prompt_and_what_has_been_generated()
    {
        await using LlmSession session = SessionOver(new FakeDecoder(5, (_, logits) => new float[] { 1.0f, 1.6f, 1.9f, 1.8f, 1.7f }.CopyTo(logits, 0)));
        GenerationOptions greedy = new() { Temperature = 0, MaxTokens = 5 };
        GenerationResult repetition = await session.GenerateAsync(new[] { 2, 4 }, greedy with { RepetitionPenalty = 1.5f });
        GenerationResult presence = await session.GenerateAsync(new[] { 2, 4 }, greedy with { PresencePenalty = 0.25f });
        GenerationResult frequency = await session.GenerateAsync(new[] { 2, 4 }, greedy with { FrequencyPenalty = 0.25f });
        Assert.That(repetition.TokenIds, Is.EqualTo(new[] { 3, 1, 2, 2, 2 }));
        Assert.That(presence.TokenIds, Is.EqualTo(new[] { 2, 3, 4, 2, 2 }));
        Assert.That(frequency.TokenIds, Is.EqualTo(new[] { 2, 3, 4, 2, 1 }));
    }

    [Test]
    public async Task Times_are_measured_from_the_request_and_between_tokens()
    {
        FakeDecoder decoder = FakeDecoder.Hashed(8);
        decoder.OnForward = _ => Thread.Sleep(20);
        await using LlmSession session = SessionOver(decoder);
        Usage usage = (await session.GenerateAsync(new[] { 1 }, new() { MaxTokens = 5 })).Usage;
        Assert.That(usage.TimeToFirstToken.TotalMilliseconds, Is.InRange(19, 2000));
        Assert.That(usage.TimePerOutputToken.TotalMilliseconds, Is.InRange(19, 2000));
        Assert.That((await session.GenerateAsync(new[] { 1 }, new() { MaxTokens = 1 })).Usage.TimePerOutputToken, Is.EqualTo(TimeSpan.Zero));
    }
}
