using System.Text;
using System.Text.Json;
using Decart.Inference.Tests.Session;
using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Grammars;

/// <summary>Completions under a grammar, over a model whose logits look random: whatever it likes to say, the text has the form.</summary>
[CancelAfter(120_000)]
internal sealed class GrammarSessionTests
{
    private const string Schema = """
        {
          "type": "object",
          "properties": {
            "name": { "type": "string", "maxLength": 12 },
            "kind": { "enum": ["cat", "dog"] },
            "legs": { "type": "integer", "minimum": 0, "maximum": 8 },
            "tags": { "type": "array", "items": { "type": "string" } },
            "parent": { "$ref": "#" }
          },
          "required": ["name", "kind"],
          "additionalProperties": false
        }
        """;

    private static readonly Dictionary<string, Grammar> Grammars = new()
    {
        ["json"] = Grammar.Json(),
        ["object"] = Grammar.JsonObject(),
        ["schema"] = Grammar.JsonSchema(Schema),
        ["regex"] = Grammar.Regex("[a-zé日]{3,40}(, [A-Z][a-z]*)*\\.?"),
        ["choice"] = Grammar.Choice("yes", "no", "perhaps not"),
    };

    [Test]
    public async Task Every_text_has_the_form_whatever_its_length([ValueSource(nameof(Names))] string name, [Values(0f, 1f, 100f)] float temperature)
    {
        await using LlmSession session = Open();
        Grammar grammar = Grammars[name];
        for (int maxTokens = 40; maxTokens <= 120; maxTokens += 7)
        {
            GenerationOptions options = new() { Grammar = grammar, Temperature = temperature, MaxTokens = maxTokens, Seed = maxTokens };
            GenerationResult result = await session.GenerateAsync("Say" + maxTokens, options);
            Assert.That(grammar.IsMatch(result.Text), result.Text);
            if (name is "json" or "object" or "schema") using (JsonDocument.Parse(result.Text)) { }
            if (result.FinishReason != FinishReason.Stop) Assert.That((result.FinishReason, result.TokenIds.Count), Is.EqualTo((FinishReason.Length, maxTokens)));
        }
    }

    [Test]
    public async Task As_many_tokens_as_the_shortest_text_has_are_enough_and_fewer_are_refused()
    {
        await using LlmSession session = Open();
        Grammar grammar = Grammar.JsonSchema("""{"type":"object","properties":{"a":{"type":"array","minItems":3,"items":{"type":"boolean"}}},"required":["a"]}""");
        int shortest = Encoding.UTF8.GetByteCount("""{"a":[true,true,true]}""");
        for (int seed = 0; seed < 20; seed++)
        {
            GenerationResult result = await session.GenerateAsync("?", new() { Grammar = grammar, MaxTokens = shortest, Temperature = 100, Seed = seed });
            Assert.That(result.Text, Is.EqualTo("""{"a":[true,true,true]}"""));
            Assert.That(result.FinishReason, Is.EqualTo(FinishReason.Stop), "nothing is missing");
        }
        await Assert.ThatAsync(
            () => session.GenerateAsync("?", new() { Grammar = grammar, MaxTokens = shortest - 1 }),
            Throws.InstanceOf<GrammarException>().With.Message.Contains($"{shortest - 1}").And.Message.Contains($"{shortest}"));
    }

    [Test]
    public async Task A_text_that_the_length_cuts_is_complete_and_the_reason_says_so()
    {
        await using LlmSession session = Open();
        GenerationResult result = await session.GenerateAsync("?", new() { Grammar = Grammar.Regex("[a-z]+\\."), MaxTokens = 10, LogitBias = Bias('.', -1000) });
        Assert.That(result.Text, Does.Match("^[a-z]{9}\\.$"));
        Assert.That(result.FinishReason, Is.EqualTo(FinishReason.Stop), "nothing can follow");
        result = await session.GenerateAsync("?", new() { Grammar = Grammar.Regex("[a-z]+"), MaxTokens = 10, LogitBias = Bias(ByteTokenizer.Eos, -1000) });
        Assert.That(result.Text, Does.Match("^[a-z]{10}$"));
        Assert.That(result.FinishReason, Is.EqualTo(FinishReason.Length));
    }

