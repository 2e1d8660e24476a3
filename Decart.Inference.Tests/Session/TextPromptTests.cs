using System.Text.Json.Nodes;
using Decart.Inference.Tests.Tokenization;
using Microsoft.Extensions.Logging;
using static Decart.Inference.Tests.Session.SessionFixture;

namespace Decart.Inference.Tests.Session;

/// <summary>How a prompt of text is encoded: what is added, what is parsed, what is warned about.</summary>
[CancelAfter(30_000)]
public class TextPromptTests
{
    private const int Bos = 4;

    [TestCase(true, true, 5)]
    [TestCase(false, true, 4)]
    [TestCase(true, false, 7)]
    [TestCase(false, false, 6)]
    public async Task A_text_prompt_says_how_it_is_encoded(bool add, bool parse, int tokens)
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(8), tokenizer: WithBos());
        var prompt = Prompt.FromString("a<s>aa", add, parse);
        GenerationResult result = await session.GenerateAsync(prompt, new() { MaxTokens = 1 });
        Assert.That(result.Usage.PromptTokens, Is.EqualTo(tokens));
        Assert.That((prompt.AddsSpecialTokens, prompt.ParsesSpecialTokens), Is.EqualTo((add, parse)));
    }

    [Test]
    public async Task A_second_bos_is_warned_about()
    {
        using var log = new RecordingLog();
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(8), new() { LoggerFactory = log }, WithBos());
        GenerationOptions one = new() { MaxTokens = 1 };
        using Conversation conversation = session.StartConversation();
        await session.GenerateAsync("a<s>", one);
        await session.GenerateAsync(Prompt.FromString("<s>a", addSpecialTokens: false, parseSpecialTokens: true), one);
        await session.GenerateAsync(Prompt.FromString("<s>a", addSpecialTokens: true, parseSpecialTokens: false), one);
        await session.GenerateAsync(new[] { Bos, Bos, 1 }, one);
        await conversation.GenerateAsync("a", one);
        Assert.That(log.Messages(LogLevel.Warning), Is.Empty);
        await session.GenerateAsync("<s>a", one);
        Assert.That(log.Messages(LogLevel.Warning), Has.Exactly(1).Contains("BOS, id 4"));
        await conversation.GenerateAsync("<s>a", one);
        Assert.That(log.Messages(LogLevel.Warning), Has.Exactly(2).Contains("BOS, id 4"), "in the middle of a conversation");
    }

    [Test]
    public async Task A_long_text_can_be_cancelled_while_it_is_encoded()
    {
        await using LlmSession session = SessionOver(FakeDecoder.Hashed(8), tokenizer: TinyTokenizer.Load(TinyTokenizer.Characters(["?", "a", "aa"], "a a")));
        using CancellationTokenSource cancellation = new(TimeSpan.FromMilliseconds(50));
        string text = new('a', 20_000_000);
        await Assert.ThatAsync(() => session.GenerateAsync(text, cancellationToken: cancellation.Token), Throws.InstanceOf<OperationCanceledException>());
        await Assert.ThatAsync(() => session.NextTokenLogitsAsync(text, cancellation.Token), Throws.InstanceOf<OperationCanceledException>());
    }

    private static ITokenizer WithBos()
    {
        JsonObject json = TinyTokenizer.Characters(["a", "<", "s", ">"]);
        json["added_tokens"] = new JsonArray(TinyTokenizer.AddedToken(Bos, "<s>"));
        return TinyTokenizer.Load(json, ("tokenizer_config.json", """{"bos_token":"<s>","add_bos_token":true}"""));
    }
}
