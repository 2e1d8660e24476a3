using System.Text;
using Decart.Inference.Tests.Session;
using Microsoft.Extensions.AI;
using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Chat;

/// <summary>Chat clients over the engine and a model that says what the test wants, one byte in each token: where characters, stop sequences, marks and callers' patience end.</summary>
[CancelAfter(60_000)]
internal sealed class ChatStreamTests
{
    private const int Think = 258, EndThink = 259, Call = 260, EndCall = 261;

    private const string Prompt = "?"; // with BOS the two tokens that the scripts begin after

    private static readonly ChatOptions Greedy = new() { Temperature = 0 };

    [TestCase("H\u00E9llo \U0001F600 w\u00F6rld \u65E5\u672C \U0001F469\u200D\U0001F680!")]
    [TestCase("\U0001F600")]
    [TestCase("a\u0301")]
    public async Task Characters_of_several_tokens_arrive_whole(string text)
    {
        await using LlmSession session = Answering(text);
        List<ChatResponseUpdate> updates = await Client(session).GetStreamingResponseAsync("x", Greedy).ToListAsync();
        Assert.That(string.Concat(updates), Is.EqualTo(text));
        Assert.That(updates.SelectMany(update => update.Text.EnumerateRunes()), Has.None.EqualTo(Rune.ReplacementChar), "no half characters");
    }

    [TestCase("one END two", "END", "one ")]
    [TestCase("one ENEND two", "END", "one EN")]
    [TestCase("one EN", "END", "one EN")]
    [TestCase("a\U0001F600b", "\U0001F600", "a")]
    [TestCase("a\U0001F601b", "\U0001F600", "a\U0001F601b")]
    [TestCase("END", "END", "")]
    [TestCase("caf\u00E9 \u00E8", "\u00E8", "caf\u00E9 ")]
    public async Task Stop_sequences_of_several_tokens_end_the_answer_and_their_beginnings_are_said(string text, string stop, string said)
    {
        await using LlmSession session = Answering(text);
        ChatOptions options = new() { Temperature = 0, StopSequences = [stop, "never"] };
        ChatResponse response = await Client(session).GetResponseAsync("x", options);
        List<ChatResponseUpdate> updates = await Client(session).GetStreamingResponseAsync("x", options).ToListAsync();
        Assert.That((response.Text, response.FinishReason), Is.EqualTo((said, (ChatFinishReason?)ChatFinishReason.Stop)));
        Assert.That(string.Concat(updates), Is.EqualTo(said));
    }

    [Test]
    public async Task An_answer_that_the_length_cuts_within_a_character_says_only_whole_ones()
    {
        await using LlmSession session = Answering("ab\U0001F600");
        ChatResponse response = await Client(session).GetResponseAsync("x", new() { Temperature = 0, MaxOutputTokens = 4 });
        Assert.That((response.Text.TrimEnd('\uFFFD'), response.FinishReason, response.Usage!.OutputTokenCount), Is.EqualTo(("ab", (ChatFinishReason?)ChatFinishReason.Length, (long?)4)));
    }

    [Test]
    public async Task Marks_may_be_special_tokens()
    {
        int[] answer =
        [
            Think, .. ByteTokenizer.Bytes("hm \u00E9"), EndThink, .. ByteTokenizer.Bytes("\n\nSo: "), Call, .. ByteTokenizer.Bytes("\n{\"name\": \"f\", \"arguments\": {\"a\": \"\U0001F600\"}}\n"), EndCall, ByteTokenizer.Eos,
        ];
        const string Template = "?{{ '<tool_call></think>' if false and tools }}";
        ByteTokenizer tokenizer = new()
        {
            SpecialTokens = new Dictionary<string, int> { ["<bos>"] = 256, ["<eos>"] = 257, ["<think>"] = Think, ["</think>"] = EndThink, ["<tool_call>"] = Call, ["</tool_call>"] = EndCall },
        };
        await using LlmSession session = SessionOver(FakeDecoder.Scripted(262, promptLength: 2, answer), tokenizer: tokenizer);
        AITool function = AIFunctionFactory.Create((string a) => a, "f");
        ChatResponse response = await session.AsChatClient(ChatTemplate.Parse(Template)).GetResponseAsync("x", new() { Temperature = 0, Tools = [function] });
        AIContent[] contents = [.. response.Messages.Single().Contents];
        Assert.That(string.Concat(contents.OfType<TextReasoningContent>().Select(content => content.Text)), Is.EqualTo("hm \u00E9"));
        Assert.That(response.Text, Is.EqualTo("So: "));
        Assert.That(contents.OfType<FunctionCallContent>().Single().Arguments!["a"]!.ToString(), Is.EqualTo("\U0001F600"));
        Assert.That((response.FinishReason, response.Usage!.ReasoningTokenCount), Is.EqualTo(((ChatFinishReason?)ChatFinishReason.ToolCalls, (long?)6)));
    }