    [Test]
    public async Task The_text_ends_where_it_may_and_must_where_nothing_can_follow()
    {
        await using LlmSession session = Open();
        GenerationResult result = await session.GenerateAsync("?", new() { Grammar = Grammar.Choice("a"), LogitBias = Bias(ByteTokenizer.Eos, -1000) });
        Assert.That(result.TokenIds, Is.EqualTo(new[] { 'a', ByteTokenizer.Eos }));
        Assert.That((result.Text, result.FinishReason), Is.EqualTo(("a", FinishReason.Stop)));
        result = await session.GenerateAsync("?", new() { Grammar = Grammar.Choice("abc"), LogitBias = Bias(ByteTokenizer.Eos, 1000) });
        Assert.That(result.Text, Is.EqualTo("abc"), "not before");
    }

    [Test]
    public async Task Ignoring_the_end_of_text_goes_on_as_far_as_the_grammar_does()
    {
        await using LlmSession session = Open();
        GenerationOptions options = new() { Grammar = Grammar.Regex("a{1,5}"), IgnoreEndOfText = true, LogitBias = Bias(ByteTokenizer.Eos, 1000) };
        GenerationResult result = await session.GenerateAsync("?", options);
        Assert.That((result.Text, result.FinishReason), Is.EqualTo(("aaaaa", FinishReason.Stop)));
    }

    [Test]
    public async Task Ignoring_the_end_of_text_ends_where_nothing_more_would_be_complete_in_time()
    {
        await using LlmSession session = Open();
        for (int maxTokens = 2; maxTokens < 12; maxTokens++)
        {
            GenerationResult result = await session.GenerateAsync("?", new() { Grammar = Grammar.Regex("(abc|xy)+"), IgnoreEndOfText = true, MaxTokens = maxTokens, Temperature = 10, Seed = maxTokens });
            Assert.That(result.Text, Does.Match("^(abc|xy)+$"));
            Assert.That(result.FinishReason, Is.EqualTo(FinishReason.Length));
            Assert.That(result.TokenIds, Has.Count.InRange(maxTokens - 1, maxTokens));
        }
    }

    [Test]
    public async Task A_stop_token_ends_the_text_only_where_it_may_end()
    {
        await using LlmSession session = Open();
        GenerationOptions options = new() { Grammar = Grammar.Regex("ab+c"), StopTokenIds = ['b', 'x'], LogitBias = Bias('x', 1000) };
        await Assert.ThatAsync(() => session.GenerateAsync("?", options), Throws.InstanceOf<InvalidOperationException>(), "no b is left that would be text");
        options = options with { Grammar = Grammar.Regex("ac*") };
        GenerationResult result = await session.GenerateAsync("?", options);
        Assert.That((result.Text, result.StopTokenId), Is.EqualTo(("a", (int?)'x')));
    }

    [Test]
    public async Task Requests_with_and_without_grammars_run_together_and_none_changes_another()
    {
        await using LlmSession session = Open(new() { MaxConcurrentSequences = 6, KvCacheBytes = 6 * 40 * 192 });
        Grammar?[] grammars = [null, .. Grammars.Values];
        GenerationOptions Options(int i) => new() { Grammar = grammars[i % grammars.Length], Seed = i, MaxTokens = 60 + i, Temperature = i % 3, Priority = i % 2 };
        GenerationResult[] alone = new GenerationResult[24];
        for (int i = 0; i < alone.Length; i++) alone[i] = await session.GenerateAsync($"Prompt {i}", Options(i));
        GenerationResult[] together = await Task.WhenAll(Enumerable.Range(0, alone.Length).Select(i => session.GenerateAsync($"Prompt {i}", Options(i))));
        Assert.That(together.Select(result => result.TokenIds), Is.EqualTo(alone.Select(result => result.TokenIds)));
        Assert.That(session.GetStatistics().Preemptions, Is.GreaterThan(0));
        for (int i = 0; i < together.Length; i++) Assert.That(grammars[i % grammars.Length]?.IsMatch(together[i].Text), Is.Not.False, together[i].Text);
    }

