using System.Text.Json;
using Microsoft.Extensions.AI;
using static Decart.Inference.Tests.Chat.ShortTemplates;

namespace Decart.Inference.Tests.Chat;

/// <summary>The contract of chat clients: every option honoured or refused, both styles of calls with the same answer.</summary>
public class ChatClientTests
{
    private const string Thinking = Plain + "{{ '<think>\n\n</think>' if enable_thinking is defined and enable_thinking is false }}{{ reasoning_effort }}";

    [Test]
    public async Task An_answer_is_the_same_in_both_styles()
    {
        FakeSession session = new(Plain, "Hello \U0001F600, world ");
        using IChatClient client = session.AsChatClient();
        ChatResponse response = await client.GetResponseAsync("Hi");
        Assert.That((response.Text, response.FinishReason, response.ModelId), Is.EqualTo(("Hello \U0001F600, world ", (ChatFinishReason?)ChatFinishReason.Stop, "fake")));
        Assert.That(response.Messages.Single().Role, Is.EqualTo(ChatRole.Assistant));
        Assert.That(response.ResponseId, Is.Not.Empty);
        UsageDetails usage = response.Usage!;
        Assert.That((usage.InputTokenCount, usage.CachedInputTokenCount, usage.OutputTokenCount, usage.TotalTokenCount), Is.EqualTo(((long?)10, (long?)4, (long?)16, (long?)26)));
        List<ChatResponseUpdate> updates = await client.GetStreamingResponseAsync("Hi").ToListAsync();
        Assert.That(string.Concat(updates), Is.EqualTo(response.Text));
        Assert.That(updates, Has.Count.GreaterThan(5));
        Assert.That(updates.Select(update => update.ResponseId).Distinct().Count(), Is.EqualTo(1));
        Assert.That(session.Requests.Select(request => request.Prompt), Is.All.EqualTo("[user]Hi[assistant]"));
        Assert.That(session.Requests[0].Options.MaxTokens, Is.EqualTo(1000), "as long as the context is");
    }

    [Test]
    public async Task Options_reach_the_session()
    {
        FakeSession session = new(Plain, "x");
        ChatOptions options = new()
        {
            Temperature = 0.5f,
            TopP = 0.9f,
            TopK = 7,
            FrequencyPenalty = 0.1f,
            PresencePenalty = 0.2f,
            Seed = 42,
            MaxOutputTokens = 11,
            StopSequences = ["END"],
            Instructions = "Be terse.",
            ModelId = "fake",
            ResponseFormat = ChatResponseFormat.Text,
            ToolMode = ChatToolMode.Auto,
            RawRepresentationFactory = _ => new GenerationOptions { MinP = 0.05f, StopSequences = ["STOP"], Temperature = 1, RepetitionPenalty = 1.1f, MaxTokens = 3 },
        };
        await session.AsChatClient().GetResponseAsync([new(ChatRole.System, "S"), new(ChatRole.User, "U")], options);
        (string prompt, GenerationOptions used) = session.Requests.Single();
        Assert.That(prompt, Is.EqualTo("[system]Be terse.\n\nS[user]U[assistant]"));
        GenerationOptions expected = new()
        {
            Temperature = 0.5f,
            TopP = 0.9f,
            TopK = 7,
            FrequencyPenalty = 0.1f,
            PresencePenalty = 0.2f,
            Seed = 42,
            MaxTokens = 11,
            MinP = 0.05f,
            RepetitionPenalty = 1.1f,
            StopSequences = ["STOP", "END"],
            WrittenTokens = used.WrittenTokens,
            Operation = "chat",
        };
        Assert.That(used, Is.EqualTo(expected));
        await session.AsChatClient().GetResponseAsync("U", new ChatOptions { Instructions = "I" });
        Assert.That(session.Requests[^1].Prompt, Is.EqualTo("[system]I[user]U[assistant]"));
    }

