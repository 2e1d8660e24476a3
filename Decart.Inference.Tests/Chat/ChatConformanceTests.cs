using System.Text;
using System.Text.Json;
using Json.Schema;
using Microsoft.Extensions.AI;
using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Chat;

/// <summary>The contract of <see cref="IChatClient"/> over models as they are loaded: one that this repository ships, one that was trained for chats, a tiny one.</summary>
/// <param name="model">The model's name.</param>
[TestFixture("storyteller")]
[TestFixture("SmolLM2")]
[TestFixture("stories260k")]
[CancelAfter(300_000)]
internal sealed class ChatConformanceTests(string model)
{
    private const string Story = "{% for m in messages %}{{ m.content }}\n{% endfor %}";
    private const string Offers = "{% for t in tools or [] %}{{ t.function.name }} {% endfor %}" + Story;

    private const string Arguments = """
        {"type": "object", "properties": {"city": {"type": "string", "maxLength": 8}, "days": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["city", "days"], "additionalProperties": false}
        """;

    private static readonly Dictionary<string, string> ToolTemplates = new()
    {
        ["Hermes"] = Offers + "{{ '<tool_call>' if false }}",
        ["Qwen3-Coder"] = Offers + "{{ '<tool_call><function=><parameter=>' if false }}",
        ["Llama"] = Offers + "{{ '<|python_tag|>' if false }}",
        ["Mistral"] = Offers + "{{ '[TOOL_CALLS]' if false }}",
        ["Mistral with names"] = Offers + "{{ '[TOOL_CALLS][ARGS]' if false }}",
    };

    private static readonly AITool[] Tools = [Tool("get_weather"), Tool("get_news")];

    private static readonly ChatMessage[] Question = [new(ChatRole.User, "Once upon a time, a little fox ran to the big tree.")];

    private LlmSession _session = null!;
    private ChatTemplate _template = null!;
    private IChatClient _client = null!;

    /// <summary>Room for a call: the tiny vocabularies have short tokens.</summary>
    private int CallTokens => model == "SmolLM2" ? 64 : 100;

    private static IEnumerable<string> Formats => ToolTemplates.Keys;

    [OneTimeSetUp]
    public async Task Load()
    {
        string path = model switch
        {
            "storyteller" => Path.Combine(Fixtures.RepositoryRoot()!, "samples", "models", "storyteller"),
            "SmolLM2" => Fixtures.Path("gguf", "SmolLM2-135M-Instruct-Q4_1.gguf"),
            _ => Fixtures.Path("real", "stories260k"),
        };
        _session = await LlmSession.LoadAsync(path, new() { Device = Device.Cpu });
        _template = _session.ChatTemplate ?? ChatTemplate.Parse(Story, _session.Tokenizer);
        _client = _session.AsChatClient(_template);
    }

    [OneTimeTearDown]
    public async Task Unload()
    {
        _client?.Dispose();
        if (_session is not null) await _session.DisposeAsync();
    }

