using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Session;

/// <summary>What ends a completion: stop sequences, stop tokens, special tokens that stop sequences name; and that the result says which.</summary>
[CancelAfter(30_000)]
public class StopTests
{
    private const int Marker = 258;

    [Test]
    public async Task The_result_and_the_last_update_say_which_sequence_ended_the_text()
    {
        await using LlmSession session = Answering("one two three");
        GenerationOptions options = new() { Temperature = 0, StopSequences = ["three", "two"] };
        GenerationResult result = await session.GenerateAsync("?", options);
        List<GenerationUpdate> updates = await session.StreamAsync("?", options).ToListAsync();
        Assert.That((result.Text, result.FinishReason, result.StopSequence, result.StopTokenId), Is.EqualTo(("one ", FinishReason.Stop, "two", (int?)null)));
        Assert.That((updates[^1].StopSequence, updates[^1].StopTokenId), Is.EqualTo(("two", (int?)null)));
        Assert.That(updates.SkipLast(1).Select(update => update.StopSequence), Is.All.Null);
    }

    [Test]
    public async Task The_end_of_text_token_is_named()
    {
        await using LlmSession session = Answering("Hi");
        GenerationResult ended = await session.GenerateAsync("?", new() { Temperature = 0 });
        GenerationResult cut = await session.GenerateAsync("?", new() { Temperature = 0, MaxTokens = 2 });
        Assert.That((ended.StopTokenId, ended.StopSequence), Is.EqualTo(((int?)ByteTokenizer.Eos, (string?)null)));
        Assert.That((cut.FinishReason, cut.StopTokenId, cut.StopSequence), Is.EqualTo((FinishReason.Length, (int?)null, (string?)null)));
    }

    [Test]
    public async Task A_stop_token_ends_the_completion_without_its_text()
    {
        await using LlmSession session = Answering("a;b");
        GenerationResult result = await session.GenerateAsync("?", new() { Temperature = 0, StopTokenIds = [';', 99] });
        Assert.That((result.Text, result.FinishReason, result.StopTokenId), Is.EqualTo(("a", FinishReason.Stop, (int?)';')));
        Assert.That(result.TokenIds, Is.EqualTo(new[] { 'a', ';' }));
    }

    [Test]
    public async Task Stop_tokens_hold_when_end_of_text_is_ignored_and_without_a_tokenizer()
    {
        await using LlmSession session = Answering("ab");
        GenerationResult result = await session.GenerateAsync("?", new() { Temperature = 0, IgnoreEndOfText = true, StopTokenIds = [ByteTokenizer.Eos] });
        Assert.That((result.Text, result.StopTokenId), Is.EqualTo(("ab", (int?)ByteTokenizer.Eos)));

        await using LlmSession silent = SessionOver(FakeDecoder.Scripted(8, promptLength: 1, 5, 6, 7));
        Assert.That((await silent.GenerateAsync(new[] { 1 }, new() { Temperature = 0, StopTokenIds = [6] })).TokenIds, Is.EqualTo(new[] { 5, 6 }));
    }

    [TestCase(new[] { "<mark>" }, "ab", "<mark>", Marker, Description = "one special token")]
    [TestCase(new[] { "b<mark>" }, "a", "b<mark>", Marker, Description = "text and a special token")]
    [TestCase(new[] { "<mark>\nc" }, "ab", "<mark>\nc", null, Description = "a special token and text")]
    [TestCase(new[] { "b\n" }, "a", "b\n", null, Description = "text with a special token between, which has no text")]
    [TestCase(new[] { "<mark", "k>", "mark" }, "ab\nc", null, ByteTokenizer.Eos, Description = "parts of a name are no token")]
    [TestCase(new[] { "<eos>" }, "ab\nc", "<eos>", ByteTokenizer.Eos, Description = "the token that ends the text anyway")]
    public async Task A_stop_sequence_may_name_special_tokens(string[] stops, string text, string? sequence, int? token)
    {
        await using LlmSession session = AnsweringTokens('a', 'b', Marker, '\n', 'c', ByteTokenizer.Eos);
        GenerationResult result = await session.GenerateAsync("?", new() { Temperature = 0, StopSequences = stops });
        Assert.That((result.Text, result.FinishReason, result.StopSequence, result.StopTokenId), Is.EqualTo((text, FinishReason.Stop, sequence, token)));
    }

    [Test]
    public async Task A_special_tokens_name_written_out_as_text_matches_too()
    {
        await using LlmSession session = Answering("ab<eos>c");
        GenerationResult result = await session.GenerateAsync("?", new() { Temperature = 0, StopSequences = ["<eos>"] });
        Assert.That((result.Text, result.StopSequence, result.StopTokenId), Is.EqualTo(("ab", "<eos>", (int?)null)));
    }

    private static LlmSession AnsweringTokens(params int[] answer) => SessionOver(
        FakeDecoder.Scripted(259, promptLength: 2, answer), tokenizer: new ByteTokenizer { SpecialTokens = new Dictionary<string, int> { ["<eos>"] = ByteTokenizer.Eos, ["<mark>"] = Marker } });
}