    [Test]
    public async Task A_call_can_be_cancelled_while_it_waits_while_its_prompt_is_read_and_while_it_answers()
    {
        using SemaphoreSlim gate = new(0), entered = new(0);
        FakeDecoder decoder = FakeDecoder.Hashed(258);
        decoder.OnForward = _ =>
        {
            entered.Release();
            gate.Wait();
        };
        await using LlmSession session = SessionOver(decoder, new() { MaxConcurrentSequences = 1 }, new ByteTokenizer());
        IChatClient client = Client(session);
        ChatOptions options = new() { Seed = 1, MaxOutputTokens = 50, RawRepresentationFactory = _ => new GenerationOptions { IgnoreEndOfText = true } };
        using CancellationTokenSource waiting = new(), reading = new(), answering = new();

        Task<ChatResponse> first = client.GetResponseAsync("x", options, reading.Token);
        await entered.WaitAsync();
        Task<ChatResponse> second = client.GetResponseAsync("x", options, waiting.Token);
        await waiting.CancelAsync();
        await reading.CancelAsync();
        gate.Release(1000);
        await Assert.CatchAsync<OperationCanceledException>(() => second);
        await Assert.CatchAsync<OperationCanceledException>(() => first);

        List<ChatResponseUpdate> updates = [];
        await Assert.CatchAsync<OperationCanceledException>(async () =>
        {
            await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync("x", options, answering.Token))
            {
                updates.Add(update);
                if (updates.Count == 5) await answering.CancelAsync();
            }
        });
        Assert.That(updates.Select(update => update.FinishReason), Is.All.Null);
        await UntilPagesAreFree(session);
        Assert.That((await client.GetResponseAsync("x", options)).FinishReason, Is.EqualTo(ChatFinishReason.Length));
    }

    [Test]
    public async Task A_session_that_is_gone_answers_nobody()
    {
        LlmSession session = Answering("Hi");
        IChatClient client = Client(session);
        client.Dispose();
        Assert.That((await client.GetResponseAsync("x", Greedy)).Text, Is.EqualTo("Hi"), "the session is its owner's");
        await session.DisposeAsync();
        await Assert.ThatAsync(() => client.GetResponseAsync("x", Greedy), Throws.InstanceOf<ObjectDisposedException>());
    }

    /// <summary>A new option of a later version of the package must be honoured or refused, too.</summary>
    [Test]
    public void Every_option_is_known()
    {
        string[] known =
        [
            nameof(ChatOptions.AdditionalProperties), nameof(ChatOptions.AllowBackgroundResponses), nameof(ChatOptions.AllowMultipleToolCalls), nameof(ChatOptions.ContinuationToken),
            nameof(ChatOptions.ConversationId), nameof(ChatOptions.FrequencyPenalty), nameof(ChatOptions.Instructions), nameof(ChatOptions.MaxOutputTokens), nameof(ChatOptions.ModelId),
            nameof(ChatOptions.PresencePenalty), nameof(ChatOptions.RawRepresentationFactory), nameof(ChatOptions.Reasoning), nameof(ChatOptions.ResponseFormat), nameof(ChatOptions.Seed),
            nameof(ChatOptions.StopSequences), nameof(ChatOptions.Temperature), nameof(ChatOptions.ToolMode), nameof(ChatOptions.Tools), nameof(ChatOptions.TopK), nameof(ChatOptions.TopP),
        ];
        Assert.That(typeof(ChatOptions).GetProperties().Select(property => property.Name), Is.EquivalentTo(known));
    }

    private static IChatClient Client(LlmSession session) => session.AsChatClient(ChatTemplate.Parse(Prompt));
}