    [Test]
    public async Task A_cancelled_request_leaves_the_grammar_usable()
    {
        await using LlmSession session = Open();
        GenerationOptions options = new() { Grammar = Grammar.Regex("[a-z]*"), MaxTokens = 900, LogitBias = Bias(ByteTokenizer.Eos, -1000) };
        for (int i = 0; i < 5; i++)
        {
            await foreach (GenerationUpdate update in session.StreamAsync("?", options))
            {
                if (update.Text.Length > 0) break;
            }
        }
        GenerationResult result = await session.GenerateAsync("?", options with { MaxTokens = 20 });
        Assert.That(result.Text, Does.Match("^[a-z]{20}$"));
        await UntilPagesAreFree(session);
    }

    [Test]
    public async Task Each_turn_of_a_conversation_has_its_own_text_whatever_is_forked_or_taken_back()
    {
        await using LlmSession session = Open();
        Grammar grammar = Grammars["schema"];
        using Conversation conversation = session.StartConversation();
        GenerationOptions options = new() { Grammar = grammar, Seed = 1, MaxTokens = 100 };
        GenerationResult first = await conversation.GenerateAsync("One", options);
        int length = conversation.TokenCount;
        using Conversation fork = conversation.Fork();
        GenerationResult second = await conversation.GenerateAsync("Two", options), forked = await fork.GenerateAsync("Two", options);
        conversation.Rewind(length);
        GenerationResult again = await conversation.GenerateAsync("Two", options);
        Assert.That((forked.Text, again.Text), Is.EqualTo((second.Text, second.Text)));
        Assert.That((grammar.IsMatch(first.Text), grammar.IsMatch(second.Text)), Is.EqualTo((true, true)));
    }

    [Test]
    public async Task Log_probabilities_are_the_models_own()
    {
        await using LlmSession session = Open();
        GenerationOptions options = new() { Grammar = Grammar.Choice("ab"), MaxTokens = 3 };
        GenerationResult result = await session.GenerateAsync("?", options with { TopLogprobs = 0 });
        float[] logits = await session.NextTokenLogitsAsync("?");
        double logSum = Math.Log(logits.Sum(logit => Math.Exp(logit)));
        Assert.That(result.Logprobs![0].Logprob, Is.EqualTo(logits['a'] - logSum).Within(1e-4));
    }

    [Test]
    public async Task Without_a_tokenizer_there_is_no_text_to_restrict()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(50));
        await Assert.ThatAsync(() => session.GenerateAsync(new[] { 1 }, new() { Grammar = Grammar.Json() }), Throws.InstanceOf<NotSupportedException>());
    }

    [Test]
    public async Task A_vocabulary_that_lacks_what_every_text_needs_is_refused()
    {
        PieceTokenizer tokenizer = new(["a", "bc", "{"]);
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(tokenizer.VocabularySize), tokenizer: tokenizer);
        await Assert.ThatAsync(() => session.GenerateAsync("a", new() { Grammar = Grammar.JsonObject() }), Throws.InstanceOf<GrammarException>().With.Message.Contains("vocabulary"));
        GenerationResult result = await session.GenerateAsync("a", new() { Grammar = Grammar.Regex("a(bd|bc)e?"), Temperature = 100 });
        Assert.That(result.Text, Is.EqualTo("abc"), "what tokens cannot complete is not begun");
    }

    private static LlmSession Open(LlmSessionOptions? options = null) => SessionOver(FakeDecoder.Hashed(258), options, new ByteTokenizer());

    private static IEnumerable<string> Names => Grammars.Keys;

    private static Dictionary<int, float> Bias(int token, float bias) => new() { [token] = bias };
}