    private static IEnumerable<TestCaseData> Calls()
    {
        yield return Case("greedy", new() { Temperature = 0 });
        yield return Case("sampled", new() { Seed = 3, Temperature = 1 });
        yield return Case("stopped", new() { Temperature = 0, StopSequences = ["e"] });
        yield return Case("penalised", new() { Seed = 4, FrequencyPenalty = 1, PresencePenalty = 1, TopK = 40, TopP = 0.9f });
        yield return Case("JSON", new() { Seed = 5, ResponseFormat = ChatResponseFormat.Json });
        yield return Case("calls", new() { Seed = 6, Tools = Tools, ToolMode = ChatToolMode.RequireAny });

        static TestCaseData Case(string name, ChatOptions options) => new TestCaseData(options).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Calls))]
    public async Task Both_styles_of_calls_give_the_same(ChatOptions options)
    {
        IChatClient client = options.Tools is null ? _client : ToolClient("Hermes");
        options.MaxOutputTokens ??= options.Tools is null ? 20 : CallTokens;
        ChatResponse whole = await client.GetResponseAsync(Question, options);
        List<ChatResponseUpdate> updates = await client.GetStreamingResponseAsync(Question, options).ToListAsync();
        ChatResponse streamed = updates.ToChatResponse();
        Assert.That(Said(streamed), Is.EqualTo(Said(whole)));
        Assert.That((streamed.FinishReason, streamed.ModelId), Is.EqualTo((whole.FinishReason, whole.ModelId)));
        Assert.That((streamed.Usage!.InputTokenCount, streamed.Usage.OutputTokenCount, streamed.Usage.TotalTokenCount), Is.EqualTo((whole.Usage!.InputTokenCount, whole.Usage.OutputTokenCount, whole.Usage.TotalTokenCount)));
        Assert.That(updates.SkipLast(1).Select(update => update.FinishReason), Is.All.Null);
        Assert.That(updates.SkipLast(1).SelectMany(update => update.Contents).OfType<UsageContent>(), Is.Empty);
        Assert.That(updates.Select(update => update.Text), Has.None.Contains("\uFFFD"));
    }

    private static IEnumerable<TestCaseData> Options()
    {
        yield return Case("Temperature", new() { Temperature = 0 }, new() { Temperature = 0 });
        yield return Case("TopK", new() { TopK = 1 }, new() { TopK = 1 });
        yield return Case("TopP", new() { TopP = 0.01f }, new() { TopP = 0.01f });
        yield return Case("FrequencyPenalty", new() { FrequencyPenalty = -2 }, new() { FrequencyPenalty = -2 });
        yield return Case("PresencePenalty", new() { PresencePenalty = -2 }, new() { PresencePenalty = -2 });
        yield return Case("Seed", new() { Seed = 77 }, new() { Seed = 77 });
        yield return Case("MaxOutputTokens", new() { MaxOutputTokens = 5 }, new() { MaxTokens = 5 });
        yield return Case("StopSequences", new() { StopSequences = ["e"] }, new() { StopSequences = ["e"] });
        yield return Case("MinP", new() { RawRepresentationFactory = _ => new GenerationOptions { MinP = 1 } }, new() { MinP = 1 });
        yield return Case("RepetitionPenalty", new() { RawRepresentationFactory = _ => new GenerationOptions { RepetitionPenalty = 5 } }, new() { RepetitionPenalty = 5 });

        static TestCaseData Case(string name, ChatOptions options, GenerationOptions same) => new TestCaseData(options, same).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Options))]
    public async Task Options_do_what_those_of_the_session_do(ChatOptions options, GenerationOptions same)
    {
        options.MaxOutputTokens ??= 24;
        options.Seed ??= 5;
        same = same with { Seed = same.Seed ?? 5, MaxTokens = Math.Min(same.MaxTokens, 24) };
        Prompt prompt = _template.Encode(Question);
        ChatResponse response = await _client.GetResponseAsync(Question, options);
        GenerationResult expected = await _session.GenerateAsync(prompt, same), without = await _session.GenerateAsync(prompt, new() { Seed = 5, MaxTokens = 24 });
        Assert.That((response.Text, response.Usage!.OutputTokenCount), Is.EqualTo((expected.Text, (long?)expected.TokenIds.Count)));
        Assert.That(expected.TokenIds, Is.Not.EqualTo(without.TokenIds), "the option does something");
    }

    [Test]
    public async Task Instructions_stand_in_the_prompt()
    {
        ChatOptions options = new() { Temperature = 0, MaxOutputTokens = 16, Instructions = "Tell a story about a cat." };
        ChatResponse response = await _client.GetResponseAsync(Question, options);
        options.Instructions = null;
        ChatResponse same = await _client.GetResponseAsync([new(ChatRole.System, "Tell a story about a cat."), .. Question], options);
        Assert.That((response.Text, response.Usage!.InputTokenCount), Is.EqualTo((same.Text, same.Usage!.InputTokenCount)));
    }

    [Test]
    public async Task Sixty_four_calls_at_once_give_what_each_gives_alone()
    {
        ChatOptions[] options =
        [
            new() { Temperature = 0 }, new() { Seed = 1 }, new() { Seed = 2, TopK = 5, StopSequences = ["a"] }, new() { Seed = 3, FrequencyPenalty = 1 },
            new() { Seed = 4, ResponseFormat = ChatResponseFormat.Json }, new() { Seed = 5, TopP = 0.5f }, new() { Temperature = 0, StopSequences = [" t"] }, new() { Seed = 6, Temperature = 2 },
        ];
        foreach (ChatOptions its in options) its.MaxOutputTokens = 6;
        string[][] alone = new string[options.Length][];
        for (int i = 0; i < options.Length; i++) alone[i] = Said(await _client.GetResponseAsync(Question, options[i]));
        ChatResponse[] together = await Task.WhenAll(Enumerable.Range(0, 64).Select(i => Task.Run(async () => i % 2 == 0
            ? await _client.GetResponseAsync(Question, options[i % options.Length])
            : await _client.GetStreamingResponseAsync(Question, options[i % options.Length]).ToChatResponseAsync())));
        Assert.That(together.Select(Said), Is.EqualTo(Enumerable.Range(0, 64).Select(i => alone[i % options.Length])));
        Assert.That(together.Select(response => response.ResponseId), Is.Unique);
        await UntilPagesAreFree(_session);
    }

    [Test]
    public async Task A_call_that_is_cancelled_or_left_ends_and_leaves_nothing_behind()
    {
        ChatOptions options = new() { Seed = 1, MaxOutputTokens = 100, RawRepresentationFactory = _ => new GenerationOptions { IgnoreEndOfText = true } };
        using CancellationTokenSource before = new();
        await before.CancelAsync();
        await Assert.CatchAsync<OperationCanceledException>(() => _client.GetResponseAsync(Question, options, before.Token));
        await Assert.CatchAsync<OperationCanceledException>(async () => await _client.GetStreamingResponseAsync(Question, options, before.Token).ToListAsync());
        foreach (int updates in (int[])[1, 3])
        {
            using CancellationTokenSource cancellation = new();
            int seen = 0;
            await Assert.CatchAsync<OperationCanceledException>(async () =>
            {
                await foreach (ChatResponseUpdate update in _client.GetStreamingResponseAsync(Question, options, cancellation.Token))
                {
                    if (++seen == updates) await cancellation.CancelAsync();
                }
            });
            await foreach (ChatResponseUpdate update in _client.GetStreamingResponseAsync(Question, options)) break;
        }
        using CancellationTokenSource soon = new(TimeSpan.FromMilliseconds(20));
        await Assert.CatchAsync<OperationCanceledException>(() => Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _client.GetResponseAsync(Question, options, soon.Token))));
        await UntilPagesAreFree(_session);
        Assert.That((await _client.GetResponseAsync(Question, new() { MaxOutputTokens = 2 })).Usage!.OutputTokenCount, Is.InRange(1, 2));
    }

    [Test]
    public async Task A_stop_sequence_across_tokens_ends_the_answer_and_is_no_part_of_it()
    {
        Prompt prompt = _template.Encode(Question);
        string text = (await _session.GenerateAsync(prompt, new() { Temperature = 0, MaxTokens = 16 })).Text;
        int boundary = (await _session.GenerateAsync(prompt, new() { Temperature = 0, MaxTokens = 6 })).Text.Length;
        string stop = text.Substring(boundary - 1, 2);
        ChatOptions options = new() { Temperature = 0, MaxOutputTokens = 16, StopSequences = [stop] };
        List<ChatResponseUpdate> updates = await _client.GetStreamingResponseAsync(Question, options).ToListAsync();
        Assert.That(string.Concat(updates), Is.EqualTo(text[..text.IndexOf(stop, StringComparison.Ordinal)]));
        Assert.That(updates[^1].FinishReason, Is.EqualTo(ChatFinishReason.Stop));
    }

    [Test]
    public async Task Characters_across_tokens_arrive_whole()
    {
        const string Text = "\U0001F469\u200D\U0001F680 caf\u00E9 \u65E5\u672C\U0001F389";
        ChatOptions options = new() { RawRepresentationFactory = _ => new GenerationOptions { Grammar = Grammar.Choice(Text) } };
        List<ChatResponseUpdate> updates = await _client.GetStreamingResponseAsync(Question, options).ToListAsync();
        Assert.That(string.Concat(updates), Is.EqualTo(Text));
        Assert.That(updates[^1].Contents.OfType<UsageContent>().Single().Details.OutputTokenCount, Is.GreaterThan(Text.EnumerateRunes().Count()), "tokens are parts of characters");
        Assert.That(updates.SelectMany(update => update.Text.EnumerateRunes()), Has.None.EqualTo(Rune.ReplacementChar), "no half characters");
    }

    [Test]
    public async Task Usage_says_how_much_of_a_growing_conversation_was_known()
    {
        List<ChatMessage> history = [];
        ChatOptions options = new() { Temperature = 0, MaxOutputTokens = 8 };
        long cached = -1;
        for (int turn = 0; turn < 3; turn++)
        {
            history.Add(new(ChatRole.User, string.Concat(Enumerable.Repeat($"The {turn + 2} foxes ran to the big tree. ", 6))));
            ChatResponse response = await _client.GetResponseAsync(history, options);
            UsageDetails usage = response.Usage!;
            Assert.That(usage.InputTokenCount, Is.EqualTo(_template.Encode(history).TokenIds.Length));
            Assert.That(usage.OutputTokenCount, Is.InRange(1, 8));
            Assert.That(usage.TotalTokenCount, Is.EqualTo(usage.InputTokenCount + usage.OutputTokenCount));
            Assert.That(usage.CachedInputTokenCount, Is.GreaterThan(cached).And.LessThan(usage.InputTokenCount!.Value));
            cached = usage.CachedInputTokenCount!.Value;
            history.AddRange(response.Messages);
        }
        Assert.That(cached, Is.Positive);
    }

    [Test]
    public async Task Answers_match_their_format_also_where_the_length_cuts_them()
    {
        const string Schema = """{"type": "object", "properties": {"name": {"type": "string"}, "legs": {"type": "integer", "minimum": 0, "maximum": 8}}, "required": ["name", "legs"], "additionalProperties": false}""";
        var validator = JsonSchema.FromText(Schema);
        for (int maxTokens = 30; maxTokens <= 50; maxTokens += 10)
        {
            ChatOptions options = new() { Seed = maxTokens, Temperature = 1.5f, MaxOutputTokens = maxTokens, ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse(Schema)) };
            ChatResponse response = await _client.GetResponseAsync(Question, options);
            Assert.That(validator.Evaluate(JsonElement.Parse(response.Text)).IsValid, response.Text);
            Assert.That(response.FinishReason, Is.EqualTo(ChatFinishReason.Stop).Or.EqualTo(ChatFinishReason.Length));
            options.ResponseFormat = ChatResponseFormat.Json;
            response = await _client.GetResponseAsync(Question, options);
            Assert.That(JsonElement.Parse(response.Text).ValueKind, Is.EqualTo(JsonValueKind.Object), response.Text);
        }
    }

    [Test]
    public async Task Functions_are_called_as_the_mode_says_with_arguments_that_match([ValueSource(nameof(Formats))] string format)
    {
        IChatClient client = ToolClient(format);
        var validator = JsonSchema.FromText(Arguments);
        for (int seed = 0; seed < 2; seed++)
        {
            ChatOptions options = new() { Seed = seed, MaxOutputTokens = CallTokens, Tools = Tools, ToolMode = ChatToolMode.RequireAny, AllowMultipleToolCalls = seed % 2 == 0 ? null : false };
            ChatResponse any = await client.GetResponseAsync(Question, options);
            FunctionCallContent[] calls = [.. any.Messages.Single().Contents.OfType<FunctionCallContent>()];
            Assert.That(calls, seed % 2 == 0 ? Is.Not.Empty : Has.Length.EqualTo(1), any.Text);
            Assert.That(any.Text, Is.Empty);
            Assert.That(any.FinishReason, Is.EqualTo(ChatFinishReason.ToolCalls).Or.EqualTo(ChatFinishReason.Length));
            foreach (FunctionCallContent call in calls)
            {
                Assert.That(call.Name, Is.EqualTo("get_weather").Or.EqualTo("get_news"));
                Assert.That(validator.Evaluate(JsonSerializer.SerializeToElement(call.Arguments)).IsValid, () => JsonSerializer.Serialize(call.Arguments));
            }
            options.ToolMode = ChatToolMode.RequireSpecific("get_news");
            ChatResponse specific = await client.GetResponseAsync(Question, options);
            Assert.That(specific.Messages.Single().Contents.OfType<FunctionCallContent>().Select(call => call.Name), Is.Not.Empty.And.All.EqualTo("get_news"));
            options.ToolMode = ChatToolMode.Auto;
            options.MaxOutputTokens = 16;
            ChatResponse free = await client.GetResponseAsync(Question, options);
            if (free.FinishReason == ChatFinishReason.ToolCalls) Assert.That(free.Messages.Single().Contents.OfType<FunctionCallContent>(), Is.Not.Empty);
            options.ToolMode = ChatToolMode.None;
            options.MaxOutputTokens = 4;
            ChatResponse none = await client.GetResponseAsync(Question, options);
            Assert.That(none.Messages.Single().Contents.OfType<FunctionCallContent>(), Is.Empty);
            Assert.That(none.Usage!.InputTokenCount, Is.LessThan(any.Usage!.InputTokenCount!.Value), "no functions are offered");
        }
    }

    [Test]
    public async Task Functions_are_invoked_by_the_callers_chain([ValueSource(nameof(Formats))] string format)
    {
        List<string> cities = [];
        AIFunction function = AIFunctionFactory.Create((string city, int days) => Add(city, days), "get_weather");
        using IChatClient chain = ToolClient(format).AsBuilder().UseFunctionInvocation().Build();
        ChatOptions options = new() { Temperature = 0, MaxOutputTokens = CallTokens, Tools = [function], ToolMode = ChatToolMode.RequireAny, AllowMultipleToolCalls = false };
        ChatResponse response = format is "Hermes" or "Llama" ? await chain.GetStreamingResponseAsync(Question, options).ToChatResponseAsync() : await chain.GetResponseAsync(Question, options);
        Assert.That(cities, Is.Not.Empty);
        AIContent[] contents = [.. response.Messages.SelectMany(message => message.Contents)];
        FunctionResultContent result = contents.OfType<FunctionResultContent>().First();
        Assert.That(contents.OfType<FunctionCallContent>().Select(call => call.CallId), Has.Member(result.CallId));
        Assert.That(result.Result!.ToString(), Is.EqualTo("sunny"));
        Assert.That(response.Usage!.OutputTokenCount, Is.GreaterThan(0));

        string Add(string city, int days)
        {
            cities.Add($"{city} {days}");
            return "sunny";
        }
    }

    [Test]
    public async Task What_cannot_be_answered_is_refused_and_the_client_goes_on()
    {
        Assert.That(() => _client.GetStreamingResponseAsync((IEnumerable<ChatMessage>)null!), Throws.ArgumentNullException);
        await Assert.ThatAsync(() => _client.GetResponseAsync((IEnumerable<ChatMessage>)null!), Throws.ArgumentNullException);
        await Assert.ThatAsync(() => _client.GetResponseAsync([Question[0], null!]), Throws.ArgumentNullException);
        await Assert.ThatAsync(() => _client.GetResponseAsync([new(ChatRole.User, [new DataContent(new byte[] { 1 }, "image/png")])]), Throws.InstanceOf<NotSupportedException>());
        await Assert.ThatAsync(() => _client.GetResponseAsync(new string('x', 100_000)), Throws.InstanceOf<ContextLengthExceededException>());
        ChatOptions[] refused =
        [
            new() { MaxOutputTokens = 0 }, new() { Temperature = -1 }, new() { TopP = 2 }, new() { TopK = -1 }, new() { FrequencyPenalty = 3 }, new() { StopSequences = [""] }, new() { StopSequences = [null!] },
            new() { RawRepresentationFactory = _ => "no options" },
        ];
        foreach (ChatOptions options in refused) await Assert.ThatAsync(() => _client.GetResponseAsync(Question, options), Throws.InstanceOf<ArgumentException>());
        await Assert.ThatAsync(() => ToolClient("Hermes").GetResponseAsync(Question, new() { Tools = [null!] }), Throws.InstanceOf<ArgumentException>());
        await Assert.ThatAsync(() => ToolClient("Hermes").GetResponseAsync(Question, new() { Tools = [new HostedWebSearchTool()] }), Throws.InstanceOf<NotSupportedException>());
        await Assert.ThatAsync(() => _client.GetResponseAsync(Question, new() { MaxOutputTokens = 1, ResponseFormat = ChatResponseFormat.Json }), Throws.InstanceOf<GrammarException>(), "no room for any object");
        ChatOptions two = new() { MaxOutputTokens = 2 };
        Assert.That((await _client.GetResponseAsync([new(ChatRole.User, "")], two)).Usage!.OutputTokenCount, Is.InRange(1, 2));
        Assert.That((await _client.GetResponseAsync([new(ChatRole.User, [])], two)).Usage!.OutputTokenCount, Is.InRange(1, 2));
        Assert.That((await _client.GetResponseAsync(Question, two)).Text, Is.Not.Null);
    }

    [Test]
    public void Services_are_the_session_and_what_it_is() => Assert.That(
        (_client.GetService<LlmSession>(), _client.GetService<ILlmSession>(), _client.GetService<ChatTemplate>(), _client.GetService<ChatClientMetadata>()!.DefaultModelId),
        Is.EqualTo((_session, (ILlmSession)_session, _template, Path.GetFileName(_session.Model.Source))));

    private IChatClient ToolClient(string format) => _session.AsChatClient(ChatTemplate.Parse(ToolTemplates[format], _session.Tokenizer));

    /// <summary>What an answer holds, but for the ids of calls.</summary>
    private static string[] Said(ChatResponse response) => [.. response.Messages.SelectMany(message => message.Contents).Select(content => content switch
    {
        FunctionCallContent call => $"{call.Name} {JsonSerializer.Serialize(call.Arguments)}",
        TextReasoningContent thought => $"thought {thought.Text}",
        _ => content.ToString()!,
    }), $"{response.FinishReason}"];

    private static AIFunctionDeclaration Tool(string name) => AIFunctionFactory.CreateDeclaration(name, "d", JsonElement.Parse(Arguments));
}