    private static IEnumerable<TestCaseData> Refused()
    {
        yield return Case("ConversationId", new() { ConversationId = "c" });
        yield return Case("ModelId", new() { ModelId = "gpt" });
        yield return Case("AllowBackgroundResponses", new() { AllowBackgroundResponses = true });
        yield return Case("Summary", new() { Reasoning = new() { Output = ReasoningOutput.Summary } });
        yield return Case("Effort", new() { Reasoning = new() { Effort = ReasoningEffort.High } });
        yield return Case("AdditionalProperties", new() { AdditionalProperties = new() { ["top_a"] = 1 } });
        yield return Case("Tools that the template ignores", new() { Tools = [Tool("f")] });

        static TestCaseData Case(string name, ChatOptions options) => new TestCaseData(options).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Refused))]
    public void What_cannot_be_done_is_refused(ChatOptions options)
    {
        IChatClient client = new FakeSession(Plain, "x").AsChatClient();
        Assert.That(async () => await client.GetResponseAsync("U", options), Throws.TypeOf<NotSupportedException>());
        Assert.That(async () => await client.GetStreamingResponseAsync("U", options).ToListAsync(), Throws.TypeOf<NotSupportedException>());
    }

    [TestCase(FinishReason.Length, "length")]
    [TestCase(FinishReason.Cancelled, "cancelled")]
    [TestCase(FinishReason.Stop, "stop")]
    public async Task The_finish_reason_is_said(FinishReason reason, string expected)
    {
        ChatResponse response = await new FakeSession(Plain, "x") { Ends = reason }.AsChatClient().GetResponseAsync("U");
        Assert.That(response.FinishReason!.Value.Value, Is.EqualTo(expected));
    }

    [Test]
    public async Task Response_formats_are_grammars()
    {
        FakeSession session = new(Plain + "{{ '</think>' if false }}", "{}");
        IChatClient client = session.AsChatClient();
        await client.GetResponseAsync("U", new() { ResponseFormat = ChatResponseFormat.Json });
        await client.GetResponseAsync("U", new() { ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse("""{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}""")) });
        string[] answers = ["{}", "{\"n\": 1}", "Hello", "[1]", "<think>Hm: {</think>\n\n{\"n\": 1}"];
        Assert.That(answers.Select(session.Requests[0].Options.Grammar!.IsMatch), Is.EqualTo(new[] { true, true, false, false, true }));
        Assert.That(answers.Select(session.Requests[1].Options.Grammar!.IsMatch), Is.EqualTo(new[] { false, true, false, false, true }));
        ChatOptions both = new() { ResponseFormat = ChatResponseFormat.Json, RawRepresentationFactory = _ => new GenerationOptions { Grammar = Grammar.Json() } };
        Assert.That(async () => await client.GetResponseAsync("U", both), Throws.ArgumentException);
        await client.GetResponseAsync("U", new() { RawRepresentationFactory = _ => new GenerationOptions { Grammar = Grammar.Choice("a") } });
        Assert.That(session.Requests[^1].Options.Grammar, Is.EqualTo(Grammar.Choice("a")));
        FakeSession thinking = new(Plain + "<think>\n{{ '</think>' if false }}", "x");
        await thinking.AsChatClient().GetResponseAsync("U", new() { ResponseFormat = ChatResponseFormat.Json });
        Assert.That(answers.Append("Hm.\n</think>\n{}").Select(thinking.Requests[0].Options.Grammar!.IsMatch), Is.EqualTo(new[] { false, false, false, false, true, true }));
    }

    [TestCase("<think>\nI see.\n</think>\n\nYes.", "I see.", "Yes.")]
    [TestCase("Yes.", "", "Yes.")]
    [TestCase("<think>I see", "I see", "")]
    [TestCase("[THINK]I see[/THINK]Yes.", "I see", "Yes.")]
    public async Task Thoughts_are_reasoning(string answer, string thought, string text)
    {
        ChatResponse response = await new FakeSession(Plain, answer).AsChatClient().GetResponseAsync("U");
        Assert.That((Thought(response), response.Text), Is.EqualTo((thought, text)));
        Assert.That(response.Usage!.ReasoningTokenCount > 0, Is.EqualTo(thought.Length > 0));
        response = await new FakeSession(Plain, answer).AsChatClient().GetResponseAsync("U", new() { Reasoning = new() { Output = ReasoningOutput.None } });
        Assert.That((Thought(response), response.Text), Is.EqualTo(("", text)));
        response = await new FakeSession(Plain + "<think>\n", "I see.\n</think>\n\nYes.").AsChatClient().GetResponseAsync("U");
        Assert.That((Thought(response), response.Text), Is.EqualTo(("I see.", "Yes.")), "the template has begun the thought");
    }

    [Test]
    public async Task Effort_and_additional_properties_are_variables_of_the_template()
    {
        FakeSession session = new(Thinking, "x");
        await session.AsChatClient().GetResponseAsync("U", new() { Reasoning = new() { Effort = ReasoningEffort.None } });
        await session.AsChatClient().GetResponseAsync("U", new() { Reasoning = new() { Effort = ReasoningEffort.Low } });
        await session.AsChatClient().GetResponseAsync("U", new() { AdditionalProperties = new() { ["enable_thinking"] = false } });
        Assert.That(session.Requests.Select(request => request.Prompt[18..]), Is.EqualTo(new[] { "<think>\n\n</think>", "low", "<think>\n\n</think>" }));
    }

    [Test]
    public async Task Sixty_four_calls_at_once_get_their_own_answers()
    {
        IChatClient client = new FakeSession(Hermes, "<think>a</think>b <tool_call>{\"name\": \"now\"}</tool_call>").AsChatClient();
        ChatResponse[] responses = await Task.WhenAll(Enumerable.Range(0, 64).Select(i => client.GetResponseAsync($"{i}", new() { Tools = Tools })));
        Assert.That(responses.Select(response => (response.Text, response.FinishReason)), Is.All.EqualTo(("b ", (ChatFinishReason?)ChatFinishReason.ToolCalls)));
        Assert.That(responses.Select(response => response.ResponseId), Is.Unique);
    }

    [Test]
    public void A_cancelled_call_ends()
    {
        using CancellationTokenSource cancellation = new();
        IChatClient client = new FakeSession(Plain, new string('x', 100)).AsChatClient();
        Assert.That(
            async () =>
            {
                await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync("U", cancellationToken: cancellation.Token)) await cancellation.CancelAsync();
            },
            Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void Services_are_the_session_the_template_and_the_metadata()
    {
        FakeSession session = new(Plain, "x");
        IChatClient client = session.AsChatClient();
        Assert.That(client.GetService<ILlmSession>(), Is.SameAs(session));
        Assert.That(client.GetService<ChatTemplate>(), Is.SameAs(session.ChatTemplate));
        Assert.That(client.GetService<IChatClient>(), Is.SameAs(client));
        Assert.That((client.GetService<ChatClientMetadata>()!.ProviderName, client.GetService<ChatClientMetadata>()!.DefaultModelId), Is.EqualTo(("decart.inference", "fake")));
        Assert.That((client.GetService(typeof(ILlmSession), "key"), client.GetService<string>()), Is.EqualTo(((object?)null, (string?)null)));
    }

    [Test]
    [NeedsFixtures]
    public async Task A_real_model_answers_and_reuses_what_calls_have_in_common()
    {
        await using LlmSession session = await LlmSession.LoadAsync(Fixtures.Path("gguf", "SmolLM2-135M-Instruct-Q4_1.gguf"), new() { Device = Device.Cpu });
        IChatClient client = session.AsChatClient();
        List<ChatMessage> history = [new(ChatRole.User, "What is gravity?")];
        ChatOptions options = new() { Temperature = 0, MaxOutputTokens = 40 };
        ChatResponse first = await client.GetResponseAsync(history, options);
        Assert.That(first.Text, Does.StartWith("Gravity is a fundamental concept in physics that describes the curvature of spacetime"));
        Assert.That(first.FinishReason, Is.EqualTo(ChatFinishReason.Length));
        history.AddRange(first.Messages);
        history.Add(new(ChatRole.User, "And light?"));
        ChatResponse second = await client.GetResponseAsync(history, options);
        Assert.That(second.Usage!.CachedInputTokenCount, Is.GreaterThan(0));
        Assert.That(second.Text, Is.Not.Empty);
        options.ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse("""{"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}"""));
        ChatResponse structured = await client.GetResponseAsync(history, options);
        Assert.That(JsonElement.Parse(structured.Text).GetProperty("answer").ValueKind, Is.EqualTo(JsonValueKind.String), structured.Text);
    }

    private static string Thought(ChatResponse response) => string.Concat(response.Messages.SelectMany(message => message.Contents).OfType<TextReasoningContent>().Select(content => content.Text));
}
